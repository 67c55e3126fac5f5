/** When which open command is to be looked at: one that nobody waits for yet costs nothing until then. */
import { Moments } from '../moments.ts'

interface Entry {
  readonly at: number
  readonly id: string
}

/** Moments are monotonic, ms. */
export class Agenda {
  readonly #entries = new Moments<Entry>()
  /** By command; an entry of another moment is one that was overtaken. */
  readonly #moments = new Map<string, number>()

  /** Not later than at `at`. */
  settle(id: string, at: number): void {
    if (at >= (this.#moments.get(id) ?? Number.POSITIVE_INFINITY)) return
    this.#moments.set(id, at)
    this.#entries.push({ at, id })
  }

  end(id: string): void {
    this.#moments.delete(id)
  }

  /** Takes out what is due. */
  take(now: number): readonly string[] {
    const due: string[] = []
    for (let top = this.#entries.top(); top !== undefined && top.at <= now; top = this.#entries.top()) {
      this.#entries.pop()
      if (this.#moments.get(top.id) !== top.at) continue
      this.#moments.delete(top.id)
      due.push(top.id)
    }
    return due
  }
}
