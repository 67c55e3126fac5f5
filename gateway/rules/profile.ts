/**
 * The rules that concern a key, arranged by field: keys to which the same rules apply share one profile. Fields get a
 * slot when they are first seen, so that a key's state is as large as what it sends.
 */
import { type Shape, TEXT } from '../reading.ts'
import { ABSENT, CHANGE, type CompiledLeaf, type CompiledRule, RATE } from './condition.ts'

export interface WatchedField {
  readonly name: string
  readonly slot: number
  /** Those on the value itself. */
  readonly leaves: readonly CompiledLeaf[]
  readonly edges: Edges
  readonly rates: Edges
  readonly changes: readonly CompiledLeaf[]
  /** Those that are true for a text. */
  readonly byText: ReadonlyMap<string, readonly CompiledLeaf[]>
  readonly absences: readonly CompiledLeaf[]
  /** Whether its leaves want to see each value: changes and rates. */
  readonly restless: boolean
}

/** What a number can pass: `leaves[i]` may change at `values[i]`, which ascend. */
export interface Edges {
  readonly values: Float64Array
  readonly leaves: readonly CompiledLeaf[]
}

/** Where the watched fields stand in readings of one shape: one place per field in each array. */
export interface ShapePlan {
  readonly shape: Shape
  readonly positions: Int32Array
  readonly slots: Int32Array
  readonly isText: Uint8Array
  readonly isRestless: Uint8Array
  /** Whether a rule waits for its absence. */
  readonly isAwaited: Uint8Array
  readonly fields: readonly WatchedField[]
}

export class Profile {
  readonly rules: readonly CompiledRule[]
  /** Absence of anything, shortest first. */
  readonly silences: readonly CompiledLeaf[]
  /** Absences of any kind. */
  readonly absences: readonly CompiledLeaf[]
  readonly #leaves = new Map<string, CompiledLeaf[]>()
  readonly #fields = new Map<string, WatchedField>()
  readonly #plans = new Map<Shape, ShapePlan>()

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
    const field = watch(name, this.#fields.size, leaves)
    this.#fields.set(name, field)
    return field
  }

  known(): Iterable<WatchedField> {
    return this.#fields.values()
  }

  plan(shape: Shape): ShapePlan {
    const known = this.#plans.get(shape)
    if (known) return known
    const at: number[] = []
    const fields: WatchedField[] = []
    shape.names.forEach((name, i) => {
      const field = this.field(name)
      if (!field) return
      at.push(i)
      fields.push(field)
    })
    const plan = {
      shape,
      positions: Int32Array.from(at),
      slots: Int32Array.from(fields, ({ slot }) => slot),
      isText: Uint8Array.from(at, (i) => (shape.kinds[i] === TEXT ? 1 : 0)),
      isRestless: Uint8Array.from(fields, ({ restless }) => Number(restless)),
      isAwaited: Uint8Array.from(fields, ({ absences }) => Number(absences.length > 0)),
      fields,
    }
    // Shapes are bounded by the decoder; those beyond its budget are not shared, and must not pile up here.
    if (this.#plans.size >= 20_000) this.#plans.clear()
    this.#plans.set(shape, plan)
    return plan
  }
}

function watch(name: string, slot: number, all: readonly CompiledLeaf[]): WatchedField {
  const leaves = all.filter(({ kind }) => kind !== ABSENT && kind !== CHANGE && kind !== RATE)
  const byText = new Map<string, CompiledLeaf[]>()
  for (const leaf of leaves)
    for (const text of leaf.texts) {
      const others = byText.get(text) ?? []
      others.push(leaf)
      byText.set(text, others)
    }
  const of = (wanted: number) => all.filter(({ kind }) => kind === wanted)
  const [changes, rates] = [of(CHANGE), of(RATE)]
  return {
    name,
    slot,
    leaves,
    edges: edgesOf(leaves),
    rates: edgesOf(rates),
    changes,
    byText,
    absences: of(ABSENT),
    restless: changes.length + rates.length > 0,
  }
}

function edgesOf(leaves: readonly CompiledLeaf[]): Edges {
  const pairs = leaves.flatMap((leaf) => leaf.edges.map((edge) => ({ edge, leaf }))).sort((a, b) => a.edge - b.edge)
  return { values: Float64Array.from(pairs, ({ edge }) => edge), leaves: pairs.map(({ leaf }) => leaf) }
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
