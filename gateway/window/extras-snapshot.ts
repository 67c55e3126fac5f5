/**
 * Extras in a snapshot.
 *
 *   json: places, free places | per block of 64 places, in any order: json, floats | json: null
 *
 *   json     first place; texts in order of appearance; [place, sidecars] of the extras that have any
 *   floats   per place: number of text fields, -1 when free; per field: `other`, number of values, and per value its
 *            place among the texts and its count
 *
 * A block that changes before it was written is written first. Until version 3 all was one block, with the free places
 * in its JSON; version 1 had the extras in the JSON of the panes.
 */
import { Distinct, type DistinctState } from './distinct.ts'
import { type Extra, emptyExtra } from './extra.ts'
import { QuantileSketch, type SketchPartial } from './quantile-sketch.ts'
import { floatSection, jsonSection } from './snapshot.ts'
import { TextCounts } from './text-counts.ts'

type Sidecars = readonly [
  textDistinct: readonly DistinctState[],
  sketches: readonly SketchPartial[],
  distinct: readonly DistinctState[],
  sources: readonly number[] | null,
]

export interface Block {
  readonly first: number
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
/** Places that are written together. */
const BLOCK = 64

/** The extras of one moment, written block by block. */
export class ExtrasSnapshot {
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

/** Puts the extras of a block at their places. */
export function readBlock(list: (Extra | undefined)[], { first, texts, sidecars }: Block, numbers: Float64Array): void {
  let at = 0
  for (let place = first; at < numbers.length; place++) {
    const fields = numbers[at++] as number
    if (fields === FREE) continue
    const extra = emptyExtra()
    extra.texts = Array.from({ length: fields }, () => new TextCounts())
    for (const counts of extra.texts) at = counts.load(numbers, at, texts)
    list[place] = extra
  }
  for (const [place, saved] of sidecars) addSidecars(list[place] as Extra, saved)
}

export function extrasOfFirst(extras: FirstExtras['extras']): (Extra | undefined)[] {
  return extras.map((saved) => {
    if (saved === null) return undefined
    const [texts, ...sidecars] = saved
    const extra: Extra = { ...emptyExtra(), texts: texts.map(countsOfFirst) }
    addSidecars(extra, sidecars)
    return extra
  })
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
