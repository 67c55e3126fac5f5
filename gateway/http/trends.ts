/**
 * How the outbox went: what waited for each sink and class, and how fast it came and left. Two rings in memory, the
 * last hour every ten seconds and the last day every five minutes, about 20 KB per sink and class.
 */
import type { Clock } from '../clock.ts'
import type { OutboxHistory, OutboxStatus } from './schemas.ts'

export interface Trends {
  /** @param span `1h` in steps of ten seconds, `24h` in steps of five minutes */
  history(span: '1h' | '24h'): OutboxHistory
  /** The status with rates in, and a drain time that counts what comes meanwhile. */
  rated(status: OutboxStatus): OutboxStatus
  stop(): void
}

const FINE = { step: 10_000, length: 360 }
const COARSE = { step: 300_000, length: 288 }
const COLUMNS = ['records', 'bytes', 'in', 'out'] as const

/** What of a sink and class was seen at a time, in all. */
interface Seen {
  readonly records: number
  readonly bytes: number
  readonly in: number
  readonly out: number
}

export function createTrends(clock: Clock, outbox: () => OutboxStatus): Trends {
  const fine = new Ring(FINE.step, FINE.length)
  const coarse = new Ring(COARSE.step, COARSE.length)
  let ticks = 0
  const look = () => {
    const seen = seenIn(outbox())
    fine.add(clock.now(), seen)
    if (ticks++ % (COARSE.step / FINE.step) === 0) coarse.add(clock.now(), seen)
  }
  look()
  const timer = clock.every(FINE.step, look)
  return {
    history: (span) => (span === '1h' ? fine : coarse).history(),
    rated: (status) => ({
      ...status,
      sinks: status.sinks.map((sink) => ({
        ...sink,
        backlog: sink.backlog.map(({ drainSeconds: _, ...one }) => {
          const inRate = fine.latest(keyOf(sink.name, one.class))
          const net = (one.rate ?? 0) - inRate
          return { ...one, inRate, ...(one.records > 0 && net > 0 ? { drainSeconds: one.records / net } : {}) }
        }),
      })),
    }),
    stop: () => timer.cancel(),
  }
}

function keyOf(sink: string, recordClass: string): string {
  return `${recordClass} ${sink}`
}

function seenIn({ classes, sinks }: OutboxStatus): Map<string, Seen> {
  const seen = new Map<string, Seen>()
  for (const { name, backlog } of sinks)
    for (const one of backlog) {
      const next = classes.find(({ class: of }) => of === one.class)?.next ?? 0
      seen.set(keyOf(name, one.class), { records: one.records, bytes: one.bytes, in: next, out: one.acked ?? 0 })
    }
  return seen
}

/** Columns of each sink and class, written round and round. */
class Ring {
  readonly #step: number
  readonly #length: number
  readonly #times: Float64Array
  readonly #columns = new Map<string, Float64Array>()
  #before = new Map<string, Seen>()
  #count = 0

  constructor(step: number, length: number) {
    this.#step = step
    this.#length = length
    this.#times = new Float64Array(length)
  }

  add(time: number, seen: ReadonlyMap<string, Seen>): void {
    const at = this.#count % this.#length
    const before = this.#times[(this.#count + this.#length - 1) % this.#length] as number
    const seconds = this.#count === 0 ? 0 : Math.max(1, time - before) / 1000
    this.#times[at] = time
    for (const [key, now] of seen) {
      const last = this.#before.get(key)
      const rate = (pick: (one: Seen) => number) =>
        last && seconds > 0 ? Math.max(0, pick(now) - pick(last)) / seconds : 0
      this.#columnsOf(key).set(
        [now.records, now.bytes, rate((one) => one.in), rate((one) => one.out)],
        at * COLUMNS.length,
      )
    }
    for (const key of this.#columns.keys()) if (!seen.has(key)) this.#columns.delete(key)
    this.#before = new Map(seen)
    this.#count++
  }

  /** Records per second that came in the last step. */
  latest(key: string): number {
    const at = (this.#count + this.#length - 1) % this.#length
    return this.#columns.get(key)?.[at * COLUMNS.length + COLUMNS.indexOf('in')] ?? 0
  }

  history(): OutboxHistory {
    const kept = Math.min(this.#count, this.#length)
    const places = Array.from({ length: kept }, (_, i) => (this.#count - kept + i) % this.#length)
    const series = [...this.#columns].map(([key, values]) => {
      const [recordClass, ...sink] = key.split(' ')
      const column = (i: number) => places.map((at) => values[at * COLUMNS.length + i] as number)
      return {
        sink: sink.join(' '),
        class: recordClass as 'event' | 'result' | 'reading',
        records: column(0),
        bytes: column(1),
        in: column(2),
        out: column(3),
      }
    })
    return { stepMs: this.#step, times: places.map((at) => this.#times[at] as number), series }
  }

  #columnsOf(key: string): Float64Array {
    let columns = this.#columns.get(key)
    if (!columns) {
      columns = new Float64Array(COLUMNS.length * this.#length)
      this.#columns.set(key, columns)
    }
    return columns
  }
}
