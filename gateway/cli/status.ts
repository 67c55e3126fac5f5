import type { Command } from 'commander'
import type { StageStatus, Status } from '../http/schemas.ts'
import type { CommandContext } from './actions.ts'
import { bytes, count, duration, rate } from './format.ts'
import { type CommonOptions, defineCommand, runningGateway } from './options.ts'
import { type Column, table } from './table.ts'
import { harmless, type Paint, paintFor } from './terminal.ts'

export function statusCommand(context: CommandContext): Command {
  return defineCommand('status', {
    summary: 'show on one screen what the running gateway does',
    examples: ['sluice status', 'watch sluice status', 'sluice status --json'],
  })
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions) => {
      const client = await runningGateway(context, options)
      const status = await client.get<Status>('/api/status')
      const { terminal } = context
      terminal.print(options.json ? JSON.stringify(status) : screen(status, paintFor(terminal)))
    })
}

/** Stages in flow order, then the ends of the flow, then what a person should know. */
export function screen(status: Status, paint: Paint): string {
  const ports = Object.entries(status.ports).map(([name, port]) => `${name} ${port}`)
  const head = [
    `${paint.bold(status.gateway)}  sluice ${status.version}  up ${duration(status.uptime * 1000)}  pid ${status.pid}`,
    `config  ${status.config ?? 'built-in defaults'}`,
    `data    ${status.data}`,
    `ports   ${ports.join(', ') || 'none'}`,
    `memory  ${bytes(status.memory.rss)}    devices  ${count(status.devices)}`,
    `disk    ${written(status.storage)}`,
  ]
  const parts = [head.join('\n'), table(STAGES, status.stages, paint)]
  if (status.sources.length > 0) parts.push(table(SOURCES, status.sources, paint))
  if (status.upstreams.length > 0) parts.push(table(UPSTREAMS, status.upstreams, paint))
  if (status.notices.length > 0) parts.push(status.notices.map((text) => paint.red(`! ${harmless(text)}`)).join('\n'))
  return parts.join('\n\n')
}

/** The device counts what others write too, so it is named beside our own. */
function written({ bytesWritten, deviceBytesWritten, lifeYears, lifeUsed }: Status['storage']): string {
  const parts = [`${bytes(bytesWritten)} written`]
  if (deviceBytesWritten !== undefined) parts.push(`${bytes(deviceBytesWritten)} by the whole device`)
  if (lifeYears !== undefined) parts.push(`a new card lasts ${lifeYears < 100 ? rate(lifeYears) : 'over 100'} years so`)
  if (lifeUsed !== undefined) parts.push(`${Math.round(lifeUsed * 100)} % of this one is used`)
  return parts.join(', ')
}

const STAGES: readonly Column<StageStatus>[] = [
  { head: 'STAGE', cell: (s) => (s.instance === undefined ? s.stage : `${s.stage} ${s.instance}`) },
  { head: 'IN', cell: (s) => count(s.in), right: true },
  { head: 'OUT', cell: (s) => count(s.out), right: true },
  { head: 'IN/S', cell: (s) => rate(s.inRate), right: true },
  { head: 'OUT/S', cell: (s) => rate(s.outRate), right: true },
  { head: 'BYTES', cell: (s) => (s.bytes === undefined ? '' : bytes(s.bytes)), right: true },
  { head: 'WAITING', cell: (s) => (s.queue === undefined ? undefined : count(s.queue)), right: true },
  { head: 'LAG', cell: (s) => (s.lagMs === undefined ? undefined : duration(s.lagMs)), right: true },
  { head: 'ERRORS', cell: (s) => reasons(s.errors) },
]

const SOURCES: readonly Column<Status['sources'][number]>[] = [
  { head: 'SOURCE', cell: (s) => s.name },
  { head: 'PLUGIN', cell: (s) => s.plugin },
  { head: 'STATE', cell: (s) => s.state },
  { head: 'WHY', cell: (s) => s.error },
]

const UPSTREAMS: readonly Column<Status['upstreams'][number]>[] = [
  { head: 'UPSTREAM', cell: (u) => u.name },
  { head: 'PLUGIN', cell: (u) => u.plugin },
  { head: 'STATE', cell: (u) => u.state },
  { head: 'WAITING', cell: (u) => count(u.records), right: true },
  { head: 'BYTES', cell: (u) => bytes(u.bytes), right: true },
  { head: 'WHY', cell: (u) => u.error },
]

function reasons(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors)
    .filter(([, times]) => times > 0)
    .map(([reason, times]) => `${reason} ${count(times)}`)
    .join(', ')
}
