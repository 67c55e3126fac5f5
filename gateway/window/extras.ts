/**
 * What numbers cannot hold of panes: the values of text fields, sketches, and readings per source where there are
 * several. A pane names its extra by a place in the list; most panes of numbers have none.
 */
import { Distinct } from './distinct.ts'
import { bytesOf, type Extra, emptyExtra } from './extra.ts'
import { type Block, ExtrasSnapshot, extrasOfFirst, type FirstExtras, readBlock } from './extras-snapshot.ts'
import type { Layout } from './layout.ts'
import { QuantileSketch } from './quantile-sketch.ts'
import { FLAT, type SnapshotReader, type SnapshotWriter } from './snapshot.ts'
import { TextCounts } from './text-counts.ts'

interface State {
  readonly places: number
  readonly free: number[]
}

/** Extras that are measured for an estimate of all. */
const SAMPLED = 256

export class Extras {
  readonly #sketch: boolean
  readonly #distinct: boolean
  #list: (Extra | undefined)[] = []
  #free: number[] = []
  /** Snapshots that are being written. */
  #snapshots: ExtrasSnapshot[] = []

  /** @param sketch @param distinct whether each numeric field has one */
  constructor(sketch: boolean, distinct: boolean) {
    this.#sketch = sketch
    this.#distinct = distinct
  }

  /** To read from. */
  at(place: number): Extra | undefined {
    return this.#list[place]
  }

  /** To change. */
  writable(place: number): Extra {
    for (const snapshot of this.#snapshots) snapshot.before(place)
    return this.#list[place] as Extra
  }

  /** The place of a new one. */
  create(): number {
    const place = this.#free.pop() ?? this.#list.length
    for (const snapshot of this.#snapshots) snapshot.before(place)
    this.#list[place] = emptyExtra()
    return place
  }

  free(place: number): void {
    for (const snapshot of this.#snapshots) snapshot.before(place)
    this.#list[place] = undefined
    this.#free.push(place)
  }

  /** Makes room for the fields of a layout. */
  fit(extra: Extra, layout: Layout): void {
    while (extra.texts.length < layout.texts) {
      extra.texts = extra.texts.concat(new TextCounts())
      if (this.#distinct) extra.textDistinct.push(new Distinct())
    }
    while (this.#sketch && extra.sketches.length < layout.numbers) extra.sketches.push(new QuantileSketch())
    while (this.#distinct && extra.distinct.length < layout.numbers) extra.distinct.push(new Distinct())
  }

  bytes(): number {
    let bytes = 0
    // A part stands for all: the status is asked each second.
    const step = Math.ceil(this.#list.length / SAMPLED) || 1
    for (let place = 0; place < this.#list.length; place += step) {
      const extra = this.#list[place]
      if (extra) bytes += bytesOf(extra) * step
    }
    return bytes
  }

  save(writer: SnapshotWriter): void {
    const places = this.#list.length
    writer.json({ places, free: this.#free } satisfies State)
    const snapshot = new ExtrasSnapshot(this.#list, () => {
      this.#snapshots = this.#snapshots.filter((other) => other !== snapshot)
    })
    this.#snapshots.push(snapshot)
    writer.later(snapshot.pieces())
  }

  load(reader: SnapshotReader): void {
    const { places, free, ...first } = reader.json() as State & Omit<Block, 'first'>
    this.#free = free
    this.#list = new Array(places).fill(undefined)
    if (reader.version < FLAT) {
      readBlock(this.#list, { ...first, first: 0 }, reader.floats())
      return
    }
    for (let block = reader.json() as Block | null; block !== null; block = reader.json() as Block | null) {
      readBlock(this.#list, block, reader.floats())
    }
  }

  restoreFirst({ extras, freeExtras }: FirstExtras): void {
    this.#free = freeExtras
    this.#list = extrasOfFirst(extras)
  }
}
