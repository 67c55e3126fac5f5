/** Addresses to listen on: `127.0.0.1:1883`, `[::1]:1883`, `0.0.0.0:1883`, `:1883` (every interface), port 0 for a free one. */
import { isIP, isIPv6 } from 'node:net'
import { oneOrMore, shown, type Written, Wrong } from './scalar.ts'

export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
}

const EXAMPLE = '127.0.0.1:1883'

/**
 * @param example with the port that is usual there
 * @throws Wrong
 */
export function parseAddress(value: unknown, example = EXAMPLE): Address {
  const usual = example.replace(/^.*:/, '')
  const hint = `write host:port, such as 127.0.0.1:${usual}, [::1]:${usual} or 0.0.0.0:${usual}`
  // A number alone could mean this machine only or the whole network: the person must say which.
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value.trim()))) {
    throw new Wrong(
      `${value} names no address: write 127.0.0.1:${value} for this machine only, 0.0.0.0:${value} for every interface`,
    )
  }
  if (typeof value !== 'string') throw new Wrong(`expected an address, got ${shown(value)}: ${hint}`)
  const written = value.trim()
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(written)
  if (!match) throw new Wrong(notAnAddress(written, usual, hint))
  const port = Number(match[3])
  if (port > 65_535) throw new Wrong(`port ${port} of ${written} is above 65535`)
  const host = match[1] ?? (match[2] || '0.0.0.0')
  if (match[1] !== undefined && !isIPv6(host)) throw new Wrong(`${host} is not an IPv6 address: ${hint}`)
  if (/^[\d.]+$/.test(host) && isIP(host) === 0) throw new Wrong(`${host} is not an IP address: ${hint}`)
  return { host, port }
}

function notAnAddress(written: string, usual: string, hint: string): string {
  const scheme = /^[a-z+]+:\/\/(.*)$/i.exec(written)
  if (scheme) return `${written} is a URL: an address to listen on is ${scheme[1] || `127.0.0.1:${usual}`}`
  if (isIPv6(written)) return `${written} has no port: write [${written}]:${usual}`
  if (!written.includes(':') && /^[\w.-]+$/.test(written)) return `${written} has no port: write ${written}:${usual}`
  return `${JSON.stringify(written)} is not an address: ${hint}`
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Whether only this machine can reach it. */
export function isLoopback({ host }: Address): boolean {
  const bare = host.toLowerCase().replace(/^::ffff:/, '')
  return bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1' || /^127\.\d+\.\d+\.\d+$/.test(bare)
}

/** One address or a list of them; an empty list listens nowhere. */
export function listen(written: Written = {}) {
  const { example = EXAMPLE } = written
  return oneOrMore((value) => parseAddress(value, String(example)), {
    type: 'string',
    pattern: '^.*:\\d{1,5}$',
    'x-value': 'address',
    ...written,
    example,
  })
}
