/**
 * What becomes of rules whose conditions became true: they wait for their time (`for`), are raised, said again, seen by
 * a person, and cleared.
 */
import type { AlertRecord } from '../record.ts'
import { type Active, Actives } from './active.ts'
import type { CompiledRule } from './condition.ts'
import type { RuleDefinition, Value } from './definition.ts'
import type { Seen } from './facts.ts'
import type { Key, KeyState } from './key-state.ts'
import { type SavedStorms, Storms } from './storms.ts'
import { type Deeds, Telling, type TellingHost } from './telling.ts'

export interface AlertHost extends TellingHost {
  /** The rules' clock, ms. */
  readonly clock: number
  /** The same as a wall clock. */
  readonly wall: number
  /** Something about the key may be due earlier than before. */
  settle(key: KeyState): void
  definition(rule: string): RuleDefinition | undefined
  /** Of all rules. */
  keys(): Iterable<KeyState>
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

export interface SavedAlerts {
  readonly nextAlert: number
  readonly storms: SavedStorms
  /** What alerts did last, oldest first. */
  readonly said?: readonly AlertRecord[]
}

export class Alerts {
  readonly #host: AlertHost
  readonly #telling: Telling
  readonly #storms: Storms
  #actives = new Actives()
  #next = 1
  /** Alerts that are raised. */
  open = 0
  readonly counts = { raised: 0, cleared: 0, suppressed: 0 }

  constructor(host: AlertHost, deeds: Deeds) {
    this.#host = host
    this.#telling = new Telling(host, deeds)
    this.#storms = new Storms((rule, suppressed) => {
      const definition = host.definition(rule)
      if (definition) this.#telling.sayStorm(definition, suppressed, host.wall)
    })
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined
  }

  list(): readonly RaisedAlert[] {
    return this.#raised().map(({ id, rule: { definition }, key, raisedAt, acknowledged, seen, value }) => ({
      id: `${id}`,
      rule: definition.name,
      key: key.key,
      severity: definition.severity,
      raised: raisedAt,
      acknowledged,
      ...seen,
      ...(value === undefined ? {} : { value }),
    }))
  }

  /** What alerts did last, newest first. */
  history(): readonly AlertRecord[] {
    return this.#telling.said.toReversed()
  }

  state(): SavedAlerts {
    return { nextAlert: this.#next, storms: this.#storms.state(), said: this.#telling.said }
  }

  restore({ nextAlert, storms, said = [] }: SavedAlerts): void {
    this.#next = nextAlert
    this.#storms.restore(storms)
    this.#telling.said = [...said]
  }

  /** Rules are arranged anew; what is raised comes back by `known`. */
  forgetAll(): void {
    this.open = 0
    this.#actives = new Actives()
  }

  /** A key that was saved, with what was raised for it. */
  known(key: KeyState): void {
    for (let active = key.active; active !== undefined; active = active.next)
      if (active.raised && active.rule.alerts) this.open++
  }

  /** A rule that stays as it is keeps its alerts. */
  clearAllBut(kept: ReadonlySet<string>): void {
    for (const active of this.#raised())
      if (!kept.has(active.rule.definition.name)) this.#clear(active, this.#host.wall)
  }

  /** A leaf of the rule changed for this key at event time `time`. */
  changed(rule: CompiledRule, key: KeyState, time: number): void {
    const active = key.activeOf(rule)
    const holds = rule.when(key.truth)
    if (!active) {
      if (holds) this.#begin(rule, key, time)
    } else if (!active.raised) {
      if (!holds) this.#end(active)
    } else if (rule.clear ? rule.clear(key.truth) : !holds) this.#clear(active, time)
  }

  /** Event time went on while conditions wait for their time to be over. */
  waited(key: KeyState, time: number): void {
    for (let active = key.active; active !== undefined; active = active.next)
      if (!active.raised && time - active.since >= active.rule.definition.for) this.#raise(active, time)
  }

  /** The rules' clock went on. @param floor silence does not count before this */
  elapsed(key: KeyState, floor: number): void {
    const { clock, wall } = this.#host
    for (let active = key.active; active !== undefined; active = active.next) {
      if (dueAt(active, floor) > clock) continue
      if (active.raised) this.#repeat(active, wall)
      else this.#raise(active, wall)
    }
  }

  /** When the rules' clock may change something about the key. */
  dueOf(key: KeyState, floor: number): number {
    let due = Number.POSITIVE_INFINITY
    for (let active = key.active; active !== undefined; active = active.next) due = Math.min(due, dueAt(active, floor))
    return due
  }

  /** Whether the end of a storm is to be told. */
  stormDue(clock: number): boolean {
    return this.#storms.due(clock)
  }

  settleStorms(): void {
    this.#storms.settle(this.#host.clock)
  }

  acknowledge(id: string, seen: Seen, now: number): void {
    const active = this.#find(id)
    if (!active || active.acknowledged) return
    active.acknowledged = true
    active.seen = seen
    this.#telling.say('acknowledged', active, now, seen)
  }

  /** In the order in which they were raised. People ask for them, now and then: to keep a list would cost each alert. */
  #raised(): Active[] {
    const raised: Active[] = []
    for (const key of this.#host.keys())
      for (let active = key.active; active !== undefined; active = active.next)
        if (active.raised && active.rule.alerts) raised.push(active)
    return raised.sort((a, b) => a.id - b.id)
  }

  #find(id: string): Active | undefined {
    return this.#raised().find((active) => `${active.id}` === id)
  }

  #begin(rule: CompiledRule, key: KeyState, time: number): void {
    const active = this.#actives.take(rule, key, time, this.#host.clock)
    key.begin(active)
    if (rule.definition.for === 0) this.#raise(active, time)
    else this.#host.settle(key)
  }

  #raise(active: Active, time: number): void {
    const { rule, key } = active
    const { clock } = this.#host
    key.pending--
    active.raised = true
    active.raisedAt = time
    active.said = clock
    active.silent = !this.#storms.admit(rule.definition, clock)
    active.id = this.#next++
    active.value = key.value(rule.shows)
    this.counts.raised++
    if (active.silent) this.counts.suppressed++
    if (rule.alerts) this.open++
    this.#telling.say('raised', active, time)
    this.#telling.act('raised', active, time)
    if (rule.definition.repeat > 0) this.#host.settle(key)
  }

  #repeat(active: Active, time: number): void {
    active.said = this.#host.clock
    active.value = active.key.value(active.rule.shows) ?? active.value
    this.#telling.say('repeated', active, time)
  }

  #clear(active: Active, time: number): void {
    const { rule, key } = active
    active.value = key.value(rule.shows)
    this.counts.cleared++
    if (rule.alerts) this.open--
    this.#telling.say('cleared', active, time)
    this.#telling.act('cleared', active, time)
    this.#end(active)
  }

  #end(active: Active): void {
    active.key.end(active)
    this.#actives.give(active)
  }
}

/** When the rules' clock raises it, or says it again; Infinity: never. */
function dueAt(
  { rule: { definition }, raised, sinceClock, said, acknowledged, silent }: Active,
  floor: number,
): number {
  if (!raised) return Math.max(sinceClock, floor) + definition.for
  return definition.repeat > 0 && !acknowledged && !silent ? said + definition.repeat : Number.POSITIVE_INFINITY
}
