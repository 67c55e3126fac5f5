/**
 * Rules that look at the same stream of values with the same key. A reading costs one look-up of its key and, per field
 * that any rule asks for, two comparisons, for however many rules.
 */
import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import { Changed } from './changed.ts'
import { type CompiledRule, compileRule } from './condition.ts'
import type { RuleDefinition } from './definition.ts'
import type { KeyState } from './key-state.ts'
import { Keys, type Matcher, matchersOf, partOf } from './keys.ts'
import { AT, HEARD, HIGH, LOW, MOVED, NUMBER, RATE, RATE_HIGH, RATE_LOW, TIME } from './place.ts'
import {
  A_CHANGING,
  A_NUMBER,
  A_TEXT,
  HEARD_AT,
  LOOK,
  PLACE,
  POSITION,
  RATES,
  type ShapePlan,
  SLOT,
  STEP,
  type WatchedField,
} from './profile.ts'

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

export class Group {
  readonly signature: string
  readonly rules: readonly CompiledRule[]
  /** `READINGS`, or the name of a window. */
  readonly on: string
  readonly keys: Keys
  readonly #host: GroupHost
  readonly #late: boolean
  readonly #corrections: boolean
  /** On what is not in the key: asked per reading. */
  readonly #filters: readonly Matcher[]
  readonly #changed: Changed

  /**
   * @param definitions all with the same `groupOf`
   * @param place where devices keep their key of this group
   */
  constructor(signature: string, definitions: readonly RuleDefinition[], place: number, host: GroupHost) {
    const first = definitions[0] as RuleDefinition
    this.signature = signature
    this.#host = host
    this.on = first.on
    this.#late = first.late
    this.#corrections = first.corrections
    let leaves = 0
    this.rules = definitions.map((definition, i) => {
      const rule = compileRule(definition, i, leaves)
      leaves += rule.leaves.length
      return rule
    })
    this.#changed = new Changed(this.rules.length)
    const by = first.on === READINGS ? first.by : []
    const inKey = (part: string) => first.on !== READINGS || by.includes(part)
    this.#filters = matchersOf(first.where, (part) => !inKey(part))
    const created = (key: KeyState) => host.created(this, key)
    this.keys = new Keys({ rules: this.rules, leaves, by, inKey, place, clock: () => host.clock, created })
  }

  reading(reading: Reading): void {
    for (let i = 0; i < this.#filters.length; i++) {
      const [part, matches] = this.#filters[i] as Matcher
      if (!matches(partOf(reading, part))) return
    }
    const key = this.keys.of(reading)
    if (key === undefined) return
    const { values, base, absent } = key
    values[base + HEARD] = this.#host.clock
    if (absent > 0) key.present(key.profile.silences, this.#changed)
    const last = values[base + TIME] as number
    if (reading.time > last) values[base + TIME] = reading.time
    if (reading.time >= last || this.#late) this.#observe(key, reading)
    this.#settle(key, reading.time, absent)
  }

  result(record: WindowRecord): void {
    if (record.kind === 'correction' && !this.#corrections) return
    const key = this.keys.find(record.key, undefined)
    if (key === undefined) return
    const time = Date.parse(record.end)
    const { absent } = key
    key.heard = this.#host.clock
    if (absent > 0) key.present(key.profile.silences, this.#changed)
    if (time >= key.time || this.#late || record.kind === 'correction') {
      key.time = Math.max(key.time, time)
      this.#observeResult(key, record, time)
    }
    this.#settle(key, time, absent)
  }

  /** Time has made leaves true that are in `mark`. */
  elapsed(key: KeyState, mark: (changed: Changed) => void, time: number): void {
    mark(this.#changed)
    this.#change(key, time)
  }

  /** What changes nothing for any rule, which is nearly everything, is only kept; the rest goes to the key. */
  #observe(key: KeyState, reading: Reading): void {
    let { plan } = key
    if (plan === undefined || plan.shape !== reading.shape) plan = this.#follow(key, reading)
    const { steps, fields } = plan
    const { values, base, texts, textBase } = key
    for (let i = 0, step = 0; step < steps.length; i++, step += STEP) {
      const heard = steps[step + HEARD_AT] as number
      if (heard >= 0) {
        values[base + heard] = values[base + HEARD] as number
        if (key.absent > 0) key.present((fields[i] as WatchedField).absences, this.#changed)
      }
      const look = steps[step + LOOK]
      const place = base + (steps[step + PLACE] as number)
      const position = steps[step + POSITION] as number
      if (look === A_TEXT) {
        const text = reading.texts[position] as string
        if (texts[textBase + (steps[step + SLOT] as number)] !== text || values[place + MOVED] !== 0)
          key.text(fields[i] as WatchedField, text, this.#changed)
        continue
      }
      const value = reading.numbers[position] as number
      const isWithin = value > (values[place + LOW] as number) && value < (values[place + HIGH] as number)
      if (isWithin && (look === A_NUMBER || isCalm(values, base, steps, step, reading))) values[place + NUMBER] = value
      else key.quantity(fields[i] as WatchedField, value, reading.time, this.#changed)
    }
  }

  #follow(key: KeyState, reading: Reading): ShapePlan {
    const plan = key.profile.plan(reading.shape)
    key.plan = plan
    key.grow()
    return plan
  }

  #observeResult(key: KeyState, record: WindowRecord, time: number): void {
    for (const name of key.profile.names) {
      const value = valueIn(record, name)
      const field = value === undefined ? undefined : key.profile.field(name)
      if (value === undefined || !field) continue
      key.grow()
      if (field.heard >= 0) key.values[key.base + field.heard] = key.heard
      if (key.absent > 0) key.present(field.absences, this.#changed)
      if (typeof value === 'string') key.text(field, value, this.#changed)
      else key.quantity(field, value, time, this.#changed)
    }
  }

  /** @param absent how many absences were true before */
  #settle(key: KeyState, time: number, absent: number): void {
    if (this.#changed.size > 0) this.#change(key, time)
    if (key.absent < absent) this.#host.returned(key)
    if (key.pending > 0) this.#host.waited(key, time)
  }

  #change(key: KeyState, time: number): void {
    const changed = this.#changed
    for (let i = 0; i < changed.size; i++) this.#host.changed(this.rules[changed.at(i)] as CompiledRule, key, time)
    changed.clear()
  }
}

/**
 * Whether no leaf on the changes or the rate of a number can become another; then its rate is kept here. Numbers are not
 * handed over, since each would become an object.
 */
function isCalm(values: Float64Array, base: number, steps: Int32Array, step: number, reading: Reading): boolean {
  const place = base + (steps[step + PLACE] as number)
  const by = (reading.numbers[steps[step + POSITION] as number] as number) - (values[place + NUMBER] as number)
  if (steps[step + LOOK] === A_CHANGING && (by !== 0 || values[place + MOVED] !== 0)) return false
  const rated = steps[step + RATES] as number
  if (rated < 0) return true
  const rates = base + rated
  const elapsed = reading.time - (values[rates + AT] as number)
  const rate = by / elapsed
  const isWithin = rate > (values[rates + RATE_LOW] as number) && rate < (values[rates + RATE_HIGH] as number)
  if (!isWithin || elapsed <= 0) return false
  values[rates + AT] = reading.time
  values[rates + RATE] = rate
  return true
}

/** Equal texts: one group. */
export function groupOf({ on, by, where, late, corrections }: RuleDefinition): string {
  if (on !== READINGS) return JSON.stringify([on, late, corrections])
  const filters = Object.entries(where).filter(([part]) => !by.includes(part))
  return JSON.stringify([on, by, late, filters.sort(([a], [b]) => (a < b ? -1 : 1))])
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
