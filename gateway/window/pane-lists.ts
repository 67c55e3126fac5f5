import { CURRENT, HEAD, type Keys } from './keys.ts'
import { CLOSED, NEXT_PANE, START } from './pane-header.ts'
import type { Panes } from './panes.ts'
import { NONE } from './slab.ts'

/** The panes of each key, a list by start. */
export class PaneLists {
  readonly #keys: Keys
  readonly #panes: Panes

  constructor(keys: Keys, panes: Panes) {
    this.#keys = keys
    this.#panes = panes
  }

  insert(row: number, pane: number): void {
    const panes = this.#panes
    const start = panes.get(pane, START)
    let before = this.#keys.get(row, CURRENT)
    if (before === NONE || panes.get(before, START) > start) before = NONE
    let after = before === NONE ? this.#keys.get(row, HEAD) : panes.get(before, NEXT_PANE)
    while (after !== NONE && panes.get(after, START) <= start) {
      before = after
      after = panes.get(after, NEXT_PANE)
    }
    panes.set(pane, NEXT_PANE, after)
    if (before === NONE) this.#keys.set(row, HEAD, pane)
    else panes.set(before, NEXT_PANE, pane)
  }

  /** `moved` takes the place of `pane`, which is gone; its link was copied. */
  replace(row: number, pane: number, moved: number): void {
    if (this.#keys.get(row, CURRENT) === pane) this.#keys.set(row, CURRENT, moved)
    if (this.#keys.get(row, HEAD) === pane) {
      this.#keys.set(row, HEAD, moved)
      return
    }
    let at = this.#keys.get(row, HEAD)
    while (this.#panes.get(at, NEXT_PANE) !== pane) at = this.#panes.get(at, NEXT_PANE)
    this.#panes.set(at, NEXT_PANE, moved)
  }

  /** Takes the pane out of the list and frees it. */
  remove(row: number, pane: number): void {
    const next = this.#panes.get(pane, NEXT_PANE)
    if (this.#keys.get(row, CURRENT) === pane) this.#keys.set(row, CURRENT, NONE)
    if (this.#keys.get(row, HEAD) === pane) this.#keys.set(row, HEAD, next)
    else {
      let at = this.#keys.get(row, HEAD)
      while (this.#panes.get(at, NEXT_PANE) !== pane) at = this.#panes.get(at, NEXT_PANE)
      this.#panes.set(at, NEXT_PANE, next)
    }
    this.#panes.free(pane)
  }

  /** The first pane of the key that is not closed, or NONE. */
  firstOpen(row: number): number {
    let pane = this.#keys.get(row, HEAD)
    while (pane !== NONE && this.#panes.get(pane, CLOSED) === 1) pane = this.#panes.get(pane, NEXT_PANE)
    return pane
  }
}
