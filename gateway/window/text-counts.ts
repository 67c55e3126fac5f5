import type { TextStatistics } from '../record.ts'
import { put } from './put.ts'

/** Up to this many values are found by comparing, which is faster than hashing; more get an index. */
const COMPARED = 16

/** How often each value of a text field was seen. Values beyond the limit share one counter. */
export class TextCounts {
  #values: string[] = []
  #counts: number[] = []
  #index: Map<string, number> | undefined
  #last = 0
  #other = 0

  add(value: string, limit: number): void {
    const last = this.#last
    if (this.#values[last] === value) this.#counts[last] = (this.#counts[last] as number) + 1
    else this.#count(value, 1, limit)
  }

  merge(from: TextCounts, limit: number): void {
    for (let i = 0; i < from.#values.length; i++) {
      this.#count(from.#values[i] as string, from.#counts[i] as number, limit)
    }
    this.#other += from.#other
  }

  report(): TextStatistics {
    const values: Record<string, number> = {}
    let count = this.#other
    for (let i = 0; i < this.#values.length; i++) {
      const times = this.#counts[i] as number
      put(values, this.#values[i] as string, times)
      count += times
    }
    return this.#other > 0 ? { count, values, other: this.#other } : { count, values }
  }

  bytes(): number {
    return 120 + this.#values.length * (this.#index ? 80 : 40)
  }

  /** Appends `other`, how many values there are, and per value its place in `texts` and its count. */
  save(numbers: number[], texts: Map<string, number>): void {
    numbers.push(this.#other, this.#values.length)
    for (let i = 0; i < this.#values.length; i++) {
      const value = this.#values[i] as string
      let place = texts.get(value)
      if (place === undefined) {
        place = texts.size
        texts.set(value, place)
      }
      numbers.push(place, this.#counts[i] as number)
    }
  }

  /** Only on a new one: takes what `save` wrote from `at` on; returns where that ends. */
  load(numbers: Float64Array, at: number, texts: readonly string[]): number {
    this.#other = numbers[at] as number
    const end = at + 2 + 2 * (numbers[at + 1] as number)
    for (let i = at + 2; i < end; i += 2) {
      this.#count(texts[numbers[i] as number] as string, numbers[i + 1] as number, Number.POSITIVE_INFINITY)
    }
    return end
  }

  #count(value: string, by: number, limit: number): void {
    const at = this.#index ? (this.#index.get(value) ?? -1) : this.#values.indexOf(value)
    if (at >= 0) {
      this.#counts[at] = (this.#counts[at] as number) + by
      this.#last = at
    } else if (this.#values.length < limit) this.#append(value, by)
    else this.#other += by
  }

  #append(value: string, by: number): void {
    const at = this.#values.length
    // Most fields have few values. An array that grows, or is spread into another, takes room for 17; `concat` takes what it needs.
    if (at < COMPARED) {
      this.#values = this.#values.concat(value)
      this.#counts = this.#counts.concat(by)
    } else {
      this.#values.push(value)
      this.#counts.push(by)
    }
    this.#last = at
    if (this.#index) this.#index.set(value, at)
    else if (at >= COMPARED) this.#index = new Map(this.#values.map((known, i) => [known, i]))
  }
}
