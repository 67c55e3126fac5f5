/** The keys of windows over several devices, in slices by their hash: see `slices.ts`. */
import { DueHeap } from './due-heap.ts'
import { HASH, HEAP_PLACE, type Keys } from './keys.ts'
import { hashOf } from './slices.ts'

export interface KeySlice {
  /** Its keys by the end of their next window. */
  readonly due: DueHeap
  /** Windows that end at or before it are closed, ms since the epoch. */
  clock: number
}

export class KeySlices {
  /** A power of two of them. */
  list: readonly KeySlice[]
  readonly #keys: Keys

  constructor(keys: Keys) {
    this.#keys = keys
    this.list = [{ due: new DueHeap(keys), clock: Number.NEGATIVE_INFINITY }]
  }

  /** The slice that the key is in. */
  of(row: number): KeySlice {
    return this.list[this.#keys.get(row, HASH) & (this.list.length - 1)] as KeySlice
  }

  /** The key is new. */
  add(row: number): void {
    this.#keys.set(row, HASH, hashOf((this.#keys.values[row] as readonly string[]).join('\0')))
  }

  /** The keys are in more slices from now on; each keeps the clock of the one it was part of. */
  divide(into: number): void {
    const clocks = this.clocks()
    this.#arrange(Array.from({ length: into }, (_, i) => clocks[i & (clocks.length - 1)] as number))
  }

  clocks(): number[] {
    return this.list.map(({ clock }) => clock)
  }

  /** After the keys were restored. */
  restore(clocks: readonly number[]): void {
    for (const row of this.#keys.live()) this.add(row)
    this.#arrange(clocks)
  }

  #arrange(clocks: readonly number[]): void {
    this.list = clocks.map((clock) => ({ due: new DueHeap(this.#keys), clock }))
    for (const row of this.#keys.live()) {
      this.#keys.set(row, HEAP_PLACE, -1)
      this.of(row).due.settle(row)
    }
  }
}
