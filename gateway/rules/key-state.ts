/** What the rules of one group know of one key. */

import type { CompiledLeaf, CompiledRule } from './condition.ts'
import { ABSENT } from './condition.ts'
import type { Value } from './definition.ts'
import { below, type Edges, type Profile, type ShapePlan, type WatchedField } from './profile.ts'

export type Key = Readonly<Record<string, string>>

/** A rule that is about to be raised, or is. Times in ms. */
export interface Active {
  raised: boolean
  /** Event time, and the rules' clock, when the condition became true. */
  since: number
  sinceClock: number
  /** Names the alert; empty while it is not raised. */
  id: string
  raisedAt: number
  /** The rules' clock when it was last said. */
  said: number
  acknowledged: boolean
  /** One too many: only counted. */
  silent: boolean
  value?: Value
  seen?: { readonly by: string; readonly note?: string }
}

const NONE: readonly CompiledLeaf[] = []

export class KeyState {
  readonly key: Key
  readonly profile: Profile
  /** In the order of creation. */
  readonly number: number
  readonly truth: Uint8Array
  plan: ShapePlan | undefined
  /** Highest event time. */
  time = Number.NEGATIVE_INFINITY
  /** The rules' clock when it was last heard of. */
  heard: number
  /** By rule. */
  readonly active = new Map<CompiledRule, Active>()
  /** How many of them wait for their time to be over. */
  pending = 0
  /** How many absences are true. */
  absent = 0
  /** When the timers look at it; Infinity: they do not. */
  due = Number.POSITIVE_INFINITY
  /** Per slot. NaN: no number yet. */
  numbers = new Float64Array(0)
  /** Within these, exclusive, nothing can change. */
  low = new Float64Array(0)
  high = new Float64Array(0)
  /** Event time of the value before, for rates. */
  times = new Float64Array(0)
  /** The last rate, per ms, and within what nothing can change; as `numbers`, `low` and `high`. */
  rates = new Float64Array(0)
  lowRate = new Float64Array(0)
  highRate = new Float64Array(0)
  /** Whether a leaf on changes may be true: 0 when all are false. */
  moved = new Uint8Array(0)
  /** The rules' clock when the field was last heard of. */
  heardField = new Float64Array(0)
  readonly texts: (string | undefined)[] = []

  constructor(key: Key, profile: Profile, number: number, leaves: number, heard: number) {
    this.key = key
    this.profile = profile
    this.number = number
    this.truth = new Uint8Array(leaves)
    this.heard = heard
  }

  /** Room for all slots of the profile. */
  grow(): void {
    const size = this.profile.slots
    if (this.numbers.length >= size) return
    this.numbers = grown(this.numbers, size, Number.NaN)
    this.low = grown(this.low, size, Number.NaN)
    this.high = grown(this.high, size, Number.NaN)
    this.times = grown(this.times, size, Number.NaN)
    this.rates = grown(this.rates, size, Number.NaN)
    this.lowRate = grown(this.lowRate, size, Number.NaN)
    this.highRate = grown(this.highRate, size, Number.NaN)
    const moved = new Uint8Array(size)
    moved.set(this.moved)
    this.moved = moved
    this.heardField = grown(this.heardField, size, this.heard)
  }

  /** The last value of a field. */
  value(name: string | undefined): Value | undefined {
    const field = name === undefined ? undefined : this.profile.field(name)
    if (!field || field.slot >= this.numbers.length) return undefined
    const number = this.numbers[field.slot] as number
    return Number.isNaN(number) ? this.texts[field.slot] : number
  }

  /** A number that is not within its bounds, or of a restless field; puts rules whose leaves changed into `dirty`. */
  quantity(field: WatchedField, value: number, time: number, dirty: Set<number>): void {
    const { slot, edges, rates, changes, leaves } = field
    const before = this.numbers[slot] as number
    const known = !Number.isNaN(before)
    if (changes.length > 0) this.#change(field, known ? before : undefined, value, dirty)
    if (rates.leaves.length > 0 && known) this.#rate(field, value - before, time - (this.times[slot] as number), dirty)
    this.numbers[slot] = value
    this.times[slot] = time
    if (value > (this.low[slot] as number) && value < (this.high[slot] as number)) return
    if (known) this.#pass(edges, before, value, dirty)
    else {
      this.texts[slot] = undefined
      for (const leaf of leaves) this.#set(leaf, leaf.ofNumber(value, this.truth[leaf.index] === 1), dirty)
    }
    bound(edges.values, value, slot, this.low, this.high)
  }

  text(field: WatchedField, value: string, dirty: Set<number>): void {
    const { slot, changes, leaves, byText } = field
    const before = this.texts[slot]
    if (changes.length > 0) this.#change(field, before, value, dirty)
    else this.moved[slot] = 0
    if (before === value) return
    this.texts[slot] = value
    this.numbers[slot] = Number.NaN
    this.low[slot] = Number.NaN
    if (before === undefined) {
      for (const leaf of leaves) this.#set(leaf, leaf.ofText(value), dirty)
      return
    }
    for (const leaf of byText.get(before) ?? NONE) this.#set(leaf, leaf.ofText(value), dirty)
    for (const leaf of byText.get(value) ?? NONE) this.#set(leaf, true, dirty)
  }

  /** Something, or this field, was heard of: it is not absent any more. */
  present(leaves: readonly CompiledLeaf[], dirty: Set<number>): void {
    for (const leaf of leaves) this.#set(leaf, false, dirty)
  }

  missing(leaf: CompiledLeaf, dirty: Set<number>): void {
    this.#set(leaf, true, dirty)
  }

  /** The rules' clock when what the leaf waits for was last heard of. */
  heardOf(leaf: CompiledLeaf): number {
    if (leaf.field === undefined) return this.heard
    const slot = this.profile.field(leaf.field)?.slot ?? 0
    this.grow()
    return this.heardField[slot] as number
  }

  /** Leaves on changes are true for one value: the first that differs. */
  #change({ slot, changes }: WatchedField, before: Value | undefined, value: Value, dirty: Set<number>): void {
    const moves = before !== undefined && before !== value
    if (!moves && this.moved[slot] === 0) return
    for (const leaf of changes) this.#set(leaf, moves && leaf.ofChange(before, value), dirty)
    this.moved[slot] = moves ? 1 : 0
  }

  #rate({ slot, rates: { values, leaves } }: WatchedField, by: number, elapsed: number, dirty: Set<number>): void {
    if (elapsed <= 0) return
    const rate = by / elapsed
    if (rate > (this.lowRate[slot] as number) && rate < (this.highRate[slot] as number)) {
      this.rates[slot] = rate
      return
    }
    const before = this.rates[slot] as number
    if (Number.isNaN(before)) for (const leaf of leaves) this.#set(leaf, leaf.ofNumber(rate, false), dirty)
    else this.#pass({ values, leaves }, before, rate, dirty)
    this.rates[slot] = rate
    bound(values, rate, slot, this.lowRate, this.highRate)
  }

  /** A number goes from one value to another: only what lies between can change. */
  #pass({ values, leaves }: Edges, from: number, to: number, dirty: Set<number>): void {
    const upper = Math.max(from, to)
    for (let i = below(values, Math.min(from, to)); i < values.length && (values[i] as number) <= upper; i++) {
      const leaf = leaves[i] as CompiledLeaf
      this.#set(leaf, leaf.ofNumber(to, this.truth[leaf.index] === 1), dirty)
    }
  }

  #set(leaf: CompiledLeaf, truth: boolean, dirty: Set<number>): void {
    const now = truth ? 1 : 0
    if (this.truth[leaf.index] === now) return
    this.truth[leaf.index] = now
    if (leaf.kind === ABSENT) this.absent += truth ? 1 : -1
    dirty.add(leaf.rule)
  }
}

function grown(array: Float64Array<ArrayBuffer>, size: number, fill: number): Float64Array<ArrayBuffer> {
  const next = new Float64Array(size).fill(fill)
  next.set(array)
  return next
}

/** Sets the nearest edges around a value. On an edge, any other value is beyond it. */
function bound(edges: Float64Array, value: number, slot: number, low: Float64Array, high: Float64Array): void {
  const at = below(edges, value)
  low[slot] = at > 0 ? (edges[at - 1] as number) : Number.NEGATIVE_INFINITY
  high[slot] = at < edges.length ? (edges[at] as number) : Number.POSITIVE_INFINITY
  if (edges[at] === value) low[slot] = Number.NaN
}
