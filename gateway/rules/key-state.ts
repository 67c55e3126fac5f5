/** What the rules of one group know of one key. */

import type { CompiledLeaf, CompiledRule } from './condition.ts'
import { ABSENT, CHANGE, RATE } from './condition.ts'
import type { Value } from './definition.ts'
import { below, type Profile, type ShapePlan, type WatchedField } from './profile.ts'

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
    this.heardField = grown(this.heardField, size, this.heard)
  }

  /** The last value of a field. */
  value(name: string | undefined): Value | undefined {
    const field = name === undefined ? undefined : this.profile.field(name)
    if (!field || field.slot >= this.numbers.length) return undefined
    const number = this.numbers[field.slot] as number
    return Number.isNaN(number) ? this.texts[field.slot] : number
  }

  /** A number that is not within its bounds; puts rules whose leaves changed into `dirty`. */
  quantity(field: WatchedField, value: number, time: number, dirty: Set<number>): void {
    const { slot, edges, edgeLeaves, restless, leaves } = field
    const before = this.numbers[slot] as number
    for (let i = 0; i < restless.length; i++) this.#restless(restless[i] as CompiledLeaf, slot, value, time, dirty)
    this.numbers[slot] = value
    this.times[slot] = time
    if (Number.isNaN(before)) {
      this.texts[slot] = undefined
      for (const leaf of leaves) this.#set(leaf, leaf.ofNumber(value, this.truth[leaf.index] === 1), dirty)
    } else {
      const lower = Math.min(before, value)
      const upper = Math.max(before, value)
      for (let i = below(edges, lower); i < edges.length && (edges[i] as number) <= upper; i++) {
        const leaf = edgeLeaves[i] as CompiledLeaf
        this.#set(leaf, leaf.ofNumber(value, this.truth[leaf.index] === 1), dirty)
      }
    }
    const at = below(edges, value)
    this.low[slot] = at > 0 ? (edges[at - 1] as number) : Number.NEGATIVE_INFINITY
    this.high[slot] = at < edges.length ? (edges[at] as number) : Number.POSITIVE_INFINITY
    // On an edge any other value is beyond it; and changes and rates want to see every value.
    if (edges[at] === value || restless.length > 0) this.low[slot] = Number.NaN
  }

  text(field: WatchedField, value: string, dirty: Set<number>): void {
    const { slot, restless, leaves } = field
    const before = this.texts[slot]
    for (const leaf of restless)
      if (leaf.kind === CHANGE) this.#set(leaf, before !== undefined && leaf.ofChange(before, value), dirty)
    if (before === value) return
    this.texts[slot] = value
    this.numbers[slot] = Number.NaN
    this.low[slot] = Number.NaN
    for (const leaf of leaves) this.#set(leaf, leaf.ofText(value), dirty)
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

  #restless(leaf: CompiledLeaf, slot: number, value: number, time: number, dirty: Set<number>): void {
    const before = this.numbers[slot] as number
    const known = !Number.isNaN(before)
    if (leaf.kind === CHANGE) {
      this.#set(leaf, known && leaf.ofChange(before, value), dirty)
      return
    }
    const elapsed = time - (this.times[slot] as number)
    if (leaf.kind === RATE && known && elapsed > 0)
      this.#set(leaf, leaf.ofNumber(((value - before) * leaf.duration) / elapsed, false), dirty)
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
