import type { Audit } from '../http/api.ts'
import { imbalance, type Loss } from '../journal/ledger.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Pipeline } from '../pipeline.ts'

import { iso } from './iso.ts'

/** The ledger as it stands in memory; `sluice audit` works it out again from the disk. */
export function liveAudit(pipeline: Pipeline, outbox: Outbox | undefined): Audit {
  const sources = pipeline.sources.ledgers().map((ledger) => ({
    source: ledger.name,
    in: ledger.in,
    decoded: ledger.decoded,
    dead: lossesOf(ledger.dead),
    dropped: lossesOf(ledger.dropped),
    balanced: imbalance(ledger) === 0,
  }))
  const windows = pipeline.windowLedger().map((row) => {
    const { source, window, decoded, windowed, open, late, filtered } = row
    return {
      source,
      window,
      decoded,
      windowed,
      open,
      late,
      filtered,
      balanced: decoded === windowed + open + late + filtered,
    }
  })
  const sinks = (outbox?.status().sinks ?? []).flatMap(({ name, backlog }) =>
    backlog.map((one) => ({ sink: name, class: one.class, acknowledged: one.acked, waiting: one.records })),
  )
  return { balanced: [...sources, ...windows].every((row) => row.balanced), sources, windows, sinks }
}

function lossesOf(losses: Readonly<Record<string, Loss>>) {
  return Object.fromEntries(
    Object.entries(losses).map(([reason, { count, first, last }]) => [
      reason,
      { count, first: iso(first), last: iso(last) },
    ]),
  )
}
