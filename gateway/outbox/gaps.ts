/**
 * Ranges of numbers that were lost, ascending. Each is sent as one gap record; once a sink was sent it, it never
 * changes again, so that a record sent twice is byte-identical, and what is lost next to it becomes a range of its own.
 */
import { encodeRecord, type RecordClass } from '../record.ts'

export interface Gap {
  readonly first: number
  last: number
  readonly reason: string
  /** Wall clock, ms since the epoch: when the first and the last were recorded. */
  readonly from: number
  to: number
  sent: boolean
}

export class Gaps {
  readonly list: Gap[]

  constructor(list: readonly Gap[] = []) {
    this.list = list.map((gap) => ({ ...gap }))
  }

  /** How many numbers lie in them. */
  get numbers(): number {
    return this.list.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  }

  /** The range that holds a number. */
  covering(number: number): Gap | undefined {
    return this.list.find((gap) => gap.first <= number && number <= gap.last)
  }

  /** First number of the next range after a number, or Infinity. */
  nextAfter(number: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const gap of this.list) if (gap.first > number && gap.first < next) next = gap.first
    return next
  }

  /** Notes a loss. Numbers noted already are left out; what is next to a range that may still grow joins it. */
  add(first: number, last: number, reason: string, from: number, to: number): void {
    let start = first
    for (const gap of [...this.list]) {
      if (gap.last < start) continue
      if (gap.first > last) break
      if (gap.first > start) this.#piece(start, gap.first - 1, reason, from, to)
      start = gap.last + 1
    }
    if (start <= last) this.#piece(start, last, reason, from, to)
  }

  #piece(first: number, last: number, reason: string, from: number, to: number): void {
    const before = this.list.findLastIndex((gap) => gap.last < first)
    const previous = this.list[before]
    if (previous && !previous.sent && previous.reason === reason && previous.last + 1 === first) {
      previous.last = last
      previous.to = Math.max(previous.to, to)
      return
    }
    this.list.splice(before + 1, 0, { first, last, reason, from, to: Math.max(from, to), sent: false })
  }

  /** Forgets what lies wholly below a number. */
  trim(number: number): void {
    while (this.list.length > 0 && (this.list[0] as Gap).last < number) this.list.shift()
  }
}

/** The gap's record, the same bytes each time. */
export function encodeGap(recordClass: RecordClass, gap: Gap): Buffer {
  return encodeRecord(gap.last, {
    kind: 'gap',
    reason: gap.reason,
    class: recordClass,
    first: gap.first,
    count: gap.last - gap.first + 1,
    from: new Date(gap.from).toISOString(),
    to: new Date(gap.to).toISOString(),
  })
}
