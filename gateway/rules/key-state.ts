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

/** What a slot holds, by place. NaN: not there. */
export const NUMBER = 0
/** Within these, exclusive, no leaf on the number can change. */
export const LOW = 1
export const HIGH = 2
/** Event time of the number, for rates. */
export const TIME = 3
/** The last rate, per ms; at the two places behind it, within what no leaf on it can change. */
const RATE = 4
/** The rules' clock when the field was last heard of. */
export const HEARD = 7
/** 1 when a leaf on changes may be true, 0 when all are false. */
export const MOVED = 8
export const STRIDE = 9

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
  /** `STRIDE` numbers per slot: see there. One array, since a gateway has many keys. */
  values = new Float64Array(0)
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
    const { length } = this.values
    if (length >= size * STRIDE) return
    const grown = new Float64Array(size * STRIDE).fill(Number.NaN)
    grown.set(this.values)
    for (let at = length; at < grown.length; at += STRIDE) {
      grown[at + HEARD] = this.heard
      grown[at + MOVED] = 0
    }
    this.values = grown
  }

  /** The last value of a field. */
  value(name: string | undefined): Value | undefined {
    const field = name === undefined ? undefined : this.profile.field(name)
    const number = field && this.values[field.slot * STRIDE + NUMBER]
    if (!field || number === undefined) return undefined
    return Number.isNaN(number) ? this.texts[field.slot] : number
  }

  /** A number that is not within its bounds, or of a restless field; puts rules whose leaves changed into `dirty`. */
  quantity(field: WatchedField, value: number, time: number, dirty: Set<number>): void {
    const { slot, edges, rates, changes, leaves } = field
    const { values } = this
    const at = slot * STRIDE
    const before = values[at + NUMBER] as number
    const known = !Number.isNaN(before)
    if (changes.length > 0) this.#change(field, known ? before : undefined, value, dirty)
    if (rates.leaves.length > 0 && known) this.#rate(field, value - before, time - (values[at + TIME] as number), dirty)
    values[at + NUMBER] = value
    values[at + TIME] = time
    if (value > (values[at + LOW] as number) && value < (values[at + HIGH] as number)) return
    if (known) this.#pass(edges, before, value, dirty)
    else {
      this.texts[slot] = undefined
      for (const leaf of leaves) this.#set(leaf, leaf.ofNumber(value, this.truth[leaf.index] === 1), dirty)
    }
    bound(edges.values, value, values, at + LOW)
  }

  text(field: WatchedField, value: string, dirty: Set<number>): void {
    const { slot, changes, leaves, byText } = field
    const before = this.texts[slot]
    if (changes.length > 0) this.#change(field, before, value, dirty)
    else this.values[slot * STRIDE + MOVED] = 0
    if (before === value) return
    this.texts[slot] = value
    this.values[slot * STRIDE + NUMBER] = Number.NaN
    this.values[slot * STRIDE + LOW] = Number.NaN
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
    return this.values[slot * STRIDE + HEARD] as number
  }

  /** Leaves on changes are true for one value: the first that differs. */
  #change({ slot, changes }: WatchedField, before: Value | undefined, value: Value, dirty: Set<number>): void {
    const moves = before !== undefined && before !== value
    const at = slot * STRIDE + MOVED
    if (!moves && this.values[at] === 0) return
    for (const leaf of changes) this.#set(leaf, moves && leaf.ofChange(before, value), dirty)
    this.values[at] = moves ? 1 : 0
  }

  #rate({ slot, rates }: WatchedField, by: number, elapsed: number, dirty: Set<number>): void {
    if (elapsed <= 0) return
    const { values } = this
    const at = slot * STRIDE + RATE
    const rate = by / elapsed
    const before = values[at] as number
    values[at] = rate
    if (rate > (values[at + 1] as number) && rate < (values[at + 2] as number)) return
    if (Number.isNaN(before)) for (const leaf of rates.leaves) this.#set(leaf, leaf.ofNumber(rate, false), dirty)
    else this.#pass(rates, before, rate, dirty)
    bound(rates.values, rate, values, at + 1)
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

/** Sets the nearest edges around a value, at `low` and behind it. On an edge, any other value is beyond it. */
function bound(edges: Float64Array, value: number, values: Float64Array, low: number): void {
  const at = below(edges, value)
  values[low] = at > 0 ? (edges[at - 1] as number) : Number.NEGATIVE_INFINITY
  values[low + 1] = at < edges.length ? (edges[at] as number) : Number.POSITIVE_INFINITY
  if (edges[at] === value) values[low] = Number.NaN
}
