/**
 * A rule whose condition is true for a key. A thousand rules come and go with the values, and an object that outlives a
 * few thousand readings is dear to the garbage collector: so they are used again.
 */
import type { CompiledRule } from './condition.ts'
import type { Value } from './definition.ts'
import type { Seen } from './facts.ts'
import type { KeyState } from './key-state.ts'

/** About to be raised, or raised. Times in ms. */
export interface Active {
  rule: CompiledRule
  key: KeyState
  raised: boolean
  /** Event time, and the rules' clock, when the condition became true. */
  since: number
  sinceClock: number
  /** Numbers the alert; 0 while it is not raised. */
  id: number
  raisedAt: number
  /** The rules' clock when it was last said. */
  said: number
  acknowledged: boolean
  /** One too many: only counted. */
  silent: boolean
  value: Value | undefined
  seen: Seen | undefined
  /** Of the same key. */
  next: Active | undefined
}

export class Actives {
  #spare: Active | undefined

  /** @param since event time. @param clock the rules' */
  take(rule: CompiledRule, key: KeyState, since: number, clock: number): Active {
    const active = this.#spare ?? createActive(rule, key)
    this.#spare = active.next
    active.rule = rule
    active.key = key
    active.since = since
    active.sinceClock = clock
    active.next = undefined
    return active
  }

  /** Nobody looks at it any more. */
  give(active: Active): void {
    active.raised = false
    active.id = 0
    active.acknowledged = false
    active.silent = false
    active.value = undefined
    active.seen = undefined
    active.next = this.#spare
    this.#spare = active
  }
}

export function createActive(rule: CompiledRule, key: KeyState): Active {
  return {
    rule,
    key,
    raised: false,
    since: 0,
    sinceClock: 0,
    id: 0,
    raisedAt: 0,
    said: 0,
    acknowledged: false,
    silent: false,
    value: undefined,
    seen: undefined,
    next: undefined,
  }
}
