/**
 * What numbers cannot hold of panes: the values of text fields, sketches, and readings per source where there are
 * several. A pane names its extra by a place in the list; most panes of numbers have none.
 *
 *   snapshot   json: places, free places | per block of 64 places, in any order: json, floats | json: null
 *     json     first place; texts in order of appearance; [place, sidecars] of the extras that have any
 *     floats   per place: number of text fields, -1 when free; per field: `other`, number of values, and per value its
 *              place among the texts and its count
 *
 * A block that changes before it was written is written first. Until version 3 all was one block, with the free places
 * in its JSON; version 1 had the extras in the JSON of the panes.
 */
import { Distinct, type DistinctState } from './distinct.ts'
import type { Layout } from './layout.ts'
import { QuantileSketch, type SketchPartial } from './quantile-sketch.ts'
import { FLAT, floatSection, jsonSection, type SnapshotReader, type SnapshotWriter } from './snapshot.ts'
import { TextCounts } from './text-counts.ts'

/** Per text field its counts, per numeric field its sketch; readings per source id when there are several. */
export interface Extra {
  texts: readonly TextCounts[]
  readonly textDistinct: Distinct[]
  readonly sketches: QuantileSketch[]
  readonly distinct: Distinct[]
  sources: number[] | undefined
}

type Sidecars = readonly [
  textDistinct: readonly DistinctState[],
  sketches: readonly SketchPartial[],
  distinct: readonly DistinctState[],
  sources: readonly number[] | null,
]

interface Block {
  readonly first: number
  readonly texts: readonly string[]
  readonly sidecars: readonly (readonly [place: number, sidecars: Sidecars])[]
}

interface State {
  readonly places: number
  readonly free: number[]
}

/** Version 1: the extras of all places, null when free. */
export interface FirstExtras {
  readonly extras: readonly ([texts: readonly FirstCounts[], ...Sidecars] | null)[]
  readonly freeExtras: number[]
}

type FirstCounts = readonly [values: readonly string[], counts: readonly number[], other: number]

const FREE = -1
/** Places that are written together. */
const BLOCK = 64
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
      this.#loadBlock({ ...first, first: 0 }, reader.floats())
      return
    }
    for (let block = reader.json() as Block | null; block !== null; block = reader.json() as Block | null) {
      this.#loadBlock(block, reader.floats())
    }
  }

  #loadBlock({ first, texts, sidecars }: Block, numbers: Float64Array): void {
    let at = 0
    for (let place = first; at < numbers.length; place++) {
      const fields = numbers[at++] as number
      if (fields === FREE) continue
      const extra = emptyExtra()
      extra.texts = Array.from({ length: fields }, () => new TextCounts())
      for (const counts of extra.texts) at = counts.load(numbers, at, texts)
      this.#list[place] = extra
    }
    for (const [place, saved] of sidecars) addSidecars(this.#list[place] as Extra, saved)
  }

  restoreFirst(extras: FirstExtras['extras'], free: number[]): void {
    this.#free = free
    this.#list = extras.map((saved) => {
      if (saved === null) return undefined
      const [texts, ...sidecars] = saved
      const extra: Extra = { ...emptyExtra(), texts: texts.map(countsOfFirst) }
      addSidecars(extra, sidecars)
      return extra
    })
  }
}

/** The extras of one moment, written block by block. */
class ExtrasSnapshot {
  /** What changes is written before, so the extras themselves need not be copied. */
  readonly #list: readonly (Extra | undefined)[]
  readonly #written: Uint8Array
  readonly #done: () => void
  /** Sections of blocks that were about to change. */
  #early: Uint8Array[] = []

  constructor(list: readonly (Extra | undefined)[], done: () => void) {
    this.#list = [...list]
    this.#written = new Uint8Array(Math.ceil(list.length / BLOCK))
    this.#done = done
  }

  /** This place is about to change. */
  before(place: number): void {
    const block = Math.floor(place / BLOCK)
    if (this.#written[block] === 0) this.#early.push(...this.#sections(block))
  }

  *pieces(): Generator<Uint8Array> {
    for (let block = 0; block < this.#written.length; block++) {
      if (this.#written[block] === 0) yield* this.#sections(block)
      const early = this.#early
      this.#early = []
      yield* early
    }
    this.#done()
    yield jsonSection(null)
  }

  #sections(block: number): Uint8Array[] {
    this.#written[block] = 1
    const first = block * BLOCK
    const texts = new Map<string, number>()
    const sidecars: [number, Sidecars][] = []
    const numbers: number[] = []
    for (let place = first; place < Math.min(first + BLOCK, this.#list.length); place++) {
      const extra = this.#list[place]
      numbers.push(extra ? extra.texts.length : FREE)
      if (!extra) continue
      for (const counts of extra.texts) counts.save(numbers, texts)
      if (hasSidecars(extra)) sidecars.push([place, sidecarsOf(extra)])
    }
    const state: Block = { first, texts: [...texts.keys()], sidecars }
    return [jsonSection(state), ...floatSection(Float64Array.from(numbers))]
  }
}

function emptyExtra(): Extra {
  return { texts: [], textDistinct: [], sketches: [], distinct: [], sources: undefined }
}

function countsOfFirst([values, counts, other]: FirstCounts): TextCounts {
  const restored = new TextCounts()
  const numbers = [other, values.length, ...counts.flatMap((count, place) => [place, count])]
  restored.load(Float64Array.from(numbers), 0, values)
  return restored
}

function hasSidecars({ textDistinct, sketches, distinct, sources }: Extra): boolean {
  return textDistinct.length > 0 || sketches.length > 0 || distinct.length > 0 || sources !== undefined
}

function sidecarsOf({ textDistinct, sketches, distinct, sources }: Extra): Sidecars {
  return [
    textDistinct.map((counts) => counts.state()),
    sketches.map((sketch) => sketch.partial()),
    distinct.map((counts) => counts.state()),
    sources ?? null,
  ]
}

function addSidecars(extra: Extra, [textDistinct, sketches, distinct, sources]: Sidecars): void {
  extra.textDistinct.push(...textDistinct.map(Distinct.from))
  extra.sketches.push(...sketches.map(QuantileSketch.from))
  extra.distinct.push(...distinct.map(Distinct.from))
  extra.sources = sources ? [...sources] : undefined
}

function bytesOf(extra: Extra): number {
  let bytes = 200
  for (const kind of [extra.texts, extra.textDistinct, extra.sketches, extra.distinct]) {
    for (const part of kind) bytes += part.bytes() + 8
  }
  return bytes
}
