/**
 * The rules that concern a key, arranged by field: keys to which the same rules apply share one profile. Fields get a
 * slot when they are first seen, so that a key's state is as large as what it sends.
 */
import { type Shape, TEXT } from '../reading.ts'
import { ABSENT, CHANGE, type CompiledLeaf, type CompiledRule, RATE } from './condition.ts'
import { FIELD, HEAD, RATED } from './place.ts'

export interface WatchedField {
  readonly name: string
  /** Among the texts of a key. */
  readonly slot: number
  /** Among the numbers of a key; see `key-state.ts`. */
  readonly place: number
  /** Where its rates and its last time stand; -1: no rule asks for them. */
  readonly rated: number
  /** Where it stands when it was heard of; -1: no rule waits for its absence. */
  readonly heard: number
  /** Those on the value itself. */
  readonly leaves: readonly CompiledLeaf[]
  readonly edges: Edges
  readonly rates: Edges
  readonly changes: readonly CompiledLeaf[]
  /** Those that are true for a text. */
  readonly byText: ReadonlyMap<string, readonly CompiledLeaf[]>
  readonly absences: readonly CompiledLeaf[]
}

/** What a number can pass: `leaves[i]` may change at `values[i]`, which ascend. */
export interface Edges {
  readonly values: Float64Array
  readonly leaves: readonly CompiledLeaf[]
  /** By interval between the edges, and by edge: what is true there of leaves that were all false. */
  readonly fresh: (readonly CompiledLeaf[] | undefined)[]
}

/**
 * What is looked at in readings of one shape: per field that any rule asks for a step of `STEP` numbers. Other fields
 * cost nothing.
 */
export interface ShapePlan {
  readonly shape: Shape
  readonly steps: Int32Array
  readonly fields: readonly WatchedField[]
}

/** Where the field stands in the reading. */
export const POSITION = 0
/** Where its text stands among the key's, its number, its rate (or -1), and when it was heard of (or -1). */
export const SLOT = 1
/** `A_TEXT`; a number of which only the value matters, or its rate too, or its changes too. */
export const LOOK = 2
export const PLACE = 3
export const RATES = 4
export const HEARD_AT = 5
export const STEP = 6

export const A_TEXT = 0
export const A_NUMBER = 1
export const A_RATED = 2
export const A_CHANGING = 3

export class Profile {
  readonly rules: readonly CompiledRule[]
  /** Absence of anything, shortest first. */
  readonly silences: readonly CompiledLeaf[]
  /** Absences of any kind. */
  readonly absences: readonly CompiledLeaf[]
  readonly #leaves = new Map<string, CompiledLeaf[]>()
  readonly #fields = new Map<string, WatchedField>()
  readonly #plans = new Map<Shape, ShapePlan>()
  /** Numbers that a key has with all fields seen so far. */
  size = HEAD

  constructor(rules: readonly CompiledRule[]) {
    this.rules = rules
    const all = rules.flatMap(({ leaves }) => leaves)
    this.absences = all.filter(({ kind }) => kind === ABSENT).sort((a, b) => a.duration - b.duration)
    this.silences = this.absences.filter(({ field }) => field === undefined)
    for (const leaf of all) {
      if (leaf.field === undefined) continue
      const others = this.#leaves.get(leaf.field) ?? []
      others.push(leaf)
      this.#leaves.set(leaf.field, others)
    }
  }

  /** Names of the fields that rules ask for. */
  get names(): Iterable<string> {
    return this.#leaves.keys()
  }

  get slots(): number {
    return this.#fields.size
  }

  /** Undefined when no rule asks for it. */
  field(name: string): WatchedField | undefined {
    const known = this.#fields.get(name)
    if (known) return known
    const leaves = this.#leaves.get(name)
    if (!leaves) return undefined
    const field = watch(name, this.#fields.size, this.size, leaves)
    this.#fields.set(name, field)
    this.size = field.place + FIELD + (field.rated < 0 ? 0 : RATED) + (field.heard < 0 ? 0 : 1)
    return field
  }

  known(): Iterable<WatchedField> {
    return this.#fields.values()
  }

  plan(shape: Shape): ShapePlan {
    const known = this.#plans.get(shape)
    if (known) return known
    const steps: number[] = []
    const fields: WatchedField[] = []
    shape.names.forEach((name, i) => {
      const field = this.field(name)
      if (!field) return
      steps.push(...stepOf(field, i, shape.kinds[i] === TEXT))
      fields.push(field)
    })
    const plan = { shape, steps: Int32Array.from(steps), fields }
    // Shapes are bounded by the decoder; those beyond its budget are not shared, and must not pile up here.
    if (this.#plans.size >= 20_000) this.#plans.clear()
    this.#plans.set(shape, plan)
    return plan
  }
}

function stepOf(field: WatchedField, position: number, isText: boolean): number[] {
  const step = new Array<number>(STEP).fill(-1)
  step[POSITION] = position
  step[LOOK] = isText ? A_TEXT : field.changes.length > 0 ? A_CHANGING : field.rated >= 0 ? A_RATED : A_NUMBER
  step[SLOT] = field.slot
  step[PLACE] = field.place
  step[RATES] = field.rated
  step[HEARD_AT] = field.heard
  return step
}

/** @param place the first number that is free */
function watch(name: string, slot: number, place: number, all: readonly CompiledLeaf[]): WatchedField {
  const leaves = all.filter(({ kind }) => kind !== ABSENT && kind !== CHANGE && kind !== RATE)
  const byText = new Map<string, CompiledLeaf[]>()
  for (const leaf of leaves)
    for (const text of leaf.texts) {
      const others = byText.get(text) ?? []
      others.push(leaf)
      byText.set(text, others)
    }
  const of = (wanted: number) => all.filter(({ kind }) => kind === wanted)
  const [changes, rates, absences] = [of(CHANGE), of(RATE), of(ABSENT)]
  const rated = rates.length > 0 ? place + FIELD : -1
  const heard = absences.length > 0 ? place + FIELD + (rated < 0 ? 0 : RATED) : -1
  return {
    name,
    slot,
    place,
    rated,
    heard,
    leaves,
    edges: edgesOf(leaves),
    rates: edgesOf(rates),
    changes,
    byText,
    absences,
  }
}

function edgesOf(leaves: readonly CompiledLeaf[]): Edges {
  const pairs = leaves.flatMap((leaf) => leaf.edges.map((edge) => ({ edge, leaf }))).sort((a, b) => a.edge - b.edge)
  return { values: Float64Array.from(pairs, ({ edge }) => edge), leaves: pairs.map(({ leaf }) => leaf), fresh: [] }
}

/** How many of `edges` are below `value`. */
export function below(edges: Float64Array, value: number): number {
  let low = 0
  let high = edges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((edges[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** The leaves that the first value of a key makes true. */
export function trueAt({ values, leaves, fresh }: Edges, value: number): readonly CompiledLeaf[] {
  const at = below(values, value)
  const place = 2 * at + (values[at] === value ? 1 : 0)
  fresh[place] ??= [...new Set(leaves)].filter(({ ofNumber }) => ofNumber(value, false))
  return fresh[place] ?? []
}
