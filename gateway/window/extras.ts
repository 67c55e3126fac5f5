/**
 * What numbers cannot hold of panes: the values of text fields, sketches, and readings per source where there are
 * several. A pane names its extra by a place in the list; most panes of numbers have none.
 *
 *   snapshot   json    places, free places, texts in order of appearance, [place, sidecars] of the extras that have any
 *              floats  per place: number of text fields, -1 when free; per field: `other`, number of values, and per
 *                      value its place among the texts and its count
 *
 * Version 1 of the snapshot had them in the JSON of the panes.
 */
import { Distinct, type DistinctState } from './distinct.ts'
import type { Layout } from './layout.ts'
import { QuantileSketch, type SketchPartial } from './quantile-sketch.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
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

interface State {
  readonly places: number
  readonly free: number[]
  readonly texts: readonly string[]
  readonly sidecars: readonly (readonly [place: number, sidecars: Sidecars])[]
}

/** Version 1: the extras of all places, null when free. */
export interface FirstExtras {
  readonly extras: readonly ([texts: readonly FirstCounts[], ...Sidecars] | null)[]
  readonly freeExtras: number[]
}

type FirstCounts = readonly [values: readonly string[], counts: readonly number[], other: number]

const FREE = -1
/** Extras that are measured for an estimate of all. */
const SAMPLED = 256

export class Extras {
  readonly #sketch: boolean
  readonly #distinct: boolean
  #list: (Extra | undefined)[] = []
  #free: number[] = []

  /** @param sketch @param distinct whether each numeric field has one */
  constructor(sketch: boolean, distinct: boolean) {
    this.#sketch = sketch
    this.#distinct = distinct
  }

  at(place: number): Extra | undefined {
    return this.#list[place]
  }

  /** The place of a new one. */
  create(): number {
    const place = this.#free.pop() ?? this.#list.length
    this.#list[place] = emptyExtra()
    return place
  }

  free(place: number): void {
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
    const texts = new Map<string, number>()
    const sidecars: [number, Sidecars][] = []
    const numbers: number[] = []
    for (let place = 0; place < places; place++) {
      const extra = this.#list[place]
      numbers.push(extra ? extra.texts.length : FREE)
      if (!extra) continue
      for (const counts of extra.texts) counts.save(numbers, texts)
      if (hasSidecars(extra)) sidecars.push([place, sidecarsOf(extra)])
    }
    const state: State = { places, free: this.#free, texts: [...texts.keys()], sidecars }
    writer.json(state)
    writer.floats(Float64Array.from(numbers))
  }

  load(reader: SnapshotReader): void {
    const { places, free, texts, sidecars } = reader.json() as State
    const numbers = reader.floats()
    this.#free = free
    this.#list = []
    let at = 0
    for (let place = 0; place < places; place++) {
      const fields = numbers[at++] as number
      if (fields === FREE) this.#list.push(undefined)
      else {
        const extra = emptyExtra()
        extra.texts = Array.from({ length: fields }, () => new TextCounts())
        for (const counts of extra.texts) at = counts.load(numbers, at, texts)
        this.#list.push(extra)
      }
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
