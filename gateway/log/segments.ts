/** Which segments there are. Made from file names and sizes; where frames begin in them is learnt as they are read. */
import { join } from 'node:path'
import { SEGMENT_HEAD, segmentName } from './format.ts'

/** A frame's place is remembered when it lies this far after the last one remembered, bytes. */
const STRIDE = 65_536

export interface Segment {
  readonly path: string
  /** Number of its first record. It ends where the next segment begins. */
  readonly first: number
  readonly attempt: number
  /** Bytes that hold frames; the file may be longer after trouble. */
  size: number
  /** Wall clock when its first record came, ms since the epoch; undefined until it is looked up. */
  time: number | undefined
  /** Numbers of some frames' first records, ascending, and where those frames begin. */
  readonly numbers: number[]
  readonly offsets: number[]
}

export function createSegment(directory: string, first: number, attempt: number, size: number): Segment {
  const path = join(directory, segmentName(first, attempt))
  return { path, first, attempt, size, time: undefined, numbers: [], offsets: [] }
}

/** Remembers, now and then, where a frame begins. */
export function notePlace(segment: Segment, first: number, offset: number): void {
  const last = segment.offsets.at(-1) ?? 0
  if (offset < last + STRIDE) return
  segment.numbers.push(first)
  segment.offsets.push(offset)
}

/** Forgets what was beyond `size`. */
export function shrink(segment: Segment, size: number): void {
  segment.size = size
  while ((segment.offsets.at(-1) ?? 0) >= size && segment.offsets.pop() !== undefined) segment.numbers.pop()
}

/** Where to begin reading to find record `number`. */
export function placeOf(segment: Segment, number: number): number {
  const at = lastAtOrBelow(segment.numbers, number, (n) => n)
  return at < 0 ? SEGMENT_HEAD : (segment.offsets[at] as number)
}

/** Index of the last item at or below `number`, or -1; the items ascend. */
function lastAtOrBelow<T>(items: readonly T[], number: number, numberOf: (item: T) => number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numberOf(items[middle] as T) <= number) low = middle + 1
    else high = middle
  }
  return low - 1
}

export class Segments {
  readonly list: Segment[] = []
  #bytes = 0

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#bytes
  }

  get oldest(): Segment | undefined {
    return this.list[0]
  }

  get newest(): Segment | undefined {
    return this.list.at(-1)
  }

  add(segment: Segment): void {
    this.list.push(segment)
    this.#bytes += segment.size
  }

  remove(segment: Segment): void {
    const at = this.list.indexOf(segment)
    if (at < 0) return
    this.list.splice(at, 1)
    this.#bytes -= segment.size
  }

  grow(segment: Segment, bytes: number): void {
    segment.size += bytes
    this.#bytes += bytes
  }

  shrink(segment: Segment, size: number): void {
    this.#bytes -= segment.size - size
    shrink(segment, size)
  }

  /** The segment that holds `number`, or would: of several that begin there, the last. */
  holding(number: number): Segment | undefined {
    return this.list[lastAtOrBelow(this.list, number, (segment) => segment.first)]
  }

  after(segment: Segment): Segment | undefined {
    const at = this.list.indexOf(segment)
    return at < 0 ? undefined : this.list[at + 1]
  }

  /** Segments, oldest first, all of whose records are below `number`; never the newest. */
  below(number: number): readonly Segment[] {
    let count = 0
    while (count + 1 < this.list.length && (this.list[count + 1] as Segment).first <= number) count++
    return this.list.slice(0, count)
  }
}
