/** What the rules of one group know of one key. */
import type { Active } from './active.ts'
import type { Changed } from './changed.ts'
import type { CompiledLeaf, CompiledRule } from './condition.ts'
import { ABSENT } from './condition.ts'
import type { Value } from './definition.ts'
import { Pages } from './pages.ts'
import { AT, FRESH, HEAD, HEARD, HIGH, LOW, MOVED, NUMBER, RATE, RATE_HIGH, RATE_LOW, TIME } from './place.ts'
import { below, type Edges, type Profile, type ShapePlan, trueAt, type WatchedField } from './profile.ts'

export type Key = Readonly<Record<string, string>>

const NOTHING: readonly CompiledLeaf[] = []
const NO_TEXTS: (string | undefined)[] = []

/** Where the keys of a group keep what they know. */
export class KeyRoom {
  readonly values = new Pages((size) => new Float64Array(size))
  readonly texts = new Pages((size) => new Array<string | undefined>(size).fill(undefined))
  readonly truths = new Pages((size) => new Uint8Array(size))
}

export class KeyState {
  plan: ShapePlan | undefined
  /** A page that other keys use too, from `base` on. */
  values: Float64Array
  base = 0
  /** By slot of a field, from `textBase` on. */
  texts: (string | undefined)[] = NO_TEXTS
  textBase = 0
  /** Rules that are about to be raised, or are, in the order in which their conditions became true. */
  active: Active | undefined
  /** How many of them wait for their time to be over. */
  pending = 0
  /** How many absences are true. */
  absent = 0
  readonly profile: Profile
  /** By leaf of the group. */
  readonly truth: Uint8Array
  readonly key: Key
  /** In the order of creation. */
  readonly number: number
  /** When the timers look at it; Infinity: they do not. */
  due = Number.POSITIVE_INFINITY
  readonly #room: KeyRoom
  /** Numbers that are in use, and that there is room for. */
  #size = HEAD
  #capacity: number
  #slots = 0

  constructor(key: Key, profile: Profile, number: number, leaves: number, heard: number, room: KeyRoom) {
    this.key = key
    this.profile = profile
    this.number = number
    this.#room = room
    const truth = room.truths.take(leaves)
    this.truth = truth.page.subarray(truth.at, truth.at + leaves)
    const values = room.values.take(profile.size)
    this.values = values.page
    this.base = values.at
    this.#capacity = profile.size
    this.#clear(HEAD, profile.size)
    this.heard = heard
    this.time = Number.NEGATIVE_INFINITY
    this.grow()
  }

  get heard(): number {
    return this.values[this.base + HEARD] as number
  }

  set heard(clock: number) {
    this.values[this.base + HEARD] = clock
  }

  get time(): number {
    return this.values[this.base + TIME] as number
  }

  set time(time: number) {
    this.values[this.base + TIME] = time
  }

  activeOf(rule: CompiledRule): Active | undefined {
    let active = this.active
    while (active !== undefined && active.rule !== rule) active = active.next
    return active
  }

  begin(active: Active): void {
    let last = this.active
    while (last?.next !== undefined) last = last.next
    if (last === undefined) this.active = active
    else last.next = active
    if (!active.raised) this.pending++
  }

  end(active: Active): void {
    if (this.active === active) this.active = active.next
    else {
      let before = this.active
      while (before !== undefined && before.next !== active) before = before.next
      if (before !== undefined) before.next = active.next
    }
    if (!active.raised) this.pending--
  }

  /** Room for all fields that the profile knows by now. */
  grow(): void {
    const { size, slots } = this.profile
    const known = this.#size
    if (size === known) return
    if (size > this.#capacity) this.#moveValues(Math.max(size, 2 * this.#capacity))
    if (slots > this.#slots) this.#moveTexts(Math.max(slots, 2 * this.#slots))
    const { values, base, heard } = this
    for (const field of this.profile.known()) {
      if (field.place < known) continue
      values[base + field.place + MOVED] = FRESH
      if (field.heard >= 0) values[base + field.heard] = heard
    }
    this.#size = size
  }

  #moveValues(capacity: number): void {
    const { page, at } = this.#room.values.take(capacity)
    page.set(this.values.subarray(this.base, this.base + this.#size), at)
    this.values = page
    this.base = at
    this.#capacity = capacity
    this.#clear(this.#size, capacity)
  }

  #clear(from: number, to: number): void {
    this.values.fill(Number.NaN, this.base + from, this.base + to)
  }

  #moveTexts(slots: number): void {
    const { page, at } = this.#room.texts.take(slots)
    for (let i = 0; i < this.#slots; i++) {
      page[at + i] = this.texts[this.textBase + i]
      this.texts[this.textBase + i] = undefined
    }
    this.texts = page
    this.textBase = at
    this.#slots = slots
  }

  /** Whether there is room for the field: it may have been seen for other keys only. */
  holds({ place }: WatchedField): boolean {
    return place < this.#size
  }

  /** The last value of a field. */
  value(name: string | undefined): Value | undefined {
    const field = name === undefined ? undefined : this.profile.field(name)
    if (!field || !this.holds(field)) return undefined
    const number = this.values[this.base + field.place + NUMBER] as number
    return Number.isNaN(number) ? this.texts[this.textBase + field.slot] : number
  }

  /** A number that may change a leaf; puts rules whose leaves changed into `changed`. */
  quantity(field: WatchedField, value: number, time: number, changed: Changed): void {
    const { edges, rates, changes, leaves, rated } = field
    const { values } = this
    const at = this.base + field.place
    const before = values[at + NUMBER] as number
    const known = !Number.isNaN(before)
    const fresh = values[at + MOVED] === FRESH
    if (fresh) values[at + MOVED] = 0
    if (changes.length > 0) this.#change(field, known ? before : undefined, value, changed)
    if (rated >= 0) {
      const place = this.base + rated
      if (known) this.#rate(rates, place, value - before, time - (values[place + AT] as number), changed)
      values[place + AT] = time
    }
    values[at + NUMBER] = value
    if (value > (values[at + LOW] as number) && value < (values[at + HIGH] as number)) return
    if (known) this.#pass(edges, before, value, changed)
    else if (fresh) for (const leaf of trueAt(edges, value)) this.#set(leaf, true, changed)
    else {
      this.texts[this.textBase + field.slot] = undefined
      for (const leaf of leaves) this.#set(leaf, leaf.ofNumber(value, this.truth[leaf.index] === 1), changed)
    }
    bound(edges.values, value, values, at + LOW)
  }

  /** A text that may change a leaf. */
  text(field: WatchedField, value: string, changed: Changed): void {
    const { changes, leaves, byText } = field
    const at = this.base + field.place
    const slot = this.textBase + field.slot
    const before = this.texts[slot]
    const fresh = this.values[at + MOVED] === FRESH
    if (changes.length > 0 && !fresh) this.#change(field, before, value, changed)
    else this.values[at + MOVED] = 0
    if (before === value) return
    this.texts[slot] = value
    this.values[at + NUMBER] = Number.NaN
    this.values[at + LOW] = Number.NaN
    if (before !== undefined)
      for (const leaf of byText.get(before) ?? NOTHING) this.#set(leaf, leaf.ofText(value), changed)
    else if (!fresh) for (const leaf of leaves) this.#set(leaf, leaf.ofText(value), changed)
    for (const leaf of byText.get(value) ?? NOTHING) this.#set(leaf, true, changed)
  }

  /** Something, or this field, was heard of: it is not absent any more. */
  present(leaves: readonly CompiledLeaf[], changed: Changed): void {
    for (const leaf of leaves) this.#set(leaf, false, changed)
  }

  missing(leaf: CompiledLeaf, changed: Changed): void {
    this.#set(leaf, true, changed)
  }

  /** The rules' clock when what the leaf waits for was last heard of. */
  heardOf(leaf: CompiledLeaf): number {
    const field = leaf.field === undefined ? undefined : this.profile.field(leaf.field)
    if (!field) return this.heard
    this.grow()
    return this.values[this.base + field.heard] as number
  }

  /** The rules' clock was set back: nothing was heard or said later than now. */
  setBack(clock: number): void {
    this.heard = Math.min(this.heard, clock)
    for (let active = this.active; active !== undefined; active = active.next) {
      active.sinceClock = Math.min(active.sinceClock, clock)
      active.said = Math.min(active.said, clock)
    }
    const { values, base } = this
    for (const field of this.profile.known()) {
      const at = base + field.heard
      if (field.heard >= 0 && this.holds(field)) values[at] = Math.min(values[at] as number, clock)
    }
  }

  /** Leaves on changes are true for one value: the first that differs. */
  #change({ place, changes }: WatchedField, before: Value | undefined, value: Value, changed: Changed): void {
    const moves = before !== undefined && before !== value
    const at = this.base + place + MOVED
    if (!moves && this.values[at] === 0) return
    for (const leaf of changes) this.#set(leaf, moves && leaf.ofChange(before, value), changed)
    this.values[at] = moves ? 1 : 0
  }

  #rate(rates: Edges, place: number, by: number, elapsed: number, changed: Changed): void {
    if (elapsed <= 0) return
    const { values } = this
    const rate = by / elapsed
    const before = values[place + RATE] as number
    values[place + RATE] = rate
    if (rate > (values[place + RATE_LOW] as number) && rate < (values[place + RATE_HIGH] as number)) return
    if (Number.isNaN(before)) for (const leaf of rates.leaves) this.#set(leaf, leaf.ofNumber(rate, false), changed)
    else this.#pass(rates, before, rate, changed)
    bound(rates.values, rate, values, place + RATE_LOW)
  }

  /** A number goes from one value to another: only what lies between can change. */
  #pass({ values, leaves }: Edges, from: number, to: number, changed: Changed): void {
    const upper = Math.max(from, to)
    for (let i = below(values, Math.min(from, to)); i < values.length && (values[i] as number) <= upper; i++) {
      const leaf = leaves[i] as CompiledLeaf
      this.#set(leaf, leaf.ofNumber(to, this.truth[leaf.index] === 1), changed)
    }
  }

  #set(leaf: CompiledLeaf, truth: boolean, changed: Changed): void {
    const now = truth ? 1 : 0
    if (this.truth[leaf.index] === now) return
    this.truth[leaf.index] = now
    if (leaf.kind === ABSENT) this.absent += truth ? 1 : -1
    changed.add(leaf.rule)
  }
}

/** Sets the nearest edges around a value, at `low` and behind it. On an edge, any other value is beyond it. */
function bound(edges: Float64Array, value: number, values: Float64Array, low: number): void {
  const at = below(edges, value)
  values[low] = at > 0 ? (edges[at - 1] as number) : Number.NEGATIVE_INFINITY
  values[low + 1] = at < edges.length ? (edges[at] as number) : Number.POSITIVE_INFINITY
  if (edges[at] === value) values[low] = Number.NaN
}
