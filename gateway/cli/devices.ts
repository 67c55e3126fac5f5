import type { Command } from 'commander'
import type { DevicePage, DeviceStatus } from '../http/schemas.ts'
import type { CommandContext } from './actions.ts'
import type { Client } from './client.ts'
import { count, figure } from './format.ts'
import { type CommonOptions, defineCommand, positive, runningGateway } from './options.ts'
import { table } from './table.ts'
import { paintFor } from './terminal.ts'

interface Options extends CommonOptions {
  readonly limit: string
}

const PAGE = 5000

export function devicesCommand(context: CommandContext): Command {
  return defineCommand('devices [pattern]', {
    summary: 'list the devices and their last readings',
    examples: ['sluice devices', "sluice devices 'dvc30*'", 'sluice devices --limit 100000 --json'],
  })
    .argument('[pattern]', 'only devices that match, with * and ?')
    .option('--limit <n>', 'at most so many', '1000')
    .option('--json', 'print JSON')
    .action(async (pattern: string | undefined, options: Options) => {
      const limit = positive('--limit', options.limit)
      const client = await runningGateway(context, options)
      const page = await fetchDevices(client, pattern, limit)
      const { terminal } = context
      if (options.json) terminal.print(JSON.stringify(page))
      else if (page.devices.length > 0) terminal.print(list(page, paintFor(terminal)))
      else terminal.print(pattern === undefined ? 'no device was heard of yet' : `no device matches ${pattern}`)
    })
}

async function fetchDevices(client: Client, match: string | undefined, limit: number): Promise<DevicePage> {
  const devices: DeviceStatus[] = []
  let after: string | undefined
  for (;;) {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - devices.length)) })
    if (match !== undefined) query.set('match', match)
    if (after !== undefined) query.set('after', after)
    const page = await client.get<DevicePage>(`/api/devices?${query}`)
    devices.push(...page.devices)
    if (page.next === undefined || devices.length >= limit) return { ...page, devices }
    after = page.next
  }
}

function list(page: DevicePage, paint: ReturnType<typeof paintFor>): string {
  const { devices, total } = page
  const lines = table<DeviceStatus>(
    [
      { head: 'DEVICE', cell: (d) => d.id },
      { head: 'SOURCE', cell: (d) => d.source },
      ...(devices.some((d) => d.connection) ? CONNECTION : []),
      { head: 'READINGS', cell: (d) => count(d.readings), right: true },
      { head: 'LAST TIME', cell: (d) => d.time },
      { head: 'LAST READING', cell: (d) => fieldList(d.fields) },
    ],
    devices,
    paint,
  )
  return devices.length < total ? `${lines}\n${devices.length} of ${total}; --limit shows more` : lines
}

const CONNECTION = [
  { head: 'CONNECTION', cell: (d: DeviceStatus) => d.connection?.state ?? '' },
  { head: 'DETAILS', cell: (d: DeviceStatus) => fieldList(d.connection?.details ?? {}, 10) },
]

const MAX_FIELDS = 6

/** `cpu=51 state=NSW`, cut when there are many. */
export function fieldList(fields: Readonly<Record<string, unknown>>, most = MAX_FIELDS): string {
  const entries = Object.entries(fields)
  const shown = entries
    .slice(0, most)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? figure(value) : value}`)
  return entries.length > most ? `${shown.join(' ')} … ${entries.length - most} more` : shown.join(' ')
}
