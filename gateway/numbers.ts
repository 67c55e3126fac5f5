/** What each stage has done, in flow order, as plain numbers: for `/metrics`, `/healthz` and `sluice status`. */
import type { Numbers, StageNumbers } from './http/metrics.ts'
import type { SourceLedger } from './journal/ledger.ts'
import { sumOf } from './journal/ledger.ts'
import type { ViewParts } from './view/parts.ts'

export type NumbersParts = Pick<
  ViewParts,
  | 'pipeline'
  | 'journal'
  | 'outbox'
  | 'upstreams'
  | 'sources'
  | 'host'
  | 'broker'
  | 'clock'
  | 'rules'
  | 'commands'
  | 'wear'
>

export function stageNumbers(parts: NumbersParts): Numbers {
  const ledgers = parts.pipeline.ledgers()
  return {
    stages: [
      ...ledgers.map((ledger) => ingest(parts, ledger)),
      decode(ledgers),
      journal(parts),
      ...windows(parts),
      ...responses(parts),
      outbox(parts),
      ...upstreams(parts),
    ],
    families: [
      ...brokerFamilies(parts),
      ...lossFamilies(ledgers),
      ...logFamilies(parts),
      ...wearFamilies(parts),
      ...pluginFamilies(parts),
    ],
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

function decode(ledgers: readonly SourceLedger[]): StageNumbers {
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
  return { stage: 'decode', in: inCount, out, bytes, errors }
}

function journal({ journal: { log, last, durable } }: NumbersParts): StageNumbers {
  return {
    stage: 'journal',
    in: last,
    out: durable,
    bytes: log.bytesWritten,
    errors: log.trouble ? { [log.trouble.code]: log.trouble.attempts } : {},
    queue: last - durable,
    mustMove: true,
  }
}

function windows({ pipeline }: NumbersParts): StageNumbers[] {
  const rows = pipeline.windows.ledger()
  return pipeline.windows.stats().map(({ window, bytes, lag }) => {
    const own = rows.filter((row) => row.window === window)
    const sum = (pick: (row: (typeof own)[number]) => number) => own.reduce((total, row) => total + pick(row), 0)
    return {
      stage: 'window',
      instance: window,
      in: sum((row) => row.decoded),
      out: pipeline.resultsOf(window),
      bytes,
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
function responses({ rules, commands }: NumbersParts): StageNumbers[] {
  const { rules: count, raised, cleared, open, keys, suppressed, refusedKeys } = rules.counts()
  const { taken, ended, open: waiting, answersIgnored, sendFailures } = commands.counts()
  const stages: StageNumbers[] = []
  if (count > 0)
    stages.push({
      stage: 'rules',
      in: keys,
      out: raised + cleared,
      bytes: 0,
      errors: { suppressed, keys: refusedKeys },
      queue: open,
    })
  if (taken > 0) {
    const errors = { answers_ignored: answersIgnored, send: sendFailures }
    stages.push({ stage: 'commands', in: taken, out: ended, bytes: 0, errors, queue: waiting })
  }
  return stages
}

function outbox({ outbox: box, clock }: NumbersParts): StageNumbers {
  const { bytes, classes, sinks } = box.status()
  const errors: Record<string, number> = {}
  for (const { lost } of classes)
    for (const reason in lost) errors[reason] = (errors[reason] ?? 0) + (lost[reason] ?? 0)
  const backlog = sinks.flatMap((sink) => sink.backlog)
  const oldest = Math.min(...backlog.flatMap((one) => (one.oldest === undefined ? [] : [one.oldest])))
  return {
    stage: 'outbox',
    in: classes.reduce((sum, one) => sum + one.appended, 0),
    out: backlog.reduce((sum, one) => sum + one.acked, 0),
    bytes,
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

type Families = NonNullable<Numbers['families']>

function brokerFamilies({ broker }: NumbersParts): Families {
  const status = broker()?.status()
  if (!status) return []
  const gauge = (name: string, help: string, value: number) =>
    ({ name, help, type: 'gauge', values: [{ value }] }) as const
  const reasons = (name: string, help: string, by: Readonly<Record<string, number>>) =>
    ({
      name,
      help,
      type: 'counter',
      values: Object.entries(by).map(([reason, value]) => ({ labels: { reason }, value })),
    }) as const
  return [
    gauge('mqtt_connections', 'Clients connected now.', status.connections),
    gauge('mqtt_sessions', 'Persistent sessions.', status.sessions),
    gauge('mqtt_subscriptions', 'Subscriptions.', status.subscriptions),
    gauge('mqtt_retained', 'Retained messages.', status.retained),
    gauge('mqtt_unacknowledged', 'PUBLISH packets that wait for the journal.', status.unacknowledged),
    reasons('mqtt_refused_total', 'Connections refused or ended.', status.refused),
    reasons('mqtt_dropped_total', 'Messages to subscribers dropped.', status.dropped),
  ]
}

function lossFamilies(ledgers: readonly SourceLedger[]): Families {
  const values = (pick: (ledger: SourceLedger) => number) =>
    ledgers.map((ledger) => ({ labels: { source: ledger.name }, value: pick(ledger) }))
  const counter = (name: string, help: string, pick: (ledger: SourceLedger) => number) =>
    ({ name, help, type: 'counter', values: values(pick) }) as const
  return [
    counter('readings_in_total', 'Readings that came in; a message that cannot be decoded counts as one.', (l) => l.in),
    counter('readings_decoded_total', 'Readings decoded.', (l) => l.decoded),
    counter('readings_dead_total', 'Dead letters.', (l) => sumOf(l.dead)),
    counter('readings_dropped_total', 'Readings dropped by policy.', (l) => sumOf(l.dropped)),
  ]
}

function logFamilies({ journal: { log }, pipeline, clock }: NumbersParts): Families {
  const payload = pipeline.ledgers().reduce((sum, ledger) => sum + ledger.bytes, 0)
  const one = (name: string, help: string, type: 'counter' | 'gauge', value: number) =>
    ({ name, help, type, values: [{ value }] }) as const
  return [
    one('journal_written_bytes_total', 'Bytes given to the disk.', 'counter', log.bytesWritten),
    one('journal_syncs_total', 'Calls of fdatasync.', 'counter', log.syncs),
    one('journal_bytes', 'Bytes kept.', 'gauge', log.bytes),
    one('journal_pending_bytes', 'Bytes in memory that are not yet durable.', 'gauge', log.pendingBytes),
    one(
      'journal_bytes_per_payload_byte',
      'Bytes given to the disk per byte of payload.',
      'gauge',
      payload > 0 ? log.bytesWritten / payload : 0,
    ),
    one('wall_clock_seconds', 'The gateway’s clock.', 'gauge', clock.now() / 1000),
  ]
}

/** What a memory card has to bear, and a guess at its years. */
function wearFamilies({ wear }: NumbersParts): Families {
  const { bytesWritten, deviceBytesWritten, lifeYears, lifeUsed } = wear()
  const one = (name: string, help: string, type: 'counter' | 'gauge', value: number | undefined): Families =>
    value === undefined ? [] : [{ name: `storage_${name}`, help, type, values: [{ value }] }]
  return [
    ...one('written_bytes_total', 'What the gateway gave to the disk.', 'counter', bytesWritten),
    ...one(
      'device_written_bytes_total',
      'What the device of the data directory wrote since the gateway started, by everybody.',
      'counter',
      deviceBytesWritten,
    ),
    ...one(
      'write_amplification',
      'Bytes that the device wrote for each that the gateway gave to the disk; what others write is in it.',
      'gauge',
      deviceBytesWritten === undefined || bytesWritten === 0 ? undefined : deviceBytesWritten / bytesWritten,
    ),
    ...one('life_years', 'Years that a new card of this size lasts at this rate.', 'gauge', lifeYears),
    ...one('life_used_ratio', 'Share of its life that the card says is used.', 'gauge', lifeUsed),
  ]
}

function pluginFamilies({ host }: NumbersParts): Families {
  const names = new Map<string, { type: 'counter' | 'gauge'; values: { labels: { name: string }; value: number }[] }>()
  for (const { instance, counters, gauges } of host.metrics()) {
    for (const [type, own] of [
      ['counter', counters],
      ['gauge', gauges],
    ] as const) {
      for (const [metric, value] of Object.entries(own)) {
        const family = names.get(metric) ?? { type, values: [] }
        names.set(metric, family)
        family.values.push({ labels: { name: instance }, value })
      }
    }
  }
  return [...names].map(([metric, { type, values }]) => ({
    name: `plugin_${metric.replace(/\W/g, '_')}${type === 'counter' ? '_total' : ''}`,
    help: 'Kept by the plugin.',
    type,
    values,
  }))
}
