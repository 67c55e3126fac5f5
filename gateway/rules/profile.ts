/**
 * The rules that concern a key, arranged by field: keys to which the same rules apply share one profile. Fields get a
 * slot when they are first seen, so that a key's state is as large as what it sends.
 */
import { type Shape, TEXT } from '../reading.ts'
import { ABSENT, CHANGE, type CompiledLeaf, type CompiledRule, RATE } from './condition.ts'

export interface WatchedField {
  readonly name: string
  readonly slot: number
  readonly leaves: readonly CompiledLeaf[]
  /** To be looked at with each value, changed or not. */
  readonly restless: readonly CompiledLeaf[]
  /** Ascending; `edgeLeaves[i]` belongs to `edges[i]`. */
  readonly edges: Float64Array
  readonly edgeLeaves: readonly CompiledLeaf[]
  readonly absences: readonly CompiledLeaf[]
}

/** Where the watched fields stand in readings of one shape. */
export interface ShapePlan {
  readonly shape: Shape
  readonly positions: Int32Array
  readonly isText: Uint8Array
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
    const isText = Uint8Array.from(at, (i) => (shape.kinds[i] === TEXT ? 1 : 0))
    const plan = { shape, positions: Int32Array.from(at), isText, fields }
    // Shapes are bounded by the decoder; those beyond its budget are not shared, and must not pile up here.
    if (this.#plans.size >= 20_000) this.#plans.clear()
    this.#plans.set(shape, plan)
    return plan
  }
}

function watch(name: string, slot: number, all: readonly CompiledLeaf[]): WatchedField {
  const pairs = all.flatMap((leaf) => leaf.edges.map((edge) => ({ edge, leaf }))).sort((a, b) => a.edge - b.edge)
  return {
    name,
    slot,
    leaves: all.filter(({ kind }) => kind !== ABSENT && kind !== CHANGE && kind !== RATE),
    restless: all.filter(({ kind }) => kind === CHANGE || kind === RATE),
    edges: Float64Array.from(pairs, ({ edge }) => edge),
    edgeLeaves: pairs.map(({ leaf }) => leaf),
    absences: all.filter(({ kind }) => kind === ABSENT),
  }
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
