/** Keeps the classes within the budget: drops what may go, says when nothing may come, and when it may again. */
import { CLASSES, type RecordClass } from '../record.ts'
import { type Budget, freeFor, type PerClass, victimFor } from './budget.ts'
import type { Lane } from './lane.ts'

/** When more than this waits for the disk, every class counts as full, bytes. */
const MAX_PENDING = 16 << 20

export interface RoomParts {
  readonly lanes: PerClass<Lane>
  readonly budget: Budget
  readonly wants: (recordClass: RecordClass) => boolean
  /** Something was dropped. */
  readonly dropped: () => void
}

export class Room {
  readonly listeners: (() => void)[] = []
  readonly #parts: RoomParts
  #wasFull = false

  constructor(parts: RoomParts) {
    this.#parts = parts
  }

  /** Makes room for `bytes` more of a class; false when they are to be refused. */
  make(recordClass: RecordClass, bytes: number): boolean {
    const { lanes, budget, dropped } = this.#parts
    const policy = budget.whenFull[recordClass]
    while (freeFor(recordClass, lanes, budget) < bytes) {
      const victim = victimFor(recordClass, lanes, budget)
      if (victim) lanes[victim].dropOldest()
      else if (policy === 'drop_newest') return false
      // `block` was announced by `full`; what is on its way already must not be lost.
      else if (policy === 'block' || !lanes[recordClass].dropOldest()) return true
      dropped()
    }
    return true
  }

  /** No more records should be caused: the policy is `block` and there is no room, or the disk does not keep up. */
  full(recordClass: RecordClass): boolean {
    const full = this.#isFull(recordClass)
    if (full) this.#wasFull = true
    return full
  }

  /** Tells the listeners when there is room again. */
  tell(): void {
    if (!this.#wasFull || CLASSES.some((name) => this.#isFull(name))) return
    this.#wasFull = false
    for (const listener of this.listeners) listener()
  }

  #isFull(recordClass: RecordClass): boolean {
    const { lanes, budget, wants } = this.#parts
    let pending = 0
    for (const name of CLASSES) pending += lanes[name].pendingBytes
    if (pending > MAX_PENDING) return true
    if (budget.whenFull[recordClass] !== 'block' || !wants(recordClass)) return false
    return freeFor(recordClass, lanes, budget) <= 0 && victimFor(recordClass, lanes, budget) === undefined
  }
}
