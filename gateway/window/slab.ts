/**
 * Blocks of float64 in chunks of 128 KiB: no object per pane, nothing for the garbage collector to walk, and growing
 * copies nothing. A block is named by a number, `chunk << 14 | offset`. Freed blocks are chained by their first word,
 * one chain per block size; sizes come from `capacityFor`, so there are few of them.
 *
 * A snapshot holds the chunks as they are: one that changes before it was written is copied first.
 */
import { floatSection, type SnapshotReader, type SnapshotWriter } from './snapshot.ts'

export const CHUNK_BITS = 14
const CHUNK = 1 << CHUNK_BITS
export const OFFSET_MASK = CHUNK - 1
export const NONE = -1
const NOTHING = new Float64Array(0)

/** The next capacity in fields: exact up to 4, then four steps per doubling, so at most a quarter is unused. */
export function capacityFor(fields: number): number {
  if (fields <= 4) return fields
  const step = 1 << (29 - Math.clz32(fields - 1))
  return Math.ceil(fields / step) * step
}

export class Slab {
  /** To read from; `writable` is to write to. */
  chunks: Float64Array[] = []
  /** Per chunk how many snapshots hold it. */
  #holds: number[] = []
  #free = new Map<number, number>()
  #end = CHUNK
  #used = 0

  /** The chunk of a block that is about to change. */
  writable(block: number): Float64Array {
    const at = block >>> CHUNK_BITS
    return this.#holds[at] === 0 ? (this.chunks[at] as Float64Array) : this.#copy(at)
  }

  /** A zeroed block of `size` words, at most 16,384. */
  allocate(size: number): number {
    this.#used += size
    const free = this.#free.get(size) ?? NONE
    const block = free === NONE ? this.#extend(size) : free
    const chunk = this.writable(block)
    const offset = block & OFFSET_MASK
    if (free !== NONE) this.#free.set(size, chunk[offset] as number)
    chunk.fill(0, offset, offset + size)
    return block
  }

  free(block: number, size: number): void {
    this.#used -= size
    if (this.#used === 0) {
      this.#reset()
      return
    }
    this.writable(block)[block & OFFSET_MASK] = this.#free.get(size) ?? NONE
    this.#free.set(size, block)
  }

  bytes(): number {
    return this.chunks.length * CHUNK * 8
  }

  save(writer: SnapshotWriter): void {
    writer.json({ free: [...this.#free], end: this.#end, used: this.#used, chunks: this.chunks.length })
    const held = this.chunks.map((chunk, i) => (i === this.chunks.length - 1 ? chunk.subarray(0, this.#end) : chunk))
    for (let i = 0; i < held.length; i++) (this.#holds[i] as number)++
    writer.later(this.#pieces(held))
  }

  load(reader: SnapshotReader): void {
    const state = reader.json() as { free: [number, number][]; end: number; used: number; chunks: number }
    this.#free = new Map(state.free)
    this.#end = state.end
    this.#used = state.used
    this.chunks = Array.from({ length: state.chunks }, () => reader.floats(CHUNK))
    this.#holds = this.chunks.map(() => 0)
  }

  *#pieces(held: Float64Array[]): Generator<Uint8Array> {
    for (let i = 0; i < held.length; i++) {
      const chunk = held[i] as Float64Array
      yield* floatSection(chunk)
      // If it is another one by now, the snapshot has the only hold on the old one.
      if (this.chunks[i]?.buffer === chunk.buffer) (this.#holds[i] as number)--
      held[i] = NOTHING
    }
  }

  #copy(at: number): Float64Array {
    const copy = (this.chunks[at] as Float64Array).slice()
    this.chunks[at] = copy
    this.#holds[at] = 0
    return copy
  }

  #extend(size: number): number {
    if (this.#end + size > CHUNK) {
      this.chunks.push(new Float64Array(CHUNK))
      this.#holds.push(0)
      this.#end = 0
    }
    const block = ((this.chunks.length - 1) << CHUNK_BITS) | this.#end
    this.#end += size
    return block
  }

  /** Nothing is in use: give the memory of a past peak back, but for one chunk. */
  #reset(): void {
    this.#free.clear()
    this.chunks.length = Math.min(1, this.chunks.length)
    this.#holds.length = this.chunks.length
    this.#end = this.chunks.length === 0 ? CHUNK : 0
  }
}
