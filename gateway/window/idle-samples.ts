/** Samples per idle time: how exactly the moment of idleness is met. */
const RESOLUTION = 32

/**
 * Which entry was the last one a given time ago, on the monotonic clock. That is all that is needed to say who has been
 * silent for so long, and it can be journaled: whoever had the last reading at or before that entry.
 */
export class IdleSamples {
  readonly #idle: number
  #times: number[] = []
  #entries: number[] = []

  /** @param idle ms of monotonic time */
  constructor(idle: number) {
    this.#idle = idle
  }

  /** At this monotonic time (ms) this was the last entry. Returns the last entry `idle` ms ago or before, or -1. */
  note(monotonic: number, entry: number): number {
    const newest = this.#times.at(-1)
    if (newest === undefined || monotonic - newest >= this.#idle / RESOLUTION) {
      this.#times.push(monotonic)
      this.#entries.push(entry)
    }
    const until = monotonic - this.#idle
    while ((this.#times[1] ?? Number.POSITIVE_INFINITY) <= until) {
      this.#times.shift()
      this.#entries.shift()
    }
    return (this.#times[0] as number) <= until ? (this.#entries[0] as number) : -1
  }
}
