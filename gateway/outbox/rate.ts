/** Events per second over the last ten seconds. */
import type { Clock } from '../clock.ts'

const SECONDS = 10

export class Rate {
  readonly #clock: Clock
  readonly #counts = new Float64Array(SECONDS)
  readonly #start: number
  #second: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#second = Math.floor(clock.monotonic() / 1000)
    this.#start = this.#second
  }

  add(count: number): void {
    this.#advance()
    const bucket = this.#second % SECONDS
    this.#counts[bucket] = (this.#counts[bucket] as number) + count
  }

  perSecond(): number {
    this.#advance()
    let sum = 0
    for (const count of this.#counts) sum += count
    return sum / Math.min(SECONDS, this.#second - this.#start + 1)
  }

  #advance(): void {
    const now = Math.floor(this.#clock.monotonic() / 1000)
    if (now - this.#second >= SECONDS) this.#counts.fill(0)
    else for (let second = this.#second + 1; second <= now; second++) this.#counts[second % SECONDS] = 0
    this.#second = now
  }
}
