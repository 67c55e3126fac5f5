/**
 * Quantiles with a relative error of at most 1 %, in buckets that grow geometrically: bucket i holds the values in
 * (g^(i-1), g^i] with g = 1.01/0.99, and stands for 2·g^i/(g+1), which is within 1 % of each of them (Masson, Rim and
 * Lee, "DDSketch", VLDB 2019). Negative values have buckets of their own, zero a counter. Two sketches merge by adding
 * counts, so merging loses nothing.
 *
 * At most 2,048 buckets per sign are kept, a span of 10^17 between the smallest and the largest magnitude; beyond it
 * the smallest magnitudes share a bucket.
 */

export const SKETCH_ERROR = 0.01
const GAMMA = (1 + SKETCH_ERROR) / (1 - SKETCH_ERROR)
const PER_LOG = 1 / Math.log(GAMMA)
const MOST_BUCKETS = 2048

/** Buckets that are not empty, with their counts, by rising index. */
export type SketchBuckets = readonly (readonly [bucket: number, count: number])[]

/** A sketch as it stands in records. */
export interface SketchPartial {
  readonly error: number
  readonly zero: number
  readonly positive: SketchBuckets
  readonly negative: SketchBuckets
}

class Buckets {
  #offset = 0
  #counts = new Float64Array(0)
  #low = 0
  #high = -1
  total = 0

  add(index: number, count: number): void {
    this.total += count
    if (this.#high < this.#low) this.#start(index)
    else if (index < this.#low) this.#lower(index)
    else if (index > this.#high) this.#raise(index)
    const at = Math.max(index, this.#low) - this.#offset
    this.#counts[at] = (this.#counts[at] as number) + count
  }

  merge(other: Buckets): void {
    for (let i = other.#high; i >= other.#low; i--) {
      const count = other.#counts[i - other.#offset] as number
      if (count > 0) this.add(i, count)
    }
  }

  /** The bucket that holds the value of this rank, counted from 0 at the smallest magnitude. */
  at(rank: number): number {
    let seen = 0
    for (let i = this.#low; i <= this.#high; i++) {
      seen += this.#counts[i - this.#offset] as number
      if (seen > rank) return i
    }
    return this.#high
  }

  partial(): SketchBuckets {
    const pairs: [number, number][] = []
    for (let i = this.#low; i <= this.#high; i++) {
      const count = this.#counts[i - this.#offset] as number
      if (count > 0) pairs.push([i, count])
    }
    return pairs
  }

  bytes(): number {
    return 120 + this.#counts.byteLength
  }

  #start(index: number): void {
    this.#counts = new Float64Array(8)
    this.#offset = index - 4
    this.#low = index
    this.#high = index
  }

  #lower(index: number): void {
    const low = Math.max(index, this.#high - MOST_BUCKETS + 1)
    if (low >= this.#low) return
    this.#fit(low, this.#high)
    this.#low = low
  }

  #raise(index: number): void {
    const low = Math.max(this.#low, index - MOST_BUCKETS + 1)
    let folded = 0
    for (let i = this.#low; i < low && i <= this.#high; i++) folded += this.#counts[i - this.#offset] as number
    this.#low = low
    this.#high = Math.max(this.#high, low)
    this.#fit(low, index)
    this.#high = index
    if (folded > 0) this.#counts[low - this.#offset] = (this.#counts[low - this.#offset] as number) + folded
  }

  /** Makes room for the buckets `low` … `high`, keeping the counts of those that are now in use. */
  #fit(low: number, high: number): void {
    if (low >= this.#offset && high < this.#offset + this.#counts.length) return
    const spare = (high - low + 1) >> 2
    const counts = new Float64Array(high - low + 1 + 2 * spare)
    const offset = low - spare
    for (let i = Math.max(this.#low, low); i <= this.#high; i++) {
      counts[i - offset] = this.#counts[i - this.#offset] ?? 0
    }
    this.#counts = counts
    this.#offset = offset
  }
}

export class QuantileSketch {
  #zero = 0
  readonly #positive = new Buckets()
  readonly #negative = new Buckets()

  /** @param value a finite number */
  add(value: number): void {
    if (value > 0) this.#positive.add(bucketOf(value), 1)
    else if (value < 0) this.#negative.add(bucketOf(-value), 1)
    else this.#zero++
  }

  merge(other: QuantileSketch): void {
    this.#zero += other.#zero
    this.#positive.merge(other.#positive)
    this.#negative.merge(other.#negative)
  }

  /** The value at `fraction` (0 … 1) of the sorted values, lower rank; undefined when there are none. */
  quantile(fraction: number): number | undefined {
    const below = this.#negative.total
    const count = below + this.#zero + this.#positive.total
    if (count === 0) return undefined
    const rank = Math.floor(fraction * (count - 1))
    if (rank < below) return -middleOf(this.#negative.at(below - 1 - rank))
    if (rank < below + this.#zero) return 0
    return middleOf(this.#positive.at(rank - below - this.#zero))
  }

  partial(): SketchPartial {
    const positive = this.#positive.partial()
    return { error: SKETCH_ERROR, zero: this.#zero, positive, negative: this.#negative.partial() }
  }

  bytes(): number {
    return 48 + this.#positive.bytes() + this.#negative.bytes()
  }

  static from(partial: SketchPartial): QuantileSketch {
    const sketch = new QuantileSketch()
    sketch.#zero = partial.zero
    fill(sketch.#positive, partial.positive)
    fill(sketch.#negative, partial.negative)
    return sketch
  }
}

function bucketOf(magnitude: number): number {
  return Math.ceil(Math.log(magnitude) * PER_LOG)
}

function middleOf(bucket: number): number {
  return (2 * GAMMA ** bucket) / (GAMMA + 1)
}

/** From the highest down, so that it is the smallest magnitudes that share a bucket if any must. */
function fill(buckets: Buckets, partial: SketchBuckets): void {
  for (let i = partial.length - 1; i >= 0; i--) {
    const [bucket, count] = partial[i] as readonly [number, number]
    buckets.add(bucket, count)
  }
}
