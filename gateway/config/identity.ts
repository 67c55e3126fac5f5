/** The gateway's name when nobody gave it one: stable on a machine, different on two machines with one host name. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

/** Host name and four hexadecimal digits of a hash of the machine's id, of the host name when there is none. */
export function defaultGatewayId(host: string = hostname(), machine: string | undefined = machineId()): string {
  const name =
    host
      .split('.')[0]
      ?.replace(/[^A-Za-z0-9_-]/g, '-')
      .slice(0, 59) || 'gateway'
  return `${name}-${createHash('sha256')
    .update(machine ?? host)
    .digest('hex')
    .slice(0, 4)}`
}

function machineId(): string | undefined {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || undefined
  } catch {
    // Containers and some boards have none.
    return undefined
  }
}
