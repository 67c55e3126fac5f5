/**
 * Which sequence number the record at a position has. Mostly they run side by side; a gap record that stands for many
 * refused records takes one position and as many numbers, so that the distance grows there.
 *
 *   position   7     8            9     10
 *   number     7     8 … 5,008    5,009 5,010      jump [8, 5000]: from position 8 on, number = position + 5,000
 */

/** From this position on, the number is the position plus the distance. */
export type Jump = readonly [position: number, distance: number]

export class Numbering {
  readonly #jumps: Jump[]

  /** @param jumps ascending, at least one */
  constructor(jumps: readonly Jump[]) {
    this.#jumps = [...jumps]
  }

  get jumps(): readonly Jump[] {
    return this.#jumps
  }

  /** The number of the record at a position: the last one it covers. */
  numberOf(position: number): number {
    for (let i = this.#jumps.length - 1; i > 0; i--) {
      const [from, distance] = this.#jumps[i] as Jump
      if (position >= from) return position + distance
    }
    return position + (this.#jumps[0] as Jump)[1]
  }

  /** The first number that the record at a position covers. */
  coversFrom(position: number): number {
    return this.numberOf(position - 1) + 1
  }

  /** The position of the record that covers a number. */
  positionOf(number: number): number {
    for (let i = this.#jumps.length - 1; i > 0; i--) {
      const [from, distance] = this.#jumps[i] as Jump
      if (number - distance >= from) return number - distance
      if (number > this.numberOf(from - 1)) return from
    }
    return number - (this.#jumps[0] as Jump)[1]
  }

  /** The record at `position`, not yet used, has this number. */
  jump(position: number, number: number): void {
    const distance = number - position
    if (this.numberOf(position) !== number) this.#jumps.push([position, distance])
  }

  /** Forgets jumps at or after a position: they were noted, but the record never became durable. */
  cut(position: number): void {
    while (this.#jumps.length > 1 && (this.#jumps.at(-1) as Jump)[0] >= position) this.#jumps.pop()
  }

  /** Forgets what concerns only positions below `first`. */
  trim(first: number): void {
    while (this.#jumps.length > 1 && (this.#jumps[1] as Jump)[0] < first) this.#jumps.shift()
  }
}
