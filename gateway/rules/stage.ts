/**
 * The rules: conditions on readings and results that raise alerts, order commands and publish.
 *
 *   reading, result ─▶ group ─▶ leaves that changed ─▶ condition ─▶ (for) ─▶ raised ─▶ record, command, publication
 *   tick ─────────────▶ timers: absence, `for`, repetition ──────────┘        │
 *                                                                 cleared ◀───┘
 *
 * A deterministic machine over the journal. Its clock is the highest wall clock that readings and ticks have shown,
 * less the steps of that clock, so that silence is measured in time that passed. What only the clock decides is a fact
 * in the journal before it acts. Definitions are facts too: a replay judges each reading by the rules of its time.
 */
import type { CommandOrder } from '../commands/command.ts'
import type { Devices } from '../decode/devices.ts'
import { DecodeError } from '../errors.ts'
import type { Watcher } from '../pipeline.ts'
import type { Reading } from '../reading.ts'
import type { AlertRecord, WindowRecord } from '../record.ts'
import { ABSENT, type CompiledRule } from './condition.ts'
import type { RuleDefinition, Value } from './definition.ts'
import { fill, fillAll } from './effects.ts'
import { Group, type GroupHost, groupOf, READINGS } from './group.ts'
import type { Active, Key, KeyState } from './key-state.ts'
import { loadKey, type SavedGroup, saveKey } from './snapshot.ts'
import { type SavedStorms, Storms } from './storms.ts'
import { Timers } from './timers.ts'

export const STAGE = 'rules'

/** Times are wall clock, ms since the epoch. */
export type RuleFact =
  | { readonly type: 'define'; readonly rules: readonly RuleDefinition[]; readonly now: number }
  | { readonly type: 'start'; readonly now: number }
  | { readonly type: 'tick'; readonly now: number }
  /** The wall clock was set; `by` ms. */
  | { readonly type: 'step'; readonly by: number; readonly now: number }
  | ({ readonly type: 'acknowledge'; readonly id: string; readonly now: number } & Seen)

export interface RuleParts {
  readonly devices: Devices
  /** Orders a command; part of the processing of an entry. */
  readonly order: (by: string, order: CommandOrder) => void
  /** On the local broker; only called live. */
  readonly publish: (topic: string, payload: Buffer, retain: boolean) => void
}

/** Who has seen an alert, and what they have to say about it. */
export interface Seen {
  readonly by: string
  readonly note?: string
}

/** An alert that is raised, for people. */
export interface RaisedAlert {
  readonly id: string
  readonly rule: string
  readonly key: Key
  readonly severity: string
  /** Event time. */
  readonly raised: number
  readonly acknowledged: boolean
  readonly by?: string
  readonly note?: string
  readonly value?: Value
}

export interface RuleState {
  readonly version: 1
  readonly definitions: readonly RuleDefinition[]
  readonly clock: number
  readonly skew: number
  readonly floor: number
  readonly nextAlert: number
  readonly storms: SavedStorms
  /** What alerts did last, oldest first. */
  readonly said?: readonly AlertRecord[]
  readonly groups: readonly SavedGroup[]
}

/** How much of what alerts did is remembered for people; it is in every checkpoint. */
const REMEMBERED = 100

/** A wall clock that moves otherwise than time by more than this was set, ms. */
const STEP = 2000

export class RuleStage implements Watcher, GroupHost {
  readonly #parts: RuleParts
  #send: (record: AlertRecord) => void = () => undefined
  #said: AlertRecord[] = []
  #definitions: readonly RuleDefinition[] = []
  readonly #onReadings: Group[] = []
  readonly #onResults = new Map<string, Group[]>()
  #groups: Group[] = []
  readonly #timers: Timers
  readonly #storms = new Storms((rule, suppressed) => this.#sayStorm(rule, suppressed))
  /** Raised ones by id. */
  readonly #alerts = new Map<string, { group: Group; key: KeyState; rule: CompiledRule; active: Active }>()
  readonly #groupOfKey = new WeakMap<KeyState, Group>()
  /** The rules' clock: wall clock less its steps. */
  clock = 0
  #skew = 0
  /** Silence does not count before this: the gateway was not there to hear. */
  #floor = 0
  #nextAlert = 1
  #live = false
  #lastWall: number | undefined
  #lastMonotonic = 0
  #counts = { raised: 0, cleared: 0, suppressed: 0 }

  constructor(parts: RuleParts) {
    this.#parts = parts
    this.#timers = new Timers((key) => this.#dueOf(key))
  }

  attach(pipeline: { append(recordClass: 'event', record: AlertRecord): void }): void {
    this.#send = (record) => pipeline.append('event', record)
  }

  get definitions(): readonly RuleDefinition[] {
    return this.#definitions
  }

  counts() {
    const keys = this.#groups.reduce((sum, { size }) => sum + size, 0)
    const refusedKeys = this.#groups.reduce((sum, group) => sum + group.refusedKeys, 0)
    return { ...this.#counts, rules: this.#definitions.length, open: this.#alerts.size, keys, refusedKeys }
  }

  reading(reading: Reading, _entry: number, live: boolean): void {
    const groups = this.#onReadings
    if (groups.length === 0) return
    this.#live = live
    this.#see(reading.received)
    for (let i = 0; i < groups.length; i++) (groups[i] as Group).reading(reading)
  }

  result(record: WindowRecord, _definition: unknown, _entry: number, live: boolean): void {
    const groups = this.#onResults.get(record.window)
    if (groups === undefined) return
    this.#live = live
    for (const group of groups) group.result(record)
  }

  fact(stage: string, fact: unknown, _entry: number, live: boolean): void {
    if (stage !== STAGE) return
    this.#live = live
    const given = fact as RuleFact
    if (given.type === 'step') this.#step(given.by, given.now)
    this.#see(given.now)
    if (given.type === 'define') this.#define(given.rules)
    else if (given.type === 'start') this.#floor = this.clock
    else if (given.type === 'tick') this.#elapse()
    else if (given.type === 'acknowledge') this.#acknowledge(given)
  }

  /** What must be journaled at the start, in this order. */
  starting(rules: readonly RuleDefinition[], now: number): RuleFact[] {
    const facts: RuleFact[] = []
    if (JSON.stringify(rules) !== JSON.stringify(this.#definitions)) facts.push({ type: 'define', rules, now })
    if (rules.length > 0) facts.push({ type: 'start', now })
    return facts
  }

  /**
   * The fact that must be journaled now, or null.
   *
   * @param now wall clock, ms since the epoch
   * @param monotonic ms
   */
  due(now: number, monotonic: number): RuleFact | null {
    if (this.#groups.length === 0) return null
    const expected = this.#lastWall === undefined ? now : this.#lastWall + monotonic - this.#lastMonotonic
    this.#lastWall = now
    this.#lastMonotonic = monotonic
    if (Math.abs(now - expected) > STEP) return { type: 'step', by: now - expected, now }
    const clock = Math.max(this.clock, now - this.#skew)
    if (this.#timers.any(clock) || this.#storms.due(clock)) return { type: 'tick', now }
    return null
  }

  alerts(): readonly RaisedAlert[] {
    return [...this.#alerts.values()].map(({ key, rule, active }) => ({
      id: active.id,
      rule: rule.definition.name,
      key: key.key,
      severity: rule.definition.severity,
      raised: active.raisedAt,
      acknowledged: active.acknowledged,
      ...active.seen,
      ...(active.value === undefined ? {} : { value: active.value }),
    }))
  }

  /** What alerts did last, newest first. */
  history(): readonly AlertRecord[] {
    return this.#said.toReversed()
  }

  /** Whether there is such an alert. */
  isRaised(id: string): boolean {
    return this.#alerts.has(id)
  }

  snapshot(): RuleState {
    return {
      version: 1,
      definitions: this.#definitions,
      clock: this.clock,
      skew: this.#skew,
      floor: this.#floor,
      nextAlert: this.#nextAlert,
      storms: this.#storms.state(),
      said: this.#said,
      groups: this.#saveGroups(),
    }
  }

  restore(given: unknown): void {
    if (given === undefined) return
    const state = given as RuleState
    this.clock = state.clock
    this.#skew = state.skew
    this.#floor = state.floor
    this.#nextAlert = state.nextAlert
    this.#storms.restore(state.storms)
    this.#said = [...(state.said ?? [])]
    this.#build(state.definitions, state.groups, () => true)
  }

  // What a group tells.

  created(group: Group, key: KeyState): void {
    this.#groupOfKey.set(key, group)
    if (key.profile.absences.length > 0) this.#timers.settle(group, key)
  }

  returned(key: KeyState): void {
    this.#settle(key)
  }

  changed(rule: CompiledRule, key: KeyState, time: number): void {
    const active = key.active.get(rule)
    const holds = rule.when(key.truth)
    if (!active) {
      if (holds) this.#begin(rule, key, time)
    } else if (!active.raised) {
      if (!holds) this.#forget(rule, key)
    } else if (rule.clear ? rule.clear(key.truth) : !holds) this.#clear(rule, key, active, time)
  }

  waited(key: KeyState, time: number): void {
    for (const [rule, active] of key.active)
      if (!active.raised && time - active.since >= rule.definition.for) this.#raise(rule, key, active, time)
  }

  #see(wall: number): void {
    const clock = wall - this.#skew
    if (clock > this.clock) this.clock = clock
  }

  /** What came between the step and its discovery was stamped by the new clock and must not lie in the future. */
  #step(by: number, now: number): void {
    this.#skew += by
    const clock = now - this.#skew
    if (this.clock <= clock) return
    this.clock = clock
    for (const group of this.#groups) {
      for (const key of group.keys()) {
        key.heard = Math.min(key.heard, clock)
        for (let i = 0; i < key.heardField.length; i++) key.heardField[i] = Math.min(key.heardField[i] as number, clock)
      }
    }
  }

  #define(rules: readonly RuleDefinition[]): void {
    const saved = this.#saveGroups()
    const old = new Map(this.#definitions.map((rule) => [rule.name, JSON.stringify(rule)]))
    const same = (rule: RuleDefinition) => old.get(rule.name) === JSON.stringify(rule)
    const kept = new Set(rules.filter(same).map(({ name }) => name))
    for (const { key, rule, active } of [...this.#alerts.values()])
      if (!kept.has(rule.definition.name)) this.#clear(rule, key, active, this.clock + this.#skew)
    this.#build(rules, saved, same)
  }

  #build(
    rules: readonly RuleDefinition[],
    saved: readonly SavedGroup[],
    same: (rule: RuleDefinition) => boolean,
  ): void {
    this.#definitions = rules
    this.#onReadings.length = 0
    this.#onResults.clear()
    this.#timers.clear()
    this.#alerts.clear()
    const bySignature = new Map<string, RuleDefinition[]>()
    for (const rule of rules) {
      const others = bySignature.get(groupOf(rule)) ?? []
      others.push(rule)
      bySignature.set(groupOf(rule), others)
    }
    this.#groups = [...bySignature].map(([signature, definitions]) => {
      const group = new Group(signature, definitions, this)
      const on = (definitions[0] as RuleDefinition).on
      if (on === READINGS) this.#onReadings.push(group)
      else this.#onResults.set(on, [...(this.#onResults.get(on) ?? []), group])
      return group
    })
    for (const group of this.#groups) {
      const known = saved.find(({ signature }) => signature === group.signature)
      if (known) this.#load(group, known, same)
      this.#expect(group)
    }
  }

  #load(group: Group, saved: SavedGroup, same: (rule: RuleDefinition) => boolean): void {
    const rules = group.rules.filter(({ definition }) => same(definition))
    for (const one of saved.keys) {
      const key = this.#keyOf(group, one.key)
      if (!key) continue
      loadKey(key, one, rules)
      for (const [rule, active] of key.active)
        if (active.raised && active.id !== '') this.#alerts.set(active.id, { group, key, rule, active })
      key.due = Number.POSITIVE_INFINITY
      this.#timers.settle(group, key)
    }
  }

  /** A device that a rule names is missed though it never came. */
  #expect(group: Group): void {
    for (const { definition, leaves } of group.rules) {
      const device = definition.where.device
      if (device === undefined || device.includes('*') || group.by.join() !== 'device') continue
      if (leaves.some(({ kind }) => kind === ABSENT)) this.#keyOf(group, { device })
    }
  }

  #keyOf(group: Group, key: Key): KeyState | undefined {
    if (group.by.join() !== 'device') return group.find(key, undefined)
    try {
      return group.find(key, this.#parts.devices.get(key.device ?? ''))
    } catch (error) {
      if (error instanceof DecodeError) return undefined
      throw error
    }
  }

  #saveGroups(): SavedGroup[] {
    return this.#groups.map((group) => ({ signature: group.signature, keys: [...group.keys()].map(saveKey) }))
  }

  /** When time may change something about the key, ms of the rules' clock. */
  #dueOf(key: KeyState): number {
    let due = Number.POSITIVE_INFINITY
    for (const leaf of key.profile.absences) {
      if (key.truth[leaf.index] === 1) continue
      due = Math.min(due, Math.max(key.heardOf(leaf), this.#floor) + leaf.duration)
    }
    for (const [{ definition }, active] of key.active) {
      if (!active.raised) due = Math.min(due, Math.max(active.sinceClock, this.#floor) + definition.for)
      else if (definition.repeat > 0 && !active.acknowledged && !active.silent)
        due = Math.min(due, active.said + definition.repeat)
    }
    return due
  }

  #elapse(): void {
    for (const { group, key } of this.#timers.take(this.clock)) {
      const now = this.clock + this.#skew
      const silent = key.profile.absences.filter(
        (leaf) => key.truth[leaf.index] === 0 && Math.max(key.heardOf(leaf), this.#floor) + leaf.duration <= this.clock,
      )
      group.elapsed(key, (dirty) => silent.forEach((leaf) => void key.missing(leaf, dirty)), now)
      for (const [rule, active] of key.active) {
        if (!active.raised) {
          if (Math.max(active.sinceClock, this.#floor) + rule.definition.for <= this.clock)
            this.#raise(rule, key, active, now)
        } else if (this.#mustRepeat(rule, active)) this.#repeat(rule, key, active, now)
      }
      this.#timers.settle(group, key)
    }
    this.#storms.settle(this.clock)
  }

  #mustRepeat({ definition }: CompiledRule, active: Active): boolean {
    if (definition.repeat === 0 || active.acknowledged || active.silent) return false
    return active.said + definition.repeat <= this.clock
  }

  #begin(rule: CompiledRule, key: KeyState, time: number): void {
    const active: Active = {
      raised: false,
      since: time,
      sinceClock: this.clock,
      id: '',
      raisedAt: 0,
      said: 0,
      acknowledged: false,
      silent: false,
    }
    key.active.set(rule, active)
    key.pending++
    if (rule.definition.for === 0) this.#raise(rule, key, active, time)
    else this.#settle(key)
  }

  #forget(rule: CompiledRule, key: KeyState): void {
    key.active.delete(rule)
    key.pending--
  }

  #raise(rule: CompiledRule, key: KeyState, active: Active, time: number): void {
    const { definition, shows } = rule
    const value = key.value(shows)
    key.pending--
    Object.assign(active, {
      raised: true,
      raisedAt: time,
      said: this.clock,
      silent: !this.#storms.admit(definition, this.clock),
    })
    if (value !== undefined) active.value = value
    this.#counts.raised++
    if (active.silent) this.#counts.suppressed++
    active.id = `${this.#nextAlert++}`
    const group = this.#groupOfKey.get(key)
    if (group && alerts(definition)) this.#alerts.set(active.id, { group, key, rule, active })
    this.#say('raised', rule, key, active, time)
    this.#act(definition, 'raised', key, value, time)
    if (definition.repeat > 0) this.#settle(key)
  }

  #repeat(rule: CompiledRule, key: KeyState, active: Active, time: number): void {
    active.said = this.clock
    const value = key.value(rule.shows)
    if (value !== undefined) active.value = value
    this.#say('repeated', rule, key, active, time)
  }

  #clear(rule: CompiledRule, key: KeyState, active: Active, time: number): void {
    const value = key.value(rule.shows)
    key.active.delete(rule)
    this.#alerts.delete(active.id)
    if (value === undefined) delete active.value
    else active.value = value
    this.#counts.cleared++
    this.#say('cleared', rule, key, active, time)
    this.#act(rule.definition, 'cleared', key, value, time)
  }

  #acknowledge({ id, by, note, now }: Extract<RuleFact, { type: 'acknowledge' }>): void {
    const alert = this.#alerts.get(id)
    if (!alert || alert.active.acknowledged) return
    alert.active.acknowledged = true
    alert.active.seen = { by, ...(note === undefined ? {} : { note }) }
    this.#say('acknowledged', alert.rule, alert.key, alert.active, now, alert.active.seen)
  }

  #say(
    state: AlertRecord['state'],
    { definition }: CompiledRule,
    key: KeyState,
    active: Active,
    time: number,
    seen?: Seen,
  ): void {
    if (active.silent || !alerts(definition)) return
    this.#append(alertRecord(definition, active.id, key.key, state, time, active.value, seen))
  }

  #act(
    definition: RuleDefinition,
    state: 'raised' | 'cleared',
    key: KeyState,
    value: Value | undefined,
    time: number,
  ): void {
    const { name, severity } = definition
    const values = { ...key.key, rule: name, severity, state, ...(value === undefined ? {} : { value }) }
    for (const effect of state === 'raised' ? definition.effects : definition.onClear) {
      if ('command' in effect) {
        const { device, command, args, ...rest } = effect.command
        const order = { ...rest, device: fill(device, values), command: fill(command, values) }
        this.#parts.order(`rule:${name}`, args === undefined ? order : { ...order, args: fillAll(args, values) })
      } else if ('publish' in effect && this.#live) {
        const { topic, payload, retain } = effect.publish
        const body =
          payload === undefined ? alertRecord(definition, '', key.key, state, time, value) : fillAll(payload, values)
        const text = typeof body === 'string' ? body : JSON.stringify(body)
        this.#parts.publish(fill(topic, values), Buffer.from(text), retain)
      }
    }
  }

  #append(record: AlertRecord): void {
    this.#said.push(record)
    if (this.#said.length > REMEMBERED) this.#said.shift()
    this.#send(record)
  }

  #settle(key: KeyState): void {
    const group = this.#groupOfKey.get(key)
    if (group) this.#timers.settle(group, key)
  }

  #sayStorm(name: string, suppressed: number): void {
    const definition = this.#definitions.find((rule) => rule.name === name)
    if (definition) this.#append(alertRecord(definition, '', {}, 'repeated', this.clock + this.#skew, { suppressed }))
  }
}

function alerts({ effects }: RuleDefinition): boolean {
  return effects.some((effect) => 'alert' in effect)
}

function alertRecord(
  { name, severity }: RuleDefinition,
  id: string,
  key: Key,
  state: AlertRecord['state'],
  time: number,
  value: unknown,
  seen?: Seen,
): AlertRecord {
  return {
    kind: 'alert',
    rule: name,
    key,
    state,
    severity,
    time: new Date(time).toISOString(),
    ...(value === undefined ? {} : { value }),
    ...(id === '' ? {} : { id }),
    ...seen,
  }
}
