/** Who waits for two disks: calls back when the journal and the log of sessions have what was promised. */

/** Something that becomes durable up to a number. */
export interface Durable {
  readonly durable: number
  onDurable(listener: (durable: number) => void): void
}

interface Waiting {
  readonly entry: number
  readonly change: number
  readonly callback: () => void
}

export class Promises {
  readonly #journal: Durable
  readonly #sessions: Durable
  #waiting: Waiting[] = []

  constructor(journal: Durable, sessions: Durable) {
    this.#journal = journal
    this.#sessions = sessions
    journal.onDurable(() => this.#look())
    sessions.onDurable(() => this.#look())
  }

  /** At once when both have it. 0: nothing to wait for. */
  when(entry: number, change: number, callback: () => void): void {
    const waiting = { entry, change, callback }
    if (this.#isKept(waiting)) callback()
    else this.#waiting.push(waiting)
  }

  #isKept({ entry, change }: Waiting): boolean {
    return entry <= this.#journal.durable && change <= this.#sessions.durable
  }

  #look(): void {
    if (this.#waiting.length === 0) return
    const kept = this.#waiting.filter((each) => this.#isKept(each))
    this.#waiting = this.#waiting.filter((each) => !kept.includes(each))
    for (const { callback } of kept) callback()
  }
}
