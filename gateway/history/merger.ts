/** Works blocks of the level below into a rollup, some rows at a time. */
import type { Fields } from './block.ts'
import { BlockReader, type BlockSeries, type Visit, type Wants } from './block-reader.ts'
import { createSeries, type OpenSeries, type Rollup } from './rollup.ts'

/** By their ids, of one shape. */
type Places = Map<string, OpenSeries>

/** The block that is being merged. */
interface Merging {
  readonly block: Buffer
  readonly reader: BlockReader
  /** By the shapes of the block. */
  readonly places: Map<Fields, Places>
  /** Of the block's buckets, ms. */
  readonly step: number
}

const EVERYTHING: Wants = () => true

export class Merger {
  readonly #rollup: Rollup
  /** By what is in a shape: each block has its own. */
  readonly #places = new Map<string, Places>()
  #merging: Merging | undefined

  constructor(rollup: Rollup) {
    this.#rollup = rollup
  }

  /** @param step of the block's buckets, ms */
  begin(block: Buffer, step: number): void {
    this.#merging = { block, reader: new BlockReader(block, EVERYTHING), places: new Map(), step }
  }

  /**
   * Merges the next rows, about `fields` fields of them. False when there are no more.
   *
   * @throws RangeError, TypeError it is no block
   */
  some(fields: number): boolean {
    const merging = this.#merging
    if (merging === undefined) return false
    const { reader, step } = merging
    const { row } = reader
    let left = fields
    while (left > 0 && reader.next()) {
      this.#rollup.merge(this.#placeOf(row.series, merging), this.#bucket(row.bucket, step), row)
      left -= 1 + row.series.fields.kinds.length
    }
    if (left > 0) this.#merging = undefined
    return left <= 0
  }

  /** What was not merged yet never is. */
  giveUp(): void {
    this.#merging = undefined
  }

  /** Visits the rows that are still to be merged, in the rollup's buckets. */
  rest(wants: Wants, visit: Visit): void {
    if (this.#merging === undefined) return
    const { block, step, reader: merged } = this.#merging
    const reader = new BlockReader(block, wants)
    const { row } = reader
    while (reader.next()) {
      if (reader.start < merged.at) continue
      row.bucket = this.#bucket(row.bucket, step)
      visit(row)
    }
  }

  /** The rollup begins anew. */
  forget(): void {
    this.#places.clear()
  }

  #bucket(bucket: number, step: number): number {
    return Math.floor((bucket * step) / this.#rollup.step)
  }

  #placeOf({ id, fields }: BlockSeries, { places }: Merging): OpenSeries {
    let ofShape = places.get(fields)
    if (ofShape === undefined) {
      ofShape = this.#placesOf(fields)
      places.set(fields, ofShape)
    }
    let series = ofShape.get(id)
    if (series === undefined) {
      series = createSeries(id, fields)
      ofShape.set(id, series)
    }
    return series
  }

  #placesOf({ names, kinds }: Fields): Places {
    const key = `${kinds.join('')}${names.join('\0')}`
    const known = this.#places.get(key) ?? new Map()
    this.#places.set(key, known)
    return known
  }
}
