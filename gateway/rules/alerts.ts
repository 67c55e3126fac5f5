/**
 * What becomes of rules whose conditions became true: they wait for their time (`for`), are raised, said again, seen by
 * a person, and cleared. Each step is a record, and does what the rule says.
 */
import type { CommandOrder } from '../commands/command.ts'
import type { AlertRecord } from '../record.ts'
import type { CompiledRule } from './condition.ts'
import type { Effect, RuleDefinition, Value } from './definition.ts'
import { fill, fillAll } from './effects.ts'
import type { Seen } from './facts.ts'
import type { Active, Key, KeyState } from './key-state.ts'
import { type SavedStorms, Storms } from './storms.ts'

export interface AlertHost {
  /** The rules' clock, ms. */
  readonly clock: number
  /** The same as a wall clock. */
  readonly wall: number
  /** False while the journal is replayed. */
  readonly live: boolean
  append(record: AlertRecord): void
  /** Something about the key may be due earlier than before. */
  settle(key: KeyState): void
  definition(rule: string): RuleDefinition | undefined
}

export interface Deeds {
  /** Orders a command; part of the processing of an entry. */
  readonly order: (by: string, order: CommandOrder) => void
  /** On the local broker; only called live. */
  readonly publish: (topic: string, payload: Buffer, retain: boolean) => void
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

/** How much of what alerts did is remembered for people; it is in every checkpoint. */
const REMEMBERED = 100

export class Alerts {
  readonly #host: AlertHost
  readonly #deeds: Deeds
  readonly #storms: Storms
  /** Raised ones by id. */
  readonly #raised = new Map<string, { readonly key: KeyState; readonly rule: CompiledRule; readonly active: Active }>()
  #said: AlertRecord[] = []
  #next = 1
  readonly counts = { raised: 0, cleared: 0, suppressed: 0 }

  constructor(host: AlertHost, deeds: Deeds) {
    this.#host = host
    this.#deeds = deeds
    this.#storms = new Storms((rule, suppressed) => this.#sayStorm(rule, suppressed))
  }

  get open(): number {
    return this.#raised.size
  }

  has(id: string): boolean {
    return this.#raised.has(id)
  }

  list(): readonly RaisedAlert[] {
    return [...this.#raised.values()].map(({ key, rule, active }) => ({
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

  state(): SavedAlerts {
    return { nextAlert: this.#next, storms: this.#storms.state(), said: this.#said }
  }

  restore({ nextAlert, storms, said = [] }: SavedAlerts): void {
    this.#next = nextAlert
    this.#storms.restore(storms)
    this.#said = [...said]
  }

  /** Rules are arranged anew; what is raised comes back by `known`. */
  forgetAll(): void {
    this.#raised.clear()
  }

  /** A key that was saved, with what was raised for it. */
  known(key: KeyState): void {
    for (const [rule, active] of key.active)
      if (active.raised && active.id !== '') this.#raised.set(active.id, { key, rule, active })
  }

  /** A rule that stays as it is keeps its alerts. */
  clearAllBut(kept: ReadonlySet<string>): void {
    for (const { key, rule, active } of [...this.#raised.values()])
      if (!kept.has(rule.definition.name)) this.#clear(rule, key, active, this.#host.wall)
  }

  /** A leaf of the rule changed for this key at event time `time`. */
  changed(rule: CompiledRule, key: KeyState, time: number): void {
    const active = key.active.get(rule)
    const holds = rule.when(key.truth)
    if (!active) {
      if (holds) this.#begin(rule, key, time)
    } else if (!active.raised) {
      if (!holds) {
        key.active.delete(rule)
        key.pending--
      }
    } else if (rule.clear ? rule.clear(key.truth) : !holds) this.#clear(rule, key, active, time)
  }

  /** Event time went on while conditions wait for their time to be over. */
  waited(key: KeyState, time: number): void {
    for (const [rule, active] of key.active)
      if (!active.raised && time - active.since >= rule.definition.for) this.#raise(rule, key, active, time)
  }

  /** The rules' clock went on. @param floor silence does not count before this */
  elapsed(key: KeyState, floor: number): void {
    const { clock, wall } = this.#host
    for (const [rule, active] of key.active) {
      const { definition } = rule
      if (!active.raised) {
        if (Math.max(active.sinceClock, floor) + definition.for <= clock) this.#raise(rule, key, active, wall)
      } else if (mayRepeat(definition, active) && active.said + definition.repeat <= clock)
        this.#repeat(rule, key, active, wall)
    }
  }

  /** When the rules' clock may change something about the key. */
  dueOf(key: KeyState, floor: number): number {
    let due = Number.POSITIVE_INFINITY
    for (const [{ definition }, active] of key.active) {
      if (!active.raised) due = Math.min(due, Math.max(active.sinceClock, floor) + definition.for)
      else if (mayRepeat(definition, active)) due = Math.min(due, active.said + definition.repeat)
    }
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
    const alert = this.#raised.get(id)
    if (!alert || alert.active.acknowledged) return
    alert.active.acknowledged = true
    alert.active.seen = seen
    this.#say('acknowledged', alert.rule, alert.key, alert.active, now, seen)
  }

  #begin(rule: CompiledRule, key: KeyState, time: number): void {
    const active: Active = {
      raised: false,
      since: time,
      sinceClock: this.#host.clock,
      id: '',
      raisedAt: 0,
      said: 0,
      acknowledged: false,
      silent: false,
    }
    key.active.set(rule, active)
    key.pending++
    if (rule.definition.for === 0) this.#raise(rule, key, active, time)
    else this.#host.settle(key)
  }

  #raise(rule: CompiledRule, key: KeyState, active: Active, time: number): void {
    const { definition, shows } = rule
    const { clock } = this.#host
    const value = key.value(shows)
    key.pending--
    active.raised = true
    active.raisedAt = time
    active.said = clock
    active.silent = !this.#storms.admit(definition, clock)
    active.id = `${this.#next++}`
    if (value !== undefined) active.value = value
    this.counts.raised++
    if (active.silent) this.counts.suppressed++
    if (definition.effects.some(isAlert)) this.#raised.set(active.id, { key, rule, active })
    this.#say('raised', rule, key, active, time)
    this.#act(definition, 'raised', key, value, time)
    if (definition.repeat > 0) this.#host.settle(key)
  }

  #repeat(rule: CompiledRule, key: KeyState, active: Active, time: number): void {
    active.said = this.#host.clock
    const value = key.value(rule.shows)
    if (value !== undefined) active.value = value
    this.#say('repeated', rule, key, active, time)
  }

  #clear(rule: CompiledRule, key: KeyState, active: Active, time: number): void {
    const value = key.value(rule.shows)
    key.active.delete(rule)
    this.#raised.delete(active.id)
    if (value === undefined) delete active.value
    else active.value = value
    this.counts.cleared++
    this.#say('cleared', rule, key, active, time)
    this.#act(rule.definition, 'cleared', key, value, time)
  }

  #say(
    state: AlertRecord['state'],
    { definition }: CompiledRule,
    key: KeyState,
    active: Active,
    time: number,
    seen?: Seen,
  ): void {
    if (active.silent || !definition.effects.some(isAlert)) return
    this.#append(alertRecord(definition, active.id, key.key, state, time, active.value, seen))
  }

  #sayStorm(rule: string, suppressed: number): void {
    const definition = this.#host.definition(rule)
    if (definition) this.#append(alertRecord(definition, '', {}, 'repeated', this.#host.wall, { suppressed }))
  }

  #append(record: AlertRecord): void {
    this.#said.push(record)
    if (this.#said.length > REMEMBERED) this.#said.shift()
    this.#host.append(record)
  }

  #act(
    definition: RuleDefinition,
    state: 'raised' | 'cleared',
    key: KeyState,
    value: Value | undefined,
    time: number,
  ): void {
    const effects = state === 'raised' ? definition.effects : definition.onClear
    if (effects.every(isAlert)) return
    const { name, severity } = definition
    // A part of the key goes before a word of ours of the same name: `state` may be a state of Australia.
    const values = { rule: name, severity, state, ...(value === undefined ? {} : { value }), ...key.key }
    for (const effect of effects) {
      if ('command' in effect) {
        const { device, command, args, ...rest } = effect.command
        const order = { ...rest, device: fill(device, values), command: fill(command, values) }
        this.#deeds.order(`rule:${name}`, args === undefined ? order : { ...order, args: fillAll(args, values) })
      } else if ('publish' in effect && this.#host.live) {
        const { topic, payload, retain } = effect.publish
        const body =
          payload === undefined ? alertRecord(definition, '', key.key, state, time, value) : fillAll(payload, values)
        const text = typeof body === 'string' ? body : JSON.stringify(body)
        this.#deeds.publish(fill(topic, values), Buffer.from(text), retain)
      }
    }
  }
}

function mayRepeat({ repeat }: RuleDefinition, { acknowledged, silent }: Active): boolean {
  return repeat > 0 && !acknowledged && !silent
}

function isAlert(effect: Effect): boolean {
  return 'alert' in effect
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
