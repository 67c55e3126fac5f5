/**
 * Rules that look at the same stream of values with the same key. A reading costs one look-up of its key and, per field
 * that any rule asks for, two comparisons, for however many rules.
 */
import type { Device, Reading } from '../reading.ts'
import { TEXT } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import { type CompiledRule, compileRule, pattern } from './condition.ts'
import type { RuleDefinition } from './definition.ts'
import { HEARD, HIGH, type Key, KeyState, LOW, MOVED, NUMBER, STRIDE } from './key-state.ts'
import { Profile, type WatchedField } from './profile.ts'

/** The stage around the group. */
export interface GroupHost {
  /** The rules' clock, ms. */
  readonly clock: number
  created(group: Group, key: KeyState): void
  /** What was absent is heard of again. */
  returned(key: KeyState): void
  /** A leaf of the rule changed for this key at event time `time`. */
  changed(rule: CompiledRule, key: KeyState, time: number): void
  /** The event time of a key moved on while a condition waits for its time to be over. */
  waited(key: KeyState, time: number): void
}

export const READINGS = 'readings'
const MAX_KEYS = 100_000
const SEPARATOR = '\u0000'

type Matcher = (value: string | undefined) => boolean

export class Group {
  readonly signature: string
  readonly rules: readonly CompiledRule[]
  readonly by: readonly string[]
  /** `READINGS`, or the name of a window. */
  readonly on: string
  readonly #host: GroupHost
  readonly #late: boolean
  readonly #corrections: boolean
  readonly #leafCount: number
  /** On what is not in the key: asked per reading. */
  readonly #filters: readonly (readonly [string, Matcher])[]
  /** Rules that are only for some keys: asked once per key. */
  readonly #scoped: readonly { readonly rule: CompiledRule; readonly scope: readonly (readonly [string, Matcher])[] }[]
  readonly #profiles = new Map<string, Profile>()
  readonly #byDevice = new Map<Device, KeyState>()
  readonly #byKey = new Map<string, KeyState>()
  readonly #dirty = new Set<number>()
  readonly #onlyDevice: boolean
  #count = 0
  /** Keys that found no room. */
  refusedKeys = 0

  /** @param definitions all with the same `groupOf` */
  constructor(signature: string, definitions: readonly RuleDefinition[], host: GroupHost) {
    const first = definitions[0] as RuleDefinition
    this.signature = signature
    this.#host = host
    this.on = first.on
    this.by = first.on === READINGS ? first.by : []
    this.#late = first.late
    this.#corrections = first.corrections
    this.#onlyDevice = this.by.length === 1 && this.by[0] === 'device'
    let leaves = 0
    this.rules = definitions.map((definition, i) => {
      const rule = compileRule(definition, i, leaves)
      leaves += rule.leaves.length
      return rule
    })
    this.#leafCount = leaves
    const inKey = (part: string) => first.on !== READINGS || this.by.includes(part)
    const matchers = (where: RuleDefinition['where'], wanted: (part: string) => boolean) =>
      Object.entries(where).flatMap(([part, text]) => (wanted(part) ? [[part, pattern(text)] as const] : []))
    this.#filters = matchers(first.where, (part) => !inKey(part))
    this.#scoped = this.rules
      .map((rule) => ({ rule, scope: matchers(rule.definition.where, inKey) }))
      .filter(({ scope }) => scope.length > 0)
  }

  get size(): number {
    return this.#count
  }

  *keys(): Generator<KeyState> {
    yield* this.#byDevice.values()
    yield* this.#byKey.values()
  }

  reading(reading: Reading): void {
    for (let i = 0; i < this.#filters.length; i++) {
      const [part, matches] = this.#filters[i] as readonly [string, Matcher]
      if (!matches(partOf(reading, part))) return
    }
    const key = this.#onlyDevice
      ? (this.#byDevice.get(reading.device) ?? this.#newDevice(reading.device))
      : this.#keyOf(reading)
    if (key === undefined) return
    key.heard = this.#host.clock
    const { time } = reading
    const dirty = this.#dirty
    const { absent } = key
    if (absent > 0) key.present(key.profile.silences, dirty)
    if (time >= key.time || this.#late) {
      if (time > key.time) key.time = time
      this.#observe(key, reading)
    }
    if (dirty.size > 0) this.#settle(key, time)
    if (key.absent < absent) this.#host.returned(key)
    if (key.pending > 0) this.#host.waited(key, time)
  }

  result(record: WindowRecord, key: KeyState | undefined = this.#resultKey(record)): void {
    if (key === undefined || (record.kind === 'correction' && !this.#corrections)) return
    const time = Date.parse(record.end)
    const dirty = this.#dirty
    const { absent } = key
    key.heard = this.#host.clock
    if (absent > 0) key.present(key.profile.silences, dirty)
    if (time >= key.time || this.#late || record.kind === 'correction') {
      key.time = Math.max(key.time, time)
      this.#observeResult(key, record, time)
    }
    if (dirty.size > 0) this.#settle(key, time)
    if (key.absent < absent) this.#host.returned(key)
    if (key.pending > 0) this.#host.waited(key, time)
  }

  /** The key of that name, new when there is none; undefined when there is no room. */
  find(key: Key, device: Device | undefined): KeyState | undefined {
    if (this.#onlyDevice && device) return this.#byDevice.get(device) ?? this.#newDevice(device)
    const text = Object.values(key).join(SEPARATOR)
    return this.#byKey.get(text) ?? this.#create(key, (state) => this.#byKey.set(text, state))
  }

  /** Time has made leaves true that are in `mark`. */
  elapsed(key: KeyState, mark: (dirty: Set<number>) => void, time: number): void {
    mark(this.#dirty)
    if (this.#dirty.size > 0) this.#settle(key, time)
  }

  #observe(key: KeyState, reading: Reading): void {
    let { plan } = key
    if (plan === undefined || plan.shape !== reading.shape) {
      plan = key.profile.plan(reading.shape)
      key.plan = plan
      key.grow()
    }
    const { positions, slots, isText, isRestless, isAwaited, fields } = plan
    const { texts, values } = key
    for (let i = 0; i < positions.length; i++) {
      const slot = slots[i] as number
      const at = positions[i] as number
      if (isAwaited[i] === 1) this.#heardOf(key, fields[i] as WatchedField)
      if (isText[i] === 1) {
        const text = reading.texts[at] as string
        if (texts[slot] !== text || values[slot * STRIDE + MOVED] === 1)
          key.text(fields[i] as WatchedField, text, this.#dirty)
        continue
      }
      const value = reading.numbers[at] as number
      const place = slot * STRIDE
      const isWithin = value > (values[place + LOW] as number) && value < (values[place + HIGH] as number)
      if (isWithin && isRestless[i] === 0) values[place + NUMBER] = value
      else key.quantity(fields[i] as WatchedField, value, reading.time, this.#dirty)
    }
  }

  #heardOf(key: KeyState, { slot, absences }: WatchedField): void {
    key.values[slot * STRIDE + HEARD] = key.heard
    if (key.absent > 0) key.present(absences, this.#dirty)
  }

  #observeResult(key: KeyState, record: WindowRecord, time: number): void {
    for (const name of key.profile.names) {
      const value = valueIn(record, name)
      const field = value === undefined ? undefined : key.profile.field(name)
      if (value === undefined || !field) continue
      key.grow()
      this.#heardOf(key, field)
      if (typeof value === 'string') key.text(field, value, this.#dirty)
      else key.quantity(field, value, time, this.#dirty)
    }
  }

  #settle(key: KeyState, time: number): void {
    const changed = [...this.#dirty]
    this.#dirty.clear()
    for (const index of changed) this.#host.changed(this.rules[index] as CompiledRule, key, time)
  }

  #newDevice(device: Device): KeyState | undefined {
    return this.#create({ device: device.id }, (state) => this.#byDevice.set(device, state))
  }

  #keyOf(reading: Reading): KeyState | undefined {
    const { by } = this
    let text = ''
    for (let i = 0; i < by.length; i++) text += (i > 0 ? SEPARATOR : '') + (partOf(reading, by[i] as string) ?? '')
    const known = this.#byKey.get(text)
    if (known) return known
    const key = Object.fromEntries(by.map((part) => [part, partOf(reading, part) ?? '']))
    return this.#create(key, (state) => this.#byKey.set(text, state))
  }

  #resultKey(record: WindowRecord): KeyState | undefined {
    return this.find(record.key, undefined)
  }

  #create(key: Key, keep: (state: KeyState) => void): KeyState | undefined {
    if (this.#count >= MAX_KEYS) {
      this.refusedKeys++
      return undefined
    }
    const state = new KeyState(key, this.#profileOf(key), this.#count++, this.#leafCount, this.#host.clock)
    keep(state)
    this.#host.created(this, state)
    return state
  }

  #profileOf(key: Key): Profile {
    const left: CompiledRule[] = []
    for (const { rule, scope } of this.#scoped)
      if (!scope.every(([part, matches]) => matches(key[part]))) left.push(rule)
    const signature = left.map(({ index }) => index).join()
    let profile = this.#profiles.get(signature)
    if (!profile) {
      const leftOut = new Set(left)
      profile = new Profile(this.rules.filter((rule) => !leftOut.has(rule)))
      this.#profiles.set(signature, profile)
    }
    return profile
  }
}

/** Equal texts: one group. */
export function groupOf({ on, by, where, late, corrections }: RuleDefinition): string {
  if (on !== READINGS) return JSON.stringify([on, late, corrections])
  const filters = Object.entries(where).filter(([part]) => !by.includes(part))
  return JSON.stringify([on, by, late, filters.sort(([a], [b]) => (a < b ? -1 : 1))])
}

function partOf(reading: Reading, part: string): string | undefined {
  if (part === 'device') return reading.device.id
  if (part === 'stream') return reading.stream
  if (part === 'source') return reading.source
  const tag = reading.tags[part]
  if (tag !== undefined) return tag
  const at = reading.shape.indexOf(part)
  return at >= 0 && reading.shape.kinds[at] === TEXT ? reading.texts[at] : undefined
}

/** `count`, `cpuusage` (its mean) or `cpuusage.max`. */
function valueIn(record: WindowRecord, name: string): number | string | undefined {
  if (name === 'count') return record.count
  const statistics = (field: string) =>
    Object.hasOwn(record.fields, field) ? (record.fields[field] as Readonly<Record<string, unknown>>) : undefined
  const whole = statistics(name)
  const dot = name.lastIndexOf('.')
  const found = whole ? whole.mean : dot > 0 ? statistics(name.slice(0, dot))?.[name.slice(dot + 1)] : undefined
  return typeof found === 'number' || typeof found === 'string' ? found : undefined
}
