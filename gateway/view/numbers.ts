/** What each stage has done, in flow order, as plain numbers: for `/metrics`, `/healthz` and `sluice status`. */
import type { Numbers, StageNumbers } from '../http/metrics.ts'
import type { SourceLedger } from '../journal/ledger.ts'
import { families } from './metric-families.ts'
import type { NumbersParts } from './parts.ts'

export function stageNumbers(parts: NumbersParts): Numbers {
  const ledgers = parts.pipeline.sources.ledgers()
  return {
    stages: [
      ...ledgers.map((ledger) => ingest(parts, ledger)),
      decode(parts, ledgers),
      journal(parts),
      ...windows(parts),
      ...responses(parts),
      outbox(parts),
      ...upstreams(parts),
    ],
    families: families(parts, ledgers),
  }
}

function ingest({ sources }: NumbersParts, ledger: SourceLedger): StageNumbers {
  const running = sources.list().find((source) => source.name === ledger.name)
  return {
    stage: 'ingest',
    instance: ledger.name,
    in: ledger.messages,
    out: ledger.messages,
    bytes: ledger.bytes,
    errors: { ...running?.runner?.status().errors },
  }
}

function decode({ pipeline }: NumbersParts, ledgers: readonly SourceLedger[]): StageNumbers {
  const errors: Record<string, number> = {}
  let inCount = 0
  let out = 0
  let bytes = 0
  for (const ledger of ledgers) {
    inCount += ledger.messages
    out += ledger.decoded
    bytes += ledger.bytes
    for (const reason in ledger.dead) errors[reason] = (errors[reason] ?? 0) + (ledger.dead[reason]?.count ?? 0)
  }
  return { stage: 'decode', in: inCount, out, bytes, errors, latency: pipeline.latencies.decode }
}

function journal({ journal: { log, last, latency, lag } }: NumbersParts): StageNumbers {
  return {
    stage: 'journal',
    in: last,
    out: log.durable,
    bytes: log.bytesWritten,
    errors: log.trouble ? { [log.trouble.code]: log.trouble.attempts } : {},
    queue: last - log.durable,
    latency,
    ...(lag === undefined ? {} : { lag }),
    mustMove: true,
  }
}

function windows({ pipeline }: NumbersParts): StageNumbers[] {
  const rows = pipeline.windows.tally()
  return pipeline.windows.stats().map(({ window, lag }) => {
    const own = rows.filter((row) => row.window === window)
    const sum = (pick: (row: (typeof own)[number]) => number) => own.reduce((total, row) => total + pick(row), 0)
    return {
      stage: 'window',
      instance: window,
      in: sum((row) => row.decoded),
      out: pipeline.resultsOf(window),
      latency: pipeline.latencies.window,
      errors: {
        late: sum((row) => row.late),
        filtered: sum((row) => row.filtered),
        evicted: sum((row) => row.evictedKeys),
      },
      queue: sum((row) => row.open),
      ...(lag === undefined ? {} : { lag }),
    }
  })
}

/** Only of a gateway that has rules, or was given commands. */
function responses({ pipeline, rules, commands }: NumbersParts): StageNumbers[] {
  const { rules: count, raised, cleared, open, keys, suppressed, refusedKeys } = rules.counts()
  const { taken, ended, open: waiting, answersIgnored, sendFailures } = commands.counts()
  const stages: StageNumbers[] = []
  if (count > 0)
    stages.push({
      stage: 'rules',
      in: keys,
      out: raised + cleared,
      latency: pipeline.latencies.rules,
      errors: { suppressed, keys: refusedKeys },
      queue: open,
    })
  if (taken > 0) {
    const errors = { answers_ignored: answersIgnored, send: sendFailures }
    stages.push({ stage: 'commands', in: taken, out: ended, errors, queue: waiting })
  }
  return stages
}

function outbox({ outbox: box, clock }: NumbersParts): StageNumbers {
  const { classes, sinks } = box.status()
  const errors: Record<string, number> = {}
  for (const { lost } of classes)
    for (const reason in lost) errors[reason] = (errors[reason] ?? 0) + (lost[reason] ?? 0)
  const backlog = sinks.flatMap((sink) => sink.backlog)
  const oldest = Math.min(...backlog.flatMap((one) => (one.oldest === undefined ? [] : [one.oldest])))
  return {
    stage: 'outbox',
    in: classes.reduce((sum, one) => sum + one.appended, 0),
    out: backlog.reduce((sum, one) => sum + one.acked, 0),
    errors,
    queue: backlog.reduce((sum, one) => sum + one.records, 0),
    latency: box.latency,
    ...(Number.isFinite(oldest) ? { lag: Math.max(0, clock.now() - oldest) } : {}),
  }
}

function upstreams({ upstreams: all }: NumbersParts): StageNumbers[] {
  return all.list().map(({ name, runner }) => {
    const { sent, acked, bytes, errors, latency } = runner.status()
    return { stage: 'upstream', instance: name, in: sent, out: acked, bytes, errors: { ...errors }, latency }
  })
}
