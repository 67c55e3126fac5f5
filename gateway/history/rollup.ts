/**
 * Buckets that are open, of every series that speaks: count, and per field least, greatest and sum. A bucket that a
 * series leaves is written to the block at once; when it comes back, late, there is one more row for that bucket, and
 * rows add up. So memory is one bucket per series, and no reading is ever too late.
 *
 *   slab   bucket | count | least, greatest, sum of field 0 | of field 1 …     one stretch per series
 *
 * `take` writes out everything and begins anew: what a block holds is all that came since the block before it.
 */
import { TEXT } from '../reading.ts'
import { type BlockSeries, BlockWriter, type Fields, type Row, readBlock, type Series } from './block.ts'

/** A series with its place. Of another `generation` than the rollup's, it has none. */
export interface OpenSeries extends Series {
  generation: number
  at: number
  textAt: number
}

/** A block is written when the open buckets take this many bytes, however few have left. */
const FULL_SLAB = 16 << 20
const FIRST_SLAB = 4096

export class Rollup {
  /** Length of a bucket, ms. */
  readonly step: number
  generation = 1
  slab = new Float64Array(FIRST_SLAB)
  readonly texts: string[] = []
  #used = 0
  #open: OpenSeries[] = []
  readonly #block = new BlockWriter()

  readonly #blockBytes: number

  /** @param blockBytes a block is written when it has as many */
  constructor(step: number, blockBytes: number) {
    this.step = step
    this.#blockBytes = blockBytes
  }

  get empty(): boolean {
    return this.#open.length === 0
  }

  /** It is time to take a block. */
  get full(): boolean {
    return this.#block.size >= this.#blockBytes || this.#used * 8 >= FULL_SLAB
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return this.slab.byteLength + this.#block.size
  }

  /** Gives a series its place. */
  open(series: OpenSeries): void {
    const { kinds } = series.fields
    const size = 2 + 3 * kinds.length
    if (this.#used + size > this.slab.length) this.#grow(size)
    series.generation = this.generation
    series.ref = 0
    series.at = this.#used
    series.textAt = this.texts.length
    if (kinds.includes(TEXT)) for (let i = 0; i < kinds.length; i++) this.texts.push('')
    this.slab[series.at] = -1
    this.slab[series.at + 1] = 0
    this.#used += size
    this.#open.push(series)
  }

  /** The series goes on with another bucket. Texts are taken once, at its beginning: taking each costs a reading more than all its numbers. */
  turn(series: OpenSeries, bucket: number, texts: readonly string[]): void {
    const { slab } = this
    const { at, fields } = series
    this.#write(series)
    slab[at] = bucket
    slab[at + 1] = 0
    for (let i = 0, field = at + 2; i < fields.kinds.length; i++, field += 3) {
      slab[field] = Infinity
      slab[field + 1] = -Infinity
      slab[field + 2] = 0
      if (fields.kinds[i] === TEXT) this.texts[series.textAt + i] = texts[i] as string
    }
  }

  /** Adds a row, of a finer rollup or of another block. */
  merge(series: OpenSeries, bucket: number, row: Pick<Row, 'count' | 'values' | 'texts'>): void {
    if (series.generation !== this.generation) this.open(series)
    const { at, fields } = series
    if (this.slab[at] !== bucket) this.turn(series, bucket, row.texts)
    const { slab } = this
    slab[at + 1] = (slab[at + 1] as number) + row.count
    for (let i = 0, field = at + 2; i < fields.kinds.length; i++, field += 3) {
      if (fields.kinds[i] === TEXT) continue
      slab[field] = Math.min(slab[field] as number, row.values[3 * i] as number)
      slab[field + 1] = Math.max(slab[field + 1] as number, row.values[3 * i + 1] as number)
      slab[field + 2] = (slab[field + 2] as number) + (row.values[3 * i + 2] as number)
    }
  }

  /** All that came since the last call, as a block; undefined when that is nothing. */
  take(): Buffer | undefined {
    for (const series of this.#open) this.#write(series)
    const block = this.#block.peek()
    const taken = block && Buffer.from(block)
    this.#block.clear()
    this.#open = []
    this.#used = 0
    this.texts.length = 0
    this.generation++
    return taken
  }

  /** Visits what a block taken now would hold of the series that are wanted. */
  read(wants: (series: BlockSeries) => boolean, visit: (row: Row) => void): void {
    const block = this.#block.peek()
    if (block) readBlock(block, wants, visit)
    for (const { id, fields, at, textAt } of this.#open) {
      const series = { id, fields }
      const count = this.slab[at + 1] as number
      if (count === 0 || !wants(series)) continue
      const end = at + 2 + 3 * fields.kinds.length
      const values = this.slab.subarray(at + 2, end)
      const texts = this.texts.slice(textAt, textAt + fields.kinds.length)
      visit({ series, bucket: this.slab[at] as number, count, values, texts })
    }
  }

  #write(series: OpenSeries): void {
    const { slab, texts } = this
    const { at, textAt } = series
    const count = slab[at + 1] as number
    if (count > 0) this.#block.row(series, slab[at] as number, count, slab, at + 2, texts, textAt)
  }

  #grow(more: number): void {
    const larger = new Float64Array(Math.max(2 * this.slab.length, this.#used + more))
    larger.set(this.slab)
    this.slab = larger
  }
}

export function createSeries(id: string, fields: Fields): OpenSeries {
  return { id, fields, ref: 0, written: fields.kinds.includes(TEXT) ? [] : undefined, generation: 0, at: 0, textAt: 0 }
}
