/**
 * The statistics of one numeric field in one pane: a row of float64 columns.
 *
 *     count | shift | Σd | Σd² | min | max        d = x − shift, shift = the first value, or near the mean
 *     … | first time | first | last time | last   only with `first`, `last` or `rate`, by event time
 *     … | increase                                only with `rate`
 *
 * Sums about a shift instead of Welford's running mean: there is no division per value, integers stay exact (so do
 * `sum` and `ssd`), and it is as stable as long as Σd² = ssd + count·(shift − mean)² is not much more than ssd. The
 * first value will nearly always do. Whether it does is looked at whenever the count reaches a power of two: when Σd²
 * is more than four times ssd (the first value was an outlier), the shift moves to the mean, cut to eight significant
 * bits so that integers stay exact. So the error stays within a small multiple of count·2⁻⁵³, as with Welford. Rows
 * merge by moving one to the other's shift. Receivers merge results with Chan's formula, see `merge.ts`.
 */
import type { NumberStatistics } from '../record.ts'
import type { Distinct } from './distinct.ts'
import type { QuantileSketch } from './quantile-sketch.ts'

export const COUNT = 0
export const SHIFT = 1
export const SUM = 2
export const SQUARES = 3
export const MIN = 4
export const MAX = 5
const FIRST_TIME = 6
const FIRST = 7
const LAST_TIME = 8
const LAST = 9
const INCREASE = 10

export const DEFAULT_STATISTICS = ['count', 'min', 'max', 'sum', 'mean', 'ssd', 'stddev'] as const

const PLAIN = new Set([...DEFAULT_STATISTICS, 'stddev_samp', 'first', 'last', 'rate', 'distinct', 'sketch'])
const QUANTILE = /^p(\d{1,2}(?:\.\d+)?|100)$/

/** What a list of statistics needs per field, and how it is reported. */
export interface StatisticsPlan {
  /** Words per numeric field. */
  readonly stride: number
  /** Keeps the first and last value by time. */
  readonly ordered: boolean
  readonly rate: boolean
  readonly sketch: boolean
  readonly distinct: boolean
  /** In the order of the report; `count` comes first. */
  readonly names: readonly string[]
  /** By name, `p99` → 0.99. */
  readonly quantiles: ReadonlyMap<string, number>
}

/** True for the name of a statistic: one of the list, or a quantile such as `p50` or `p99.9`. */
export function isStatistic(name: string): boolean {
  return PLAIN.has(name) || QUANTILE.test(name)
}

/** @throws RangeError for a name that is no statistic */
export function planStatistics(listed: readonly string[]): StatisticsPlan {
  const names = [...new Set(['count', ...(listed.length > 0 ? listed : DEFAULT_STATISTICS)])]
  const unknown = names.find((name) => !isStatistic(name))
  if (unknown !== undefined) throw new RangeError(`${unknown} is not a statistic`)
  const quantiles = new Map<string, number>()
  for (const name of names) {
    const percent = QUANTILE.exec(name)?.[1]
    if (percent !== undefined) quantiles.set(name, Number(percent) / 100)
  }
  const rate = names.includes('rate')
  const ordered = rate || names.includes('first') || names.includes('last')
  return {
    stride: rate ? INCREASE + 1 : ordered ? LAST + 1 : MAX + 1,
    ordered,
    rate,
    sketch: quantiles.size > 0 || names.includes('sketch'),
    distinct: names.includes('distinct'),
    names,
    quantiles,
  }
}

/** Notes a value in the row's columns for order; call it before the value is counted. @param time event time, ms */
export function noteOrder(row: Float64Array, at: number, value: number, time: number, rate: boolean): void {
  if (row[at + COUNT] === 0) {
    row[at + FIRST_TIME] = time
    row[at + FIRST] = value
    row[at + LAST_TIME] = time
    row[at + LAST] = value
  } else if (time >= (row[at + LAST_TIME] as number)) {
    if (rate) row[at + INCREASE] = (row[at + INCREASE] as number) + step(row[at + LAST] as number, value)
    row[at + LAST_TIME] = time
    row[at + LAST] = value
  } else if (time < (row[at + FIRST_TIME] as number)) {
    if (rate) row[at + INCREASE] = (row[at + INCREASE] as number) + step(value, row[at + FIRST] as number)
    row[at + FIRST_TIME] = time
    row[at + FIRST] = value
  }
  // A value between first and last that comes out of order is within an increase already counted.
}

/** The fewest values for which it is worth to look whether the shift is good. */
export const RECENTRED_FROM = 16

/** Moves the shift near the mean when it is so far off that `ssd` would lose digits. */
export function recentre(row: Float64Array, at: number): void {
  const count = row[at + COUNT] as number
  const sum = row[at + SUM] as number
  const squares = row[at + SQUARES] as number
  if (sum * sum <= 0.75 * squares * count) return
  const shift = row[at + SHIFT] as number
  const moved = shift + eightBits(sum / count)
  const by = moved - shift
  row[at + SHIFT] = moved
  row[at + SUM] = sum - count * by
  row[at + SQUARES] = squares - 2 * by * sum + count * by * by
}

function eightBits(value: number): number {
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7)
  return unit > 0 && unit < Number.POSITIVE_INFINITY ? Math.round(value / unit) * unit : 0
}

/** Adds the row `b` at `from` to the row `a` at `to`. */
export function mergeRow(a: Float64Array, to: number, b: Float64Array, from: number, plan: StatisticsPlan): void {
  const count = b[from + COUNT] as number
  if (count === 0) return
  if (a[to + COUNT] === 0) {
    for (let i = 0; i < plan.stride; i++) a[to + i] = b[from + i] as number
    return
  }
  if (plan.ordered) mergeOrder(a, to, b, from, plan.rate)
  const move = (b[from + SHIFT] as number) - (a[to + SHIFT] as number)
  const sum = b[from + SUM] as number
  a[to + COUNT] = (a[to + COUNT] as number) + count
  a[to + SUM] = (a[to + SUM] as number) + sum + count * move
  a[to + SQUARES] = (a[to + SQUARES] as number) + (b[from + SQUARES] as number) + 2 * move * sum + count * move * move
  a[to + MIN] = Math.min(a[to + MIN] as number, b[from + MIN] as number)
  a[to + MAX] = Math.max(a[to + MAX] as number, b[from + MAX] as number)
  if ((a[to + COUNT] as number) >= RECENTRED_FROM) recentre(a, to)
}

/** The two rows are of disjoint stretches of time, or nearly (sessions that late readings joined). */
function mergeOrder(a: Float64Array, to: number, b: Float64Array, from: number, rate: boolean): void {
  const after = (b[from + FIRST_TIME] as number) >= (a[to + FIRST_TIME] as number)
  if (rate) {
    const between = after
      ? step(a[to + LAST] as number, b[from + FIRST] as number)
      : step(b[from + LAST] as number, a[to + FIRST] as number)
    a[to + INCREASE] = (a[to + INCREASE] as number) + (b[from + INCREASE] as number) + between
  }
  if (!after) {
    a[to + FIRST_TIME] = b[from + FIRST_TIME] as number
    a[to + FIRST] = b[from + FIRST] as number
  }
  if ((b[from + LAST_TIME] as number) >= (a[to + LAST_TIME] as number)) {
    a[to + LAST_TIME] = b[from + LAST_TIME] as number
    a[to + LAST] = b[from + LAST] as number
  }
}

/** How far a counter went on; after a reset it began again at zero. */
function step(before: number, after: number): number {
  return after >= before ? after - before : after
}

/** The report of a row whose count is not zero. */
export function reportRow(
  row: Float64Array,
  at: number,
  plan: StatisticsPlan,
  sketch: QuantileSketch | undefined,
  distinct: Distinct | undefined,
): NumberStatistics {
  const count = row[at + COUNT] as number
  const report: Record<string, unknown> & { count: number } = { count }
  for (let i = 1; i < plan.names.length; i++) {
    const name = plan.names[i] as string
    const value = statistic(name, row, at, count, plan, sketch, distinct)
    if (value !== undefined) report[name] = value
  }
  return report
}

function statistic(
  name: string,
  row: Float64Array,
  at: number,
  count: number,
  plan: StatisticsPlan,
  sketch: QuantileSketch | undefined,
  distinct: Distinct | undefined,
): unknown {
  switch (name) {
    case 'min':
      return row[at + MIN]
    case 'max':
      return row[at + MAX]
    case 'sum':
      return sumOf(row, at, count)
    case 'mean':
      return sumOf(row, at, count) / count
    case 'ssd':
      return ssdOf(row, at, count)
    case 'stddev':
      return Math.sqrt(ssdOf(row, at, count) / count)
    case 'stddev_samp':
      return count > 1 ? Math.sqrt(ssdOf(row, at, count) / (count - 1)) : undefined
    case 'first':
      return row[at + FIRST]
    case 'last':
      return row[at + LAST]
    case 'rate':
      return rateOf(row, at)
    case 'distinct':
      return distinct?.count()
    case 'sketch':
      return sketch?.partial()
    default:
      return quantile(row, at, sketch?.quantile(plan.quantiles.get(name) ?? 0))
  }
}

function sumOf(row: Float64Array, at: number, count: number): number {
  return count * (row[at + SHIFT] as number) + (row[at + SUM] as number)
}

function ssdOf(row: Float64Array, at: number, count: number): number {
  const sum = row[at + SUM] as number
  return Math.max(0, (row[at + SQUARES] as number) - (sum * sum) / count)
}

/** Per second between the first and the last value; undefined when all are of one moment. */
function rateOf(row: Float64Array, at: number): number | undefined {
  const seconds = ((row[at + LAST_TIME] as number) - (row[at + FIRST_TIME] as number)) / 1000
  return seconds > 0 ? (row[at + INCREASE] as number) / seconds : undefined
}

function quantile(row: Float64Array, at: number, estimate: number | undefined): number | undefined {
  if (estimate === undefined) return undefined
  return Math.min(Math.max(estimate, row[at + MIN] as number), row[at + MAX] as number)
}
