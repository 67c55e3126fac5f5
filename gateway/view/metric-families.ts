/** The metrics that are not every stage's: what a person alerts on, and what a card or a disk has to bear. */
import type { Numbers } from '../http/metrics.ts'
import { type SourceLedger, sumOf } from '../journal/ledger.ts'
import type { NumbersParts } from './parts.ts'

type Families = NonNullable<Numbers['families']>

export function families(parts: NumbersParts, ledgers: readonly SourceLedger[]): Families {
  return [
    ...siteFamilies(parts),
    ...brokerFamilies(parts),
    ...lossFamilies(ledgers),
    ...windowFamilies(parts),
    ...logFamilies(parts),
    ...outboxFamilies(parts),
    ...historyFamilies(parts),
    ...wearFamilies(parts),
    ...pluginFamilies(parts),
  ]
}

type Labels = Readonly<Record<string, string>>

function gauge(name: string, help: string, values: readonly (readonly [Labels, number])[]): Families[number] {
  return { name, help, type: 'gauge', values: values.map(([labels, value]) => ({ labels, value })) }
}

function siteFamilies({ devices, rules, upstreams }: NumbersParts): Families {
  return [
    gauge('devices', 'Devices that were seen.', [[{}, devices.size]]),
    gauge('alerts_raised', 'Alerts that are raised now.', [[{}, rules.alerts().length]]),
    gauge(
      'upstream_connected',
      '1 while the upstream is connected, else 0.',
      upstreams.list().map(({ name, runner }) => [{ upstream: name }, runner.status().state === 'connected' ? 1 : 0]),
    ),
  ]
}

function windowFamilies({ pipeline }: NumbersParts): Families {
  const stats = pipeline.windows.stats()
  return [
    gauge(
      'window_keys',
      'Keys with state.',
      stats.map(({ window, keys }) => [{ window }, keys]),
    ),
    gauge(
      'window_state_bytes',
      'Memory of the state, about.',
      stats.map(({ window, bytes }) => [{ window }, bytes]),
    ),
  ]
}

function outboxFamilies({ outbox, clock }: NumbersParts): Families {
  const { bytes, maxBytes, sinks } = outbox.status()
  const waiting = sinks.flatMap(({ name, backlog }) =>
    backlog.map((one) => ({ ...one, labels: { upstream: name, class: one.class } })),
  )
  const age = (oldest: number | undefined) => (oldest === undefined ? 0 : Math.max(0, clock.now() - oldest) / 1000)
  return [
    gauge('outbox_bytes', 'Bytes kept for upstreams.', [[{}, bytes]]),
    gauge('outbox_max_bytes', 'Bytes that may be kept for upstreams.', [[{}, maxBytes]]),
    gauge(
      'outbox_waiting_records',
      'Records that wait.',
      waiting.map(({ labels, records }) => [labels, records]),
    ),
    gauge(
      'outbox_waiting_bytes',
      'Bytes that wait.',
      waiting.map((one) => [one.labels, one.bytes]),
    ),
    gauge(
      'outbox_oldest_age_seconds',
      'Age of the oldest record that waits, 0 when none does.',
      waiting.map(({ labels, oldest }) => [labels, age(oldest)]),
    ),
  ]
}

function historyFamilies({ history }: NumbersParts): Families {
  if (!history) return []
  const levels = history.levels.map((level) => ({ labels: { level: level.name }, level }))
  return [
    gauge(
      'history_bytes',
      'Bytes kept.',
      levels.map(({ labels, level }) => [labels, level.log.bytes]),
    ),
    {
      name: 'history_lost_blocks_total',
      help: 'Blocks given up because the disk did not take them.',
      type: 'counter',
      values: levels.map(({ labels, level }) => ({ labels, value: level.lost })),
    },
  ]
}

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
  const payload = pipeline.sources.ledgers().reduce((sum, ledger) => sum + ledger.bytes, 0)
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
    one('time_seconds', 'The gateway’s clock, seconds since the epoch.', 'gauge', clock.now() / 1000),
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
