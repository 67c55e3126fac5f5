/**
 * Keys in the order in which time may change something about them. A key stands here at the latest moment that is
 * certainly not too late; when that comes its real one is worked out, so that a reading which puts it off costs nothing.
 */
import { Moments } from '../moments.ts'
import type { Group } from './group.ts'
import type { KeyState } from './key-state.ts'

interface Entry {
  readonly at: number
  readonly group: Group
  readonly key: KeyState
}

export class Timers {
  readonly #entries = new Moments<Entry>()
  readonly #dueOf: (key: KeyState) => number

  /** @param dueOf the real moment of a key, ms of the rules' clock; Infinity: never */
  constructor(dueOf: (key: KeyState) => number) {
    this.#dueOf = dueOf
  }

  clear(): void {
    this.#entries.clear()
  }

  /** Something about the key may be due earlier than before. */
  settle(group: Group, key: KeyState): void {
    const at = this.#dueOf(key)
    if (at >= key.due) return
    key.due = at
    this.#entries.push({ at, group, key })
  }

  /** Whether a key is due at `now`. */
  any(now: number): boolean {
    for (let top = this.#entries.top(); top !== undefined && top.at <= now; top = this.#entries.top()) {
      if (top.at === top.key.due) {
        if (this.#dueOf(top.key) <= now) return true
        top.key.due = Number.POSITIVE_INFINITY
      }
      this.#entries.pop()
      this.settle(top.group, top.key)
    }
    return false
  }

  /** Takes out all keys that are due at `now`, in an order that does not depend on how they came to stand here. */
  take(now: number): readonly { readonly group: Group; readonly key: KeyState }[] {
    const due: (Entry & { readonly real: number })[] = []
    for (let top = this.#entries.top(); top !== undefined && top.at <= now; top = this.#entries.top()) {
      this.#entries.pop()
      if (top.at !== top.key.due) continue
      top.key.due = Number.POSITIVE_INFINITY
      const real = this.#dueOf(top.key)
      if (real <= now) due.push({ ...top, real })
      else this.settle(top.group, top.key)
    }
    const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
    return due.sort(
      (a, b) => a.real - b.real || order(a.group.signature, b.group.signature) || a.key.number - b.key.number,
    )
  }
}
