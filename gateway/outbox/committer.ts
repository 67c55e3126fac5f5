/**
 * Holds records until the journal covers the entries that caused them, then writes them to the store together with a
 * mark: the highest entry of which nothing is missing.
 *
 *   entry   …  41  42  42  43 │ 44  44  45        pending, in order
 *                             ▲ target: the journal is durable up to here
 *
 * A mark covers what was appended before it, not a byte of a later entry. So where records beyond the mark are written
 * in the same commit (one entry's records were partly refused, and the gap that tells of it still grows), the mark is
 * set between them.
 */
import type { Store } from './store.ts'

interface Pending {
  /** Written when the journal covers this entry. */
  readonly entry: number
  /** No mark at or above this entry until it is written. */
  readonly since: number
  readonly bytes: Buffer
}

export interface CommitterParts {
  readonly store: Store
  /** Lowest entry that is told of by something not yet pending. */
  readonly untold: () => number | undefined
  /** What must be durable before the records are. */
  readonly before: () => Promise<void> | undefined
}

export class Committer {
  /** Bytes not yet handed to the store. */
  bytes = 0
  /** Highest entry whose records are all durable. */
  covered: number
  readonly #store: Store
  readonly #untold: () => number | undefined
  readonly #before: () => Promise<void> | undefined
  #pending: Pending[] = []
  #target: number
  #writing: Promise<void> | undefined

  constructor({ store, untold, before }: CommitterParts) {
    this.#store = store
    this.#untold = untold
    this.#before = before
    this.covered = store.marked
    this.#target = store.marked
  }

  /** @param since the first of several entries that this record tells of */
  push(entry: number, bytes: Buffer, since = entry): void {
    this.#pending.push({ entry, since, bytes })
    this.bytes += bytes.length
  }

  /** The journal is durable up to `entry`. True when something now waits to be written. */
  release(entry: number): boolean {
    if (entry > this.#target) this.#target = entry
    if (this.#writing) return true
    const [head] = this.#pending
    if (head && head.entry <= this.#target) return true
    this.covered = Math.max(this.covered, this.#markAfter(this.#target))
    return false
  }

  /** Writes what was released; resolves when it is durable. */
  flush(): Promise<void> {
    if (this.#writing) return this.#writing.then(() => this.flush())
    const [head] = this.#pending
    if (!head || head.entry > this.#target) {
      // Released while others were written: there was nothing more to write.
      this.covered = Math.max(this.covered, this.#markAfter(this.#target))
      return Promise.resolve()
    }
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    await this.#before()
    const target = this.#target
    const mark = this.#markAfter(target)
    let marked = false
    let taken = 0
    for (; taken < this.#pending.length; taken++) {
      const { entry, bytes } = this.#pending[taken] as Pending
      if (entry > target) break
      if (entry > mark && !marked) {
        this.#store.mark(mark)
        marked = true
      }
      while (!this.#store.append(bytes)) await this.#store.commit()
      this.bytes -= bytes.length
    }
    this.#pending = this.#pending.slice(taken)
    if (!marked) this.#store.mark(mark)
    await this.#store.commit()
    this.covered = Math.max(this.covered, this.#store.marked)
  }

  /** The highest entry of which nothing will be missing when all up to `target` is written. */
  #markAfter(target: number): number {
    const waiting = this.#pending.find(({ entry }) => entry > target)
    const missing = waiting?.since ?? this.#untold()
    return missing === undefined ? target : Math.min(target, missing - 1)
  }
}
