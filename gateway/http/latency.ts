/**
 * How long things take, in buckets that grow by about two: 16 numbers, no allocation per observation, and enough to
 * read a percentile off within a factor of two.
 */

/** Plain numbers, so that any stage can keep one and `/metrics` can show it. */
export interface Latency {
  /** Upper bounds in ms, ascending. */
  readonly bounds: readonly number[]
  /** Observations per bucket; one more than bounds, the last is above all of them. */
  readonly counts: ArrayLike<number>
  /** Sum of all observations, ms. */
  readonly sum: number
}

/** A latency that its owner adds to. */
export interface LatencyRecorder extends Latency {
  readonly counts: Float64Array
  sum: number
}

const BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000] as const

export function createLatency(): LatencyRecorder {
  return { bounds: BOUNDS, counts: new Float64Array(BOUNDS.length + 1), sum: 0 }
}

/** @param count how many took that long, for a stage that measures one batch for all in it */
export function observe(latency: LatencyRecorder, ms: number, count = 1): void {
  const { bounds, counts } = latency
  let bucket = 0
  while (bucket < bounds.length && ms > (bounds[bucket] as number)) bucket++
  counts[bucket] = (counts[bucket] as number) + count
  latency.sum += ms * count
}

/** The upper bound, in ms, of the bucket in which the quantile lies; undefined when there was no observation. */
export function quantile(latency: Latency, q: number): number | undefined {
  const { bounds, counts } = latency
  let total = 0
  for (let i = 0; i < counts.length; i++) total += counts[i] ?? 0
  if (total === 0) return undefined
  let seen = 0
  for (let i = 0; i < counts.length; i++) {
    seen += counts[i] ?? 0
    if (seen >= q * total) return bounds[Math.min(i, bounds.length - 1)]
  }
  return bounds.at(-1)
}
