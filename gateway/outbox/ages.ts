/**
 * When numbers were recorded, from a bounded number of samples: exact for what is recent, coarser for what is old.
 * Times are monotonic ms, so that a step of the wall clock neither delays a batch nor sends it early.
 */

const MAX_SAMPLES = 512
/** Numbers closer together than this share a sample, ms. */
const GRAIN = 20

export class Ages {
  readonly #numbers: number[] = []
  readonly #times: number[] = []

  add(number: number, time: number): void {
    const last = this.#times.at(-1)
    if (last !== undefined && time - last < GRAIN) return
    this.#numbers.push(number)
    this.#times.push(time)
    if (this.#numbers.length > MAX_SAMPLES) this.#thin()
  }

  /** Recorded at this time or later, undefined when nothing is known. */
  since(number: number): number | undefined {
    const at = this.#indexOf(number)
    return this.#times[Math.max(0, at)]
  }

  /** Recorded before this time, undefined when it is the newest. */
  until(number: number): number | undefined {
    return this.#times[this.#indexOf(number) + 1]
  }

  /** Forgets samples that concern only numbers below this one. */
  trim(number: number): void {
    const at = this.#indexOf(number)
    if (at < MAX_SAMPLES / 8) return
    this.#numbers.splice(0, at)
    this.#times.splice(0, at)
  }

  /** Index of the newest sample at or before a number, -1 when there is none. */
  #indexOf(number: number): number {
    let low = 0
    let high = this.#numbers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#numbers[middle] as number) <= number) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Every second sample of the older half goes. */
  #thin(): void {
    const half = MAX_SAMPLES / 2
    let kept = 0
    for (let i = 0; i < this.#numbers.length; i++) {
      if (i < half && i % 2 === 1) continue
      this.#numbers[kept] = this.#numbers[i] as number
      this.#times[kept] = this.#times[i] as number
      kept++
    }
    this.#numbers.length = kept
    this.#times.length = kept
  }
}
