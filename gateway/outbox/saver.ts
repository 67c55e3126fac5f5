/**
 * Saves the outbox's state, one saving at a time: who asks while one is under way shares the next. After each, the
 * stores are trimmed to what the state says: what was dropped or taken by all is deleted only when that is on disk.
 */
import type { Clock, Timer } from '../clock.ts'
import { codeOf } from '../log/files.ts'
import { CLASSES } from '../record.ts'
import type { PerClass } from './budget.ts'
import type { Lane } from './lane.ts'
import type { OutboxState, StateKeeper } from './state.ts'

/** The system's codes for a disk without room. */
const FULL = ['ENOSPC', 'EDQUOT']
/** What sinks acknowledged is saved at least this often, ms. */
const SAVE_EVERY = 1000

export interface SaverParts {
  readonly clock: Clock
  readonly keeper: StateKeeper
  readonly lanes: () => PerClass<Lane>
  readonly head: Pick<OutboxState, 'journal' | 'base'>
  /** The stores were trimmed. */
  readonly trimmed: () => void
}

export class Saver {
  readonly #parts: SaverParts
  #timer: Timer | undefined
  #saving: Promise<void> | undefined
  #again: Promise<void> | undefined

  constructor(parts: SaverParts) {
    this.#parts = parts
  }

  /** Resolves when the state, as it is now, is durable; never rejects: what could not be saved is saved later. */
  save(): Promise<void> {
    if (!this.#saving) {
      this.#saving = this.#saveNow().finally(() => {
        this.#saving = undefined
      })
      return this.#saving
    }
    this.#again ??= this.#saving.then(() => {
      this.#again = undefined
      return this.save()
    })
    return this.#again
  }

  /** Within a second. */
  soon(): void {
    this.#timer ??= this.#parts.clock.after(SAVE_EVERY, () => {
      this.#timer = undefined
      void this.save()
    })
  }

  /** At once, unless one is about to begin. */
  now(): void {
    this.cancel()
    if (!this.#again) void this.save()
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  async #saveNow(): Promise<void> {
    const { keeper, head, trimmed } = this.#parts
    const lanes = this.#parts.lanes()
    const state = Object.fromEntries(CLASSES.map((name) => [name, lanes[name].state()])) as OutboxState['lanes']
    let ends = CLASSES.map((name) => lanes[name].trimmable())
    const dropped = CLASSES.map((name) => lanes[name].shelf.droppedTo)
    try {
      await keeper.save({ v: 1, ...head, lanes: state })
    } catch (error) {
      // The disk is in trouble, and the keeper says so. What was dropped goes all the same. What sinks acknowledged
      // stays, to be sent again after a crash; but a full disk would stay full if it did.
      if (!FULL.includes(codeOf(error))) ends = dropped
      this.soon()
    }
    CLASSES.forEach((name, i) => {
      lanes[name].trim(ends[i] as number)
    })
    trimmed()
  }
}
