/** What is said and done when an alert is raised, said again, seen or cleared: records, commands, publications. */
import type { CommandOrder } from '../commands/command.ts'
import type { AlertRecord } from '../record.ts'
import type { Active } from './active.ts'
import type { RuleDefinition } from './definition.ts'
import { fill, fillAll } from './effects.ts'
import type { Seen } from './facts.ts'
import type { Key } from './key-state.ts'

export interface TellingHost {
  /** False while the journal is replayed. */
  readonly live: boolean
  append(record: AlertRecord): void
}

export interface Deeds {
  /** Orders a command; part of the processing of an entry. */
  readonly order: (by: string, order: CommandOrder) => void
  /** On the local broker; only called live. */
  readonly publish: (topic: string, payload: Buffer, retain: boolean) => void
}

type State = AlertRecord['state']

/** How much of what alerts did is remembered for people; it is in every checkpoint. */
const REMEMBERED = 100

export class Telling {
  readonly #host: TellingHost
  readonly #deeds: Deeds
  /** Oldest first. */
  said: AlertRecord[] = []

  constructor(host: TellingHost, deeds: Deeds) {
    this.#host = host
    this.#deeds = deeds
  }

  /** @param time event time, or the wall clock when nothing came */
  say(state: State, { rule, key, id, value, silent }: Active, time: number, seen?: Seen): void {
    if (silent || !rule.alerts) return
    this.#append(alertRecord(rule.definition, id, key.key, state, time, value, seen))
  }

  sayStorm(definition: RuleDefinition, suppressed: number, time: number): void {
    this.#append(alertRecord(definition, 0, {}, 'repeated', time, { suppressed }))
  }

  act(state: 'raised' | 'cleared', { rule: { definition }, key: { key }, value }: Active, time: number): void {
    const { name, severity } = definition
    const effects = state === 'raised' ? definition.effects : definition.onClear
    if (effects.every((effect) => 'alert' in effect)) return
    // A part of the key goes before a word of ours of the same name: `state` may be a state of Australia.
    const values = { rule: name, severity, state, ...(value === undefined ? {} : { value }), ...key }
    for (const effect of effects) {
      if ('command' in effect) {
        const { device, command, args, ...rest } = effect.command
        const order = { ...rest, device: fill(device, values), command: fill(command, values) }
        this.#deeds.order(`rule:${name}`, args === undefined ? order : { ...order, args: fillAll(args, values) })
      } else if ('publish' in effect && this.#host.live) {
        const { topic, payload, retain } = effect.publish
        const body =
          payload === undefined ? alertRecord(definition, 0, key, state, time, value) : fillAll(payload, values)
        const text = typeof body === 'string' ? body : JSON.stringify(body)
        this.#deeds.publish(fill(topic, values), Buffer.from(text), retain)
      }
    }
  }

  #append(record: AlertRecord): void {
    this.said.push(record)
    if (this.said.length > REMEMBERED) this.said.shift()
    this.#host.append(record)
  }
}

/** @param id 0: none is named */
function alertRecord(
  { name, severity }: RuleDefinition,
  id: number,
  key: Key,
  state: State,
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
    ...(id === 0 ? {} : { id: `${id}` }),
    ...seen,
  }
}
