import type { Command } from 'commander'
import type { Audit } from '../http/schemas.ts'
import type { AuditReport, CommandContext } from './actions.ts'
import { EXIT } from './exit-codes.ts'
import { count } from './format.ts'
import { type CommonOptions, dataDirectory, defineCommand } from './options.ts'
import { type Column, table } from './table.ts'
import { harmless, type Paint, paintFor } from './terminal.ts'

export function auditCommand(context: CommandContext): Command {
  return defineCommand('audit', {
    summary:
      'prove from the data directory that every reading is accounted for; exit 1 if not, or if a file is damaged',
    examples: ['sluice audit', 'sluice audit --data /var/lib/sluice --json'],
  })
    .option('--json', 'print JSON')
    .action(async (options: CommonOptions) => {
      const { terminal, actions } = context
      const report = await actions.auditData({ data: await dataDirectory(context, options) })
      terminal.print(options.json ? JSON.stringify(report) : describe(report, paintFor(terminal)))
      context.setExitCode(report.balanced && report.damage.length === 0 ? EXIT.ok : EXIT.failure)
    })
}

export function describe(report: AuditReport, paint: Paint): string {
  const parts = [table(SOURCES, report.sources, paint)]
  if (report.windows.length > 0) parts.push(table(WINDOWS, report.windows, paint))
  if (report.sinks.length > 0) parts.push(table(SINKS, report.sinks, paint))
  const damage = report.damage.map((line) => paint.red(`! ${harmless(line)}`))
  const verdict = report.balanced ? 'every ledger balances' : paint.red('! a ledger does not balance')
  return [...parts, [...damage, damage.length === 0 ? `${verdict}, every file is intact` : verdict].join('\n')].join(
    '\n\n',
  )
}

const SOURCES: readonly Column<Audit['sources'][number]>[] = [
  { head: 'SOURCE', cell: (s) => s.source },
  { head: 'IN', cell: (s) => count(s.in), right: true },
  { head: 'DECODED', cell: (s) => count(s.decoded), right: true },
  { head: 'DEAD', cell: (s) => count(sum(s.dead)), right: true },
  { head: 'DROPPED', cell: (s) => count(sum(s.dropped)), right: true },
  { head: 'REASONS', cell: (s) => reasons({ ...s.dead, ...s.dropped }) },
  { head: 'BALANCED', cell: (s) => (s.balanced ? 'yes' : 'NO') },
]

const WINDOWS: readonly Column<Audit['windows'][number]>[] = [
  { head: 'SOURCE', cell: (w) => w.source },
  { head: 'WINDOW', cell: (w) => w.window },
  { head: 'DECODED', cell: (w) => count(w.decoded), right: true },
  { head: 'WINDOWED', cell: (w) => count(w.windowed), right: true },
  { head: 'OPEN', cell: (w) => count(w.open), right: true },
  { head: 'LATE', cell: (w) => count(w.late), right: true },
  { head: 'FILTERED', cell: (w) => count(w.filtered), right: true },
  { head: 'BALANCED', cell: (w) => (w.balanced ? 'yes' : 'NO') },
]

const SINKS: readonly Column<Audit['sinks'][number]>[] = [
  { head: 'UPSTREAM', cell: (s) => s.sink },
  { head: 'CLASS', cell: (s) => s.class },
  { head: 'ACKNOWLEDGED', cell: (s) => count(s.acknowledged), right: true },
  { head: 'WAITING', cell: (s) => count(s.waiting), right: true },
]

type Losses = Audit['sources'][number]['dead']

function sum(losses: Losses): number {
  return Object.values(losses).reduce((total, loss) => total + loss.count, 0)
}

function reasons(losses: Losses): string {
  return Object.entries(losses)
    .map(([reason, loss]) => `${reason} ${count(loss.count)}`)
    .join(', ')
}
