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
import type { Devices } from '../decode/devices.ts'
import type { Reading } from '../reading.ts'
import type { AlertRecord, WindowRecord } from '../record.ts'
import type { Watcher } from '../watcher.ts'
import { type AlertHost, Alerts, type RaisedAlert, type SavedAlerts } from './alerts.ts'
import { Arrangement } from './arrangement.ts'
import type { CompiledRule } from './condition.ts'
import type { RuleDefinition } from './definition.ts'
import { type RuleFact, STAGE } from './facts.ts'
import type { Group, GroupHost } from './group.ts'
import type { KeyState } from './key-state.ts'
import type { SavedGroup } from './snapshot.ts'
import type { Deeds } from './telling.ts'
import { Timers } from './timers.ts'

export interface RuleParts extends Deeds {
  readonly devices: Devices
}

export interface RuleState extends SavedAlerts {
  readonly version: 1
  readonly definitions: readonly RuleDefinition[]
  readonly clock: number
  readonly skew: number
  readonly floor: number
  readonly groups: readonly SavedGroup[]
}

/** A wall clock that moves otherwise than time by more than this was set, ms. */
const STEP = 2000

export class RuleStage implements Watcher, GroupHost, AlertHost {
  readonly #devices: Devices
  readonly #alerts: Alerts
  readonly #timers: Timers
  readonly #groupOfKey = new WeakMap<KeyState, Group>()
  #append: (record: AlertRecord) => void = () => undefined
  #arrangement: Arrangement
  /** The rules' clock: wall clock less its steps. */
  clock = 0
  #skew = 0
  /** Silence does not count before this: the gateway was not there to hear. */
  #floor = 0
  live = false
  #lastWall: number | undefined
  #lastMonotonic = 0

  constructor({ devices, order, publish }: RuleParts) {
    this.#devices = devices
    this.#alerts = new Alerts(this, { order, publish })
    this.#timers = new Timers((key) => this.#dueOf(key))
    this.#arrangement = new Arrangement([], devices, this)
  }

  attach(pipeline: { append(recordClass: 'event', record: AlertRecord): void }): void {
    this.#append = (record) => pipeline.append('event', record)
  }

  get definitions(): readonly RuleDefinition[] {
    return this.#arrangement.definitions
  }

  counts() {
    const { groups } = this.#arrangement
    return {
      ...this.#alerts.counts,
      rules: this.definitions.length,
      open: this.#alerts.open,
      keys: groups.reduce((sum, { keys }) => sum + keys.all.length, 0),
      refusedKeys: groups.reduce((sum, { keys }) => sum + keys.refused, 0),
    }
  }

  reading(reading: Reading, _entry: number, live: boolean): void {
    const groups = this.#arrangement.onReadings
    if (groups.length === 0) return
    this.live = live
    this.#see(reading.received)
    for (let i = 0; i < groups.length; i++) (groups[i] as Group).reading(reading)
  }

  result(record: WindowRecord, _definition: unknown, _entry: number, live: boolean): void {
    const groups = this.#arrangement.onResults(record.window)
    if (groups.length === 0) return
    this.live = live
    for (const group of groups) group.result(record)
  }

  fact(stage: string, fact: unknown, _entry: number, live: boolean): void {
    if (stage !== STAGE) return
    this.live = live
    const given = fact as RuleFact
    if (given.type === 'step') this.#step(given.by, given.now)
    this.#see(given.now)
    if (given.type === 'define') this.#define(given.rules)
    else if (given.type === 'start') this.#floor = this.clock
    else if (given.type === 'tick') this.#elapse()
    else if (given.type === 'acknowledge') {
      const { id, by, note, now } = given
      this.#alerts.acknowledge(id, { by, ...(note === undefined ? {} : { note }) }, now)
    }
  }

  /** What must be journaled at the start, in this order. */
  starting(rules: readonly RuleDefinition[], now: number): RuleFact[] {
    const facts: RuleFact[] = []
    if (JSON.stringify(rules) !== JSON.stringify(this.definitions)) facts.push({ type: 'define', rules, now })
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
    if (this.#arrangement.groups.length === 0) return null
    const expected = this.#lastWall === undefined ? now : this.#lastWall + monotonic - this.#lastMonotonic
    this.#lastWall = now
    this.#lastMonotonic = monotonic
    if (Math.abs(now - expected) > STEP) return { type: 'step', by: now - expected, now }
    const clock = Math.max(this.clock, now - this.#skew)
    return this.#timers.any(clock) || this.#alerts.stormDue(clock) ? { type: 'tick', now } : null
  }

  alerts(): readonly RaisedAlert[] {
    return this.#alerts.list()
  }

  /** What alerts did last, newest first. */
  history(): readonly AlertRecord[] {
    return this.#alerts.history()
  }

  /** Whether there is such an alert. */
  isRaised(id: string): boolean {
    return this.#alerts.has(id)
  }

  snapshot(): RuleState {
    return {
      version: 1,
      definitions: this.definitions,
      clock: this.clock,
      skew: this.#skew,
      floor: this.#floor,
      ...this.#alerts.state(),
      groups: this.#arrangement.save(),
    }
  }

  restore(given: unknown): void {
    if (given === undefined) return
    const state = given as RuleState
    this.clock = state.clock
    this.#skew = state.skew
    this.#floor = state.floor
    this.#alerts.restore(state)
    this.#arrange(state.definitions, state.groups, () => true)
  }

  // What a group tells.

  created(group: Group, key: KeyState): void {
    this.#groupOfKey.set(key, group)
    if (key.profile.absences.length > 0) this.#timers.settle(group, key)
  }

  returned(key: KeyState): void {
    this.settle(key)
  }

  changed(rule: CompiledRule, key: KeyState, time: number): void {
    this.#alerts.changed(rule, key, time)
  }

  waited(key: KeyState, time: number): void {
    this.#alerts.waited(key, time)
  }

  // What the alerts ask for.

  get wall(): number {
    return this.clock + this.#skew
  }

  append(record: AlertRecord): void {
    this.#append(record)
  }

  settle(key: KeyState): void {
    const group = this.#groupOfKey.get(key)
    if (group) this.#timers.settle(group, key)
  }

  *keys(): Generator<KeyState> {
    for (const { keys } of this.#arrangement.groups) yield* keys.all
  }

  definition(name: string): RuleDefinition | undefined {
    return this.definitions.find((rule) => rule.name === name)
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
    for (const key of this.keys()) {
      key.setBack(clock)
      this.settle(key)
    }
  }

  #define(rules: readonly RuleDefinition[]): void {
    const saved = this.#arrangement.save()
    const old = new Map(this.definitions.map((rule) => [rule.name, JSON.stringify(rule)]))
    const same = (rule: RuleDefinition) => old.get(rule.name) === JSON.stringify(rule)
    this.#alerts.clearAllBut(new Set(rules.filter(same).map(({ name }) => name)))
    this.#arrange(rules, saved, same)
  }

  #arrange(
    rules: readonly RuleDefinition[],
    saved: readonly SavedGroup[],
    same: (rule: RuleDefinition) => boolean,
  ): void {
    this.#timers.clear()
    this.#alerts.forgetAll()
    this.#arrangement = new Arrangement(rules, this.#devices, this)
    this.#arrangement.load(saved, same, (group, key) => {
      this.#alerts.known(key)
      key.due = Number.POSITIVE_INFINITY
      this.#timers.settle(group, key)
    })
  }

  /** When time may change something about the key, ms of the rules' clock. */
  #dueOf(key: KeyState): number {
    let due = this.#alerts.dueOf(key, this.#floor)
    for (const leaf of key.profile.absences) {
      if (key.truth[leaf.index] === 1) continue
      due = Math.min(due, Math.max(key.heardOf(leaf), this.#floor) + leaf.duration)
    }
    return due
  }

  #elapse(): void {
    for (const { group, key } of this.#timers.take(this.clock)) {
      const silent = key.profile.absences.filter(
        (leaf) => key.truth[leaf.index] === 0 && Math.max(key.heardOf(leaf), this.#floor) + leaf.duration <= this.clock,
      )
      group.elapsed(key, (changed) => silent.forEach((leaf) => void key.missing(leaf, changed)), this.wall)
      this.#alerts.elapsed(key, this.#floor)
      this.#timers.settle(group, key)
    }
    this.#alerts.settleStorms()
  }
}
