/** How long results wait from their making until they may be sent: of all in a commit what the oldest waited. */
import type { Clock } from '../clock.ts'
import { createLatency, observe } from '../http/latency.ts'

export class Readiness {
  readonly latency = createLatency()
  readonly #clock: Clock
  /** The oldest result that may not be sent yet. */
  #oldest: { readonly since: number; readonly number: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What the oldest has waited so far, ms. */
  get waited(): number {
    return this.#oldest === undefined ? 0 : this.#clock.monotonic() - this.#oldest.since
  }

  made(number: number): void {
    this.#oldest ??= { since: this.#clock.monotonic(), number }
  }

  /** All up to `durable` may be sent. */
  reached(durable: number): void {
    const oldest = this.#oldest
    if (oldest === undefined || durable < oldest.number) return
    observe(this.latency, this.waited, durable - oldest.number + 1)
    this.#oldest = undefined
  }
}
