/**
 * `/metrics`: stages keep plain numbers and know nothing of Prometheus; here they become its text at each scrape.
 *
 *   sluice_stage_in_total{stage,name}             sluice_stage_queue_depth{stage,name}
 *   sluice_stage_out_total{stage,name}            sluice_stage_lag_seconds{stage,name}
 *   sluice_stage_bytes_total{stage,name}          sluice_stage_latency_seconds{stage,name,le}
 *   sluice_stage_errors_total{stage,name,reason}  sluice_process_…, and the families a stage adds
 */
import type { Registry } from 'prom-client'
import type { Latency } from './latency.ts'

/** What one stage, or one instance of it, has done since the process started. */
export interface StageNumbers {
  /** `ingest`, `decode`, `journal`, `window`, `rules`, `commands`, `outbox`, `upstream`. */
  readonly stage: string
  /** Which source, window or upstream; absent when there is only one. */
  readonly instance?: string
  readonly in: number
  readonly out: number
  /** That went through it; absent where it is not counted. */
  readonly bytes?: number
  /** By reason. */
  readonly errors: Readonly<Record<string, number>>
  /** What waits in this stage now. */
  readonly queue?: number
  /** Age of the oldest that waits, ms. */
  readonly lag?: number
  readonly latency?: Latency
  /** True when a queue that does not move for a while means that the gateway is stuck; not for upstreams, which may be down. */
  readonly mustMove?: boolean
}

/** A metric that is not every stage's. */
export interface Family {
  /** Without the prefix, e.g. `late_readings_total`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly values: readonly Value[]
}

export interface Value {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

export interface Numbers {
  /** In flow order. */
  readonly stages: readonly StageNumbers[]
  readonly families?: readonly Family[]
}

type Prom = typeof import('prom-client')

const PREFIX = 'sluice_'

/** The text of `/metrics`, exposition format 0.0.4. */
export async function exposition(numbers: Numbers, build: { gateway: string; version: string }): Promise<string> {
  // Loaded at the first scrape: most gateways on a small board are never scraped.
  const prom = await import('prom-client')
  const registry = new prom.Registry()
  for (const family of [...stageFamilies(numbers.stages), ...processFamilies(build), ...(numbers.families ?? [])])
    addFamily(prom, registry, family)
  addLatencies(prom, registry, numbers.stages)
  return registry.metrics()
}

function stageFamilies(stages: readonly StageNumbers[]): Family[] {
  const values = (pick: (stage: StageNumbers) => number | undefined): Value[] =>
    stages.flatMap((stage) => {
      const value = pick(stage)
      return value === undefined ? [] : [{ labels: labelsOf(stage), value }]
    })
  const errors = stages.flatMap((stage) =>
    Object.entries(stage.errors).map(([reason, value]) => ({ labels: { ...labelsOf(stage), reason }, value })),
  )
  const counter = (name: string, help: string, list: Value[]): Family => ({ name, help, type: 'counter', values: list })
  const gauge = (name: string, help: string, list: Value[]): Family => ({ name, help, type: 'gauge', values: list })
  return [
    counter(
      'stage_in_total',
      'What came into the stage: messages, readings, results or records, as the stage takes them.',
      values((s) => s.in),
    ),
    counter(
      'stage_out_total',
      'What the stage handed on.',
      values((s) => s.out),
    ),
    counter(
      'stage_bytes_total',
      'Bytes that went through the stage, of stages that count them.',
      values((s) => s.bytes),
    ),
    counter('stage_errors_total', 'Failures by reason.', errors),
    gauge(
      'stage_queue_depth',
      'What waits in the stage.',
      values((s) => s.queue),
    ),
    gauge(
      'stage_lag_seconds',
      'Age of the oldest that waits in the stage.',
      values((s) => (s.lag === undefined ? undefined : s.lag / 1000)),
    ),
  ]
}

function processFamilies(build: { gateway: string; version: string }): Family[] {
  const memory = process.memoryUsage()
  const cpu = process.cpuUsage()
  const one = (name: string, help: string, type: Family['type'], value: number): Family => ({
    name,
    help,
    type,
    values: [{ value }],
  })
  return [
    {
      name: 'build_info',
      help: 'Always 1; the labels say what runs.',
      type: 'gauge',
      values: [{ labels: { ...build, node: process.version }, value: 1 }],
    },
    one('process_resident_memory_bytes', 'Resident memory.', 'gauge', memory.rss),
    one('process_heap_bytes', 'Heap in use.', 'gauge', memory.heapUsed),
    one('process_buffers_bytes', 'Memory of buffers outside the heap.', 'gauge', memory.arrayBuffers),
    one('process_cpu_seconds_total', 'Processor time, user and system.', 'counter', (cpu.user + cpu.system) / 1e6),
    one('process_uptime_seconds', 'Since the process started.', 'gauge', process.uptime()),
  ]
}

function labelsOf(stage: StageNumbers): Record<string, string> {
  return { stage: stage.stage, name: stage.instance ?? '' }
}

function addFamily(prom: Prom, registry: Registry, family: Family): void {
  const labelNames = [...new Set(family.values.flatMap((value) => Object.keys(value.labels ?? {})))]
  const config = { name: PREFIX + family.name, help: family.help, labelNames, registers: [registry] }
  const counter = family.type === 'counter' ? new prom.Counter(config) : undefined
  const gauge = counter ? undefined : new prom.Gauge(config)
  for (const { labels = {}, value } of family.values) {
    if (!Number.isFinite(value)) continue
    counter?.inc({ ...labels }, Math.max(0, value))
    gauge?.set({ ...labels }, value)
  }
}

/** prom-client's histogram only takes single observations; ours is counted already, so its reading side is replaced. */
function addLatencies(prom: Prom, registry: Registry, stages: readonly StageNumbers[]): void {
  const name = `${PREFIX}stage_latency_seconds`
  const help =
    'Time in the stage; decode, window and rules time one message in 64, the journal the first entry of each commit.'
  const measured = stages.filter((stage) => stage.latency !== undefined)
  if (measured.length === 0) return
  const values = measured.flatMap((stage) => buckets(name, labelsOf(stage), stage.latency as Latency))
  const get = async () => ({ name, help, type: 'histogram', values })
  registry.registerMetric(
    Object.assign(new prom.Histogram({ name, help, registers: [] }), { get, getForPromString: undefined }),
  )
}

function buckets(name: string, labels: Record<string, string>, latency: Latency): object[] {
  let count = 0
  const values: object[] = []
  for (let i = 0; i <= latency.bounds.length; i++) {
    count += latency.counts[i] ?? 0
    const bound = latency.bounds[i]
    const le = bound === undefined ? '+Inf' : String(bound / 1000)
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count })
  }
  values.push({ metricName: `${name}_sum`, labels, value: latency.sum / 1000 })
  values.push({ metricName: `${name}_count`, labels, value: count })
  return values
}
