/** Reads blocks; see `block.ts`. */
import { type Kind, MAX_FIELDS, TEXT } from '../reading.ts'
import { BASE_AT, type Fields, HEAD, ID, SAME_TEXT, VERSION } from './block.ts'
import { Cursor } from './numbers.ts'

/** What a row is of, as a reader finds it. */
export interface BlockSeries {
  readonly id: string
  readonly fields: Fields
}

/** Valid until the next row. */
export interface Row {
  series: BlockSeries
  bucket: number
  count: number
  /** Least, greatest and sum per field; of text fields without meaning. */
  readonly values: Float64Array
  /** Per field; of others without meaning. */
  texts: readonly string[]
}

export type Wants = (series: BlockSeries) => boolean
export type Visit = (row: Row) => void

/** First and last bucket of a block, or undefined when a newer gateway wrote it. */
export function spanOf(block: Buffer): { readonly first: number; readonly last: number } | undefined {
  if (block[0] !== VERSION) return undefined
  return { first: block.readUInt32BE(1), last: block.readUInt32BE(5) }
}

/** Visits the rows of the series that are wanted, in the order in which they were written. */
export function readBlock(block: Buffer, wants: Wants, visit: Visit): void {
  const reader = new BlockReader(block, wants)
  while (reader.next()) visit(reader.row)
}

interface SeenSeries extends BlockSeries {
  wanted: boolean
  /** Of its row before. */
  readonly texts: string[]
}

export class BlockReader {
  /** Set by `next`. */
  readonly row: Row = {
    series: NONE,
    bucket: 0,
    count: 0,
    values: new Float64Array(3 * MAX_FIELDS),
    texts: [] as string[],
  }
  /** Where in the block it begins. */
  start = HEAD
  readonly #from: Cursor
  readonly #wants: Wants
  readonly #base: number
  readonly #series: SeenSeries[] = []
  readonly #shapes: Fields[] = []

  /** A block of a newer gateway has no rows. */
  constructor(block: Buffer, wants: Wants) {
    const known = block[0] === VERSION
    this.#from = new Cursor(block, known ? HEAD : block.length)
    this.#base = known ? block.readUInt32BE(BASE_AT) : 0
    this.#wants = wants
  }

  /** Where in the block the row ends, and the next one begins. */
  get at(): number {
    return this.#from.at
  }

  /** Goes on to the next row of a series that is wanted. False when there is none. */
  next(): boolean {
    const from = this.#from
    while (from.at < from.bytes.length) {
      this.start = from.at
      const end = from.varint() + from.at
      const series = this.#seriesOf(from.varint())
      if (series.wanted) this.#read(series)
      from.at = end
      if (series.wanted) return true
    }
    return false
  }

  #seriesOf(ref: number): SeenSeries {
    if (ref > 0) return this.#series[ref - 1] ?? NONE
    const { id, fields } = readDefinition(this.#from, this.#shapes)
    const series = { id, fields, wanted: false, texts: [] }
    series.wanted = this.#wants(series)
    this.#series.push(series)
    return series
  }

  #read(series: SeenSeries): void {
    const { row } = this
    row.series = series
    row.bucket = this.#base + this.#from.zigzag()
    row.count = this.#from.varint()
    row.texts = series.texts
    readFields(this.#from, row, series.texts)
  }
}

const NONE: SeenSeries = { id: '', fields: { names: [], kinds: [] }, wanted: false, texts: [] }

function readDefinition(from: Cursor, shapes: Fields[]): BlockSeries {
  const id = from.bytes.toString('latin1', from.at, from.at + ID)
  from.at += ID
  const shape = from.varint()
  if (shape > 0) return { id, fields: shapes[shape - 1] ?? NONE.fields }
  const names: string[] = []
  const kinds: Kind[] = []
  for (let left = from.varint(); left > 0; left--) {
    kinds.push(from.varint() as Kind)
    names.push(from.text())
  }
  const fields = { names, kinds }
  shapes.push(fields)
  return { id, fields }
}

/** @param texts of the series' row before */
function readFields(from: Cursor, { series, count, values }: Row, texts: string[]): void {
  const { kinds } = series.fields
  for (let i = 0; i < kinds.length; i++) {
    if (kinds[i] === TEXT) {
      if (from.bytes[from.at] === SAME_TEXT) from.at++
      else texts[i] = from.text()
      continue
    }
    const min = from.number()
    const max = count === 1 ? min : from.number()
    values[3 * i] = min
    values[3 * i + 1] = max
    values[3 * i + 2] = max === min ? min * count : from.number()
  }
}
