/**
 * Buckets that are open, of every series that speaks: count, and per field least, greatest and sum. A bucket that a
 * series leaves is written to the block at once; when it comes back, late, there is one more row for that bucket, and
 * rows add up. So memory is one bucket per series, and no reading is ever too late.
 *
 *   page   bucket | count | least, greatest, sum of field 0 | of field 1 …     one stretch per series, many in a page
 *                           of a text: SAME or another number
 *
 * `cut` ends a block: what it holds is all that came since the block before it. That takes no time, however many series
 * there are. Their open buckets are written out later, a few at a time by `writeOut`, or when the series speaks again:
 *
 *             cut                      cut
 *   ───────────┼────────────────────────┼──────────
 *    block 1   │ writeOut… │ done       │ writeOut…
 *              │ block 2 begins         │ block 3 begins
 */
import { TEXT } from '../reading.ts'
import { BlockWriter, type Fields, SAME, type Series } from './block.ts'
import { type Row, readBlock, type Visit, type Wants } from './block-reader.ts'

/** A series with its place. */
export interface OpenSeries extends Series {
  /** The rollup's when the place was given: of an older one it has none, or waits to be written out; 0: it has none. */
  generation: number
  page: Float64Array
  at: number
  /** Of the open bucket, by field. */
  readonly texts: string[]
}

/** What ends with a cut. */
interface Closing {
  readonly block: BlockWriter
  readonly open: readonly OpenSeries[]
  readonly generation: number
  /** Up to which record of the level below it reaches. */
  readonly mark: number
  /** The series to be written out next. */
  next: number
}

/** A block, and up to where it reaches. */
export interface Cut {
  readonly block: Buffer
  readonly mark: number
}

/** A block is written when the open buckets take this many bytes, however few have left. */
const FULL_PAGES = 16 << 20
/** Numbers in a page: room for the most fields a reading may have. */
const PAGE = 4096
const PAGE_BYTES = 8 * PAGE
/** The page of a series that has no place. */
export const NOWHERE = new Float64Array(0)

export class Rollup {
  /** Length of a bucket, ms. */
  readonly step: number
  generation = 1
  readonly #blockBytes: number
  #block = new BlockWriter()
  #open: OpenSeries[] = []
  #page = NOWHERE
  /** Numbers used of the page. */
  #used = PAGE
  #pages = 0
  #closing: Closing | undefined

  /** @param blockBytes a block is written when it has as many */
  constructor(step: number, blockBytes: number) {
    this.step = step
    this.#blockBytes = blockBytes
  }

  /** It is time to cut. */
  get full(): boolean {
    return this.#block.size >= this.#blockBytes || this.#pages * PAGE_BYTES >= FULL_PAGES
  }

  /** Something is left to be written out. */
  get closing(): boolean {
    return this.#closing !== undefined
  }

  /** Gives a series its place. */
  open(series: OpenSeries): void {
    if (series.generation > 0 && this.#closing) close(series, this.#closing.block)
    const size = 2 + 3 * series.fields.kinds.length
    if (this.#used + size > PAGE) {
      this.#page = new Float64Array(PAGE)
      this.#pages++
      this.#used = 0
    }
    series.generation = this.generation
    series.ref = 0
    series.page = this.#page
    series.at = this.#used
    series.page[series.at] = -1
    series.page[series.at + 1] = 0
    this.#used += size
    this.#open.push(series)
  }

  /** The series goes on with another bucket. Texts are taken once, at its beginning: taking each costs a reading more than all its numbers. */
  turn(series: OpenSeries, bucket: number, texts: readonly string[]): void {
    const { page, at } = series
    const { kinds } = series.fields
    writeRow(series, this.#block)
    page[at] = bucket
    page[at + 1] = 0
    for (let i = 0, field = at + 2; i < kinds.length; i++, field += 3) {
      page[field] = Infinity
      page[field + 1] = -Infinity
      page[field + 2] = 0
      if (kinds[i] !== TEXT) continue
      if (series.texts[i] === texts[i]) page[field] = SAME
      else series.texts[i] = texts[i] as string
    }
  }

  /** Adds a row, of a finer rollup or of another block. */
  merge(series: OpenSeries, bucket: number, row: Pick<Row, 'count' | 'values' | 'texts'>): void {
    if (series.generation !== this.generation) this.open(series)
    const { page, at } = series
    const { kinds } = series.fields
    if (page[at] !== bucket) this.turn(series, bucket, row.texts)
    page[at + 1] = (page[at + 1] as number) + row.count
    for (let i = 0, field = at + 2; i < kinds.length; i++, field += 3) {
      if (kinds[i] === TEXT) continue
      page[field] = Math.min(page[field] as number, row.values[3 * i] as number)
      page[field + 1] = Math.max(page[field + 1] as number, row.values[3 * i + 1] as number)
      page[field + 2] = (page[field + 2] as number) + (row.values[3 * i + 2] as number)
    }
  }

  /** Ends the block, unless nothing came; only when nothing is left to be written out. */
  cut(mark: number): void {
    if (this.#open.length === 0) return
    this.#closing = { block: this.#block, open: this.#open, generation: this.generation, mark, next: 0 }
    this.#block = new BlockWriter()
    this.#open = []
    this.#page = NOWHERE
    this.#used = PAGE
    this.#pages = 0
    this.generation++
  }

  /** Writes out series of the last cut, about `fields` fields of them; its block, when these were the last. */
  writeOut(fields: number): Cut | undefined {
    const closing = this.#closing
    if (closing === undefined) return undefined
    const { block, open, generation, mark } = closing
    for (let left = fields; left > 0 && closing.next < open.length; closing.next++) {
      const series = open[closing.next] as OpenSeries
      if (series.generation === generation) close(series, block)
      left -= 1 + series.fields.kinds.length
    }
    if (closing.next < open.length) return undefined
    this.#closing = undefined
    const bytes = block.peek()
    return bytes && { block: bytes, mark }
  }

  /** Visits what blocks that end now would hold of the series that are wanted. */
  read(wants: Wants, visit: Visit): void {
    if (this.#closing) readOpen(this.#closing.block, this.#closing.open, this.#closing.generation, wants, visit)
    readOpen(this.#block, this.#open, this.generation, wants, visit)
  }
}

function writeRow(series: OpenSeries, block: BlockWriter): void {
  const { page, at } = series
  const count = page[at + 1] as number
  if (count > 0) block.row(series, page[at] as number, count, page, at + 2, series.texts)
}

/** Writes the open bucket to the block that ends, and takes the place away. */
function close(series: OpenSeries, block: BlockWriter): void {
  writeRow(series, block)
  series.generation = 0
  series.page = NOWHERE
}

function readOpen(
  writer: BlockWriter,
  open: readonly OpenSeries[],
  generation: number,
  wants: Wants,
  visit: Visit,
): void {
  const block = writer.peek()
  if (block) readBlock(block, wants, visit)
  for (const one of open) {
    if (one.generation !== generation || !wants(one)) continue
    const { fields, page, at, texts } = one
    const count = page[at + 1] as number
    const values = page.subarray(at + 2, at + 2 + 3 * fields.kinds.length)
    if (count > 0) visit({ series: one, bucket: page[at] as number, count, values, texts })
  }
}

const NO_TEXTS: string[] = []

/** Room for the texts of a series. A list that grows as it is filled would take twice as much. */
export function textsOf({ kinds }: Fields): string[] {
  return kinds.includes(TEXT) ? new Array<string>(kinds.length).fill('') : NO_TEXTS
}

export function createSeries(id: string, fields: Fields): OpenSeries {
  return { id, fields, ref: 0, generation: 0, page: NOWHERE, at: 0, texts: textsOf(fields) }
}
