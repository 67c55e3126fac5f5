import { AGE, HEAP_PLACE, type Keys, NEXT_CLOSE } from './keys.ts'

/**
 * Keys in the order in which their windows close: a binary heap by the next end, then by age of the key, so that the
 * order is the same whatever way it was built. Each key knows its place.
 */
export class DueHeap {
  #rows = new Int32Array(64)
  #size = 0
  readonly #keys: Keys

  constructor(keys: Keys) {
    this.#keys = keys
  }

  /** The key that closes first, or -1. */
  top(): number {
    return this.#size > 0 ? (this.#rows[0] as number) : -1
  }

  /** When the first key closes, ms since the epoch; Infinity when none is open. */
  next(): number {
    return this.#size > 0 ? this.#keys.get(this.#rows[0] as number, NEXT_CLOSE) : Number.POSITIVE_INFINITY
  }

  /** Puts the key where its `nextClose` says: in, out, up or down. */
  settle(row: number): void {
    const at = this.#keys.get(row, HEAP_PLACE)
    if (this.#keys.get(row, NEXT_CLOSE) === Number.POSITIVE_INFINITY) {
      if (at >= 0) this.#remove(at)
    } else if (at < 0) this.#rise(this.#append(row))
    else this.#sink(this.#rise(at))
  }

  /** The rows of the keys that close at or before `time`, in no order. */
  upTo(time: number): Int32Array {
    return this.#rows.subarray(0, this.#size).filter((row) => this.#keys.get(row, NEXT_CLOSE) <= time)
  }

  #append(row: number): number {
    if (this.#size === this.#rows.length) {
      const rows = new Int32Array(this.#size * 2)
      rows.set(this.#rows)
      this.#rows = rows
    }
    this.#place(row, this.#size)
    return this.#size++
  }

  #remove(at: number): void {
    this.#keys.set(this.#rows[at] as number, HEAP_PLACE, -1)
    this.#size--
    if (at === this.#size) return
    this.#place(this.#rows[this.#size] as number, at)
    this.#sink(this.#rise(at))
  }

  #rise(from: number): number {
    let at = from
    const row = this.#rows[at] as number
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = this.#rows[parent] as number
      if (!this.#before(row, above)) break
      this.#place(above, at)
      at = parent
    }
    this.#place(row, at)
    return at
  }

  #sink(from: number): void {
    let at = from
    const row = this.#rows[at] as number
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && this.#before(this.#rows[child + 1] as number, this.#rows[child] as number)) child++
      const below = this.#rows[child] as number
      if (!this.#before(below, row)) break
      this.#place(below, at)
      at = child
    }
    this.#place(row, at)
  }

  #place(row: number, at: number): void {
    this.#rows[at] = row
    this.#keys.set(row, HEAP_PLACE, at)
  }

  #before(a: number, b: number): boolean {
    const first = this.#keys.get(a, NEXT_CLOSE)
    const second = this.#keys.get(b, NEXT_CLOSE)
    return first < second || (first === second && this.#keys.get(a, AGE) < this.#keys.get(b, AGE))
  }
}
