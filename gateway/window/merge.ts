/**
 * How a receiver rolls up results: the same field of two windows (shorter windows into an hour, devices into a site)
 * becomes one. What is exact: count, min, max, sum, and mean, ssd and standard deviations up to rounding (Chan, Golub
 * and LeVeque, 1979). Quantiles merge through `sketch` and keep its 1 % error; without it they cannot, and are left out,
 * as are `rate`, `distinct`, `first` and `last`.
 */
import type { NumberStatistics, TextStatistics } from '../record.ts'
import { QuantileSketch, type SketchPartial } from './quantile-sketch.ts'

/** The statistics of both sets of values together. Neither input is changed. */
export function mergeNumberStatistics(a: NumberStatistics, b: NumberStatistics): NumberStatistics {
  if (a.count === 0) return b
  if (b.count === 0) return a
  const count = a.count + b.count
  const merged: Record<string, unknown> & { count: number } = { count }
  if (a.min !== undefined && b.min !== undefined) merged.min = Math.min(a.min, b.min)
  if (a.max !== undefined && b.max !== undefined) merged.max = Math.max(a.max, b.max)
  if (a.sum !== undefined && b.sum !== undefined) merged.sum = a.sum + b.sum
  const means = [meanOf(a), meanOf(b)] as const
  if (means[0] !== undefined && means[1] !== undefined) {
    if (a.mean !== undefined && b.mean !== undefined) merged.mean = mergedMean(a, means[0], b, means[1])
    mergeDeviations(merged, a, b, means[1] - means[0])
  }
  mergeSketches(merged, a, b)
  return merged
}

/** Counts per value of both together. */
export function mergeTextStatistics(a: TextStatistics, b: TextStatistics): TextStatistics {
  const values = new Map(Object.entries(a.values))
  for (const [value, count] of Object.entries(b.values)) values.set(value, (values.get(value) ?? 0) + count)
  const other = (a.other ?? 0) + (b.other ?? 0)
  const merged = { count: a.count + b.count, values: Object.fromEntries(values) }
  return other > 0 ? { ...merged, other } : merged
}

function meanOf(statistics: NumberStatistics): number | undefined {
  return statistics.mean ?? (statistics.sum === undefined ? undefined : statistics.sum / statistics.count)
}

/** From the sums when there are any: then it is as exact as they are. */
function mergedMean(a: NumberStatistics, meanA: number, b: NumberStatistics, meanB: number): number {
  const count = a.count + b.count
  if (a.sum !== undefined && b.sum !== undefined) return (a.sum + b.sum) / count
  return meanA + ((meanB - meanA) * b.count) / count
}

/** @param delta between the means */
function mergeDeviations(
  merged: Record<string, unknown> & { count: number },
  a: NumberStatistics,
  b: NumberStatistics,
  delta: number,
): void {
  const [first, second] = [ssdOf(a), ssdOf(b)]
  if (first === undefined || second === undefined) return
  const ssd = first + second + (delta * delta * a.count * b.count) / merged.count
  if (a.ssd !== undefined && b.ssd !== undefined) merged.ssd = ssd
  if (a.stddev !== undefined && b.stddev !== undefined) merged.stddev = Math.sqrt(ssd / merged.count)
  if ('stddev_samp' in a || 'stddev_samp' in b) merged.stddev_samp = Math.sqrt(ssd / (merged.count - 1))
}

function ssdOf({ count, ssd, stddev, stddev_samp }: NumberStatistics): number | undefined {
  if (ssd !== undefined) return ssd
  if (stddev !== undefined) return stddev * stddev * count
  if (typeof stddev_samp === 'number') return stddev_samp * stddev_samp * (count - 1)
  return count === 1 ? 0 : undefined
}

function mergeSketches(merged: Record<string, unknown>, a: NumberStatistics, b: NumberStatistics): void {
  if (a.sketch === undefined || b.sketch === undefined) return
  const sketch = QuantileSketch.from(a.sketch as SketchPartial)
  sketch.merge(QuantileSketch.from(b.sketch as SketchPartial))
  for (const name of Object.keys(a)) {
    if (/^p\d/.test(name)) merged[name] = clamped(sketch.quantile(Number(name.slice(1)) / 100), merged)
  }
  merged.sketch = sketch.partial()
}

function clamped(value: number | undefined, { min, max }: Record<string, unknown>): number | undefined {
  if (value === undefined) return undefined
  const low = typeof min === 'number' ? Math.max(value, min) : value
  return typeof max === 'number' ? Math.min(low, max) : low
}
