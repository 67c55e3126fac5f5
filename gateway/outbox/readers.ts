/**
 * How far each sink is in one class, and what it is sent next.
 *
 *   numbers   901 ……… 930 │ 931 … 940 │ 941 ……… 970 │ 971
 *             acknowledged│ given up  │  waiting    │ not yet durable
 *                         │ for this  │
 *                         ▲ sink: gap │
 *                       next
 *
 * A sink is sent the same records until it has acknowledged some. A gap that was sent once never changes again, which
 * is why its being sent is saved before it goes.
 */
import type { Clock } from '../clock.ts'
import type { RecordClass } from '../record.ts'
import { encodeGap, Gaps } from './gaps.ts'
import type { Shelf } from './shelf.ts'
import type { LaneState, ReaderState } from './state.ts'

/** How far one sink is. */
export interface Reader {
  /** First number that it has not acknowledged. */
  next: number
  /** Set when the sink left the config: it is owed nothing from this number on. */
  until: number | undefined
  /** What was given up for it alone. */
  readonly gaps: Gaps
  /** How often records were skipped. */
  skips: number
}

/** Consecutive records as they are sent. */
export interface Piece {
  readonly first: number
  readonly last: number
  readonly records: readonly Buffer[]
  /** The last number that each record covers. */
  readonly ends: readonly number[]
}

/** A piece while it grows. */
interface Taking {
  readonly records: Buffer[]
  readonly ends: number[]
  number: number
  size: number
}

const EXPORT_RECORDS = 1000
const EXPORT_BYTES = 1_000_000

export class Readers {
  readonly all = new Map<string, Reader>()
  readonly #name: RecordClass
  readonly #shelf: Shelf
  readonly #clock: Clock
  readonly #save: () => Promise<void>
  readonly #placesKnown: boolean

  /** @param next the class's next number: a sink that has left is owed nothing from there on */
  constructor(
    name: RecordClass,
    shelf: Shelf,
    saved: LaneState | undefined,
    next: number,
    clock: Clock,
    save: () => Promise<void>,
  ) {
    this.#name = name
    this.#shelf = shelf
    this.#clock = clock
    this.#save = save
    this.#placesKnown = saved !== undefined
    for (const [sink, state] of Object.entries(saved?.readers ?? {}))
      this.all.set(sink, { next: state.next, until: state.until ?? next, gaps: new Gaps(state.gaps), skips: 0 })
  }

  /** The sink is in the config. A new one begins with the oldest that still waits for others. */
  attach(sink: string, end: number): Reader {
    let reader = this.all.get(sink)
    if (!reader) {
      // When the places of all sinks were lost, it may be one that waits for everything that is kept.
      const slowest = this.#placesKnown ? this.slowest() : this.#shelf.first
      const next = Math.max(this.#shelf.first, Math.min(slowest, end))
      reader = { next, until: undefined, gaps: new Gaps(), skips: 0 }
      this.all.set(sink, reader)
    }
    reader.until = undefined
    return reader
  }

  /** The sink left the config: what waits for it is kept, new records are not kept for it. */
  detach(sink: string, end: number): void {
    const reader = this.all.get(sink)
    if (reader) reader.until = Math.min(reader.until ?? end, end)
  }

  /** The lowest number that somebody still waits for; Infinity when nobody does. */
  slowest(): number {
    let slowest = Number.POSITIVE_INFINITY
    for (const { next, until } of this.all.values())
      if ((until === undefined || next < until) && next < slowest) slowest = next
    return slowest
  }

  /** How many records wait for a reader. */
  depth(reader: Reader): number {
    const { gaps, store, firstPosition, numbering } = this.#shelf
    let from = reader.next
    let records = 0
    for (const own of [reader.gaps, gaps]) {
      for (const gap of own.list) {
        if (gap.last < from) continue
        records++
        from = gap.first <= from ? gap.last + 1 : from
      }
    }
    return records + Math.max(0, store.durable - Math.max(firstPosition, numbering.positionOf(from)))
  }

  /** How long the oldest has waited for a reader, ms. */
  age(reader: Reader): number {
    const since = this.#shelf.ages.since(reader.next)
    return since === undefined ? 0 : Math.max(0, this.#clock.monotonic() - since)
  }

  /** What a reader is to be sent next; null when nothing waits. */
  async take(reader: Reader, count: number, bytes: number): Promise<Piece | null> {
    const taking: Taking = { records: [], ends: [], number: reader.next, size: 0 }
    let unsaved = false
    while (taking.records.length < count && (taking.size < bytes || taking.records.length === 0)) {
      const gap = reader.gaps.covering(taking.number) ?? this.#shelf.gaps.covering(taking.number)
      if (gap) {
        unsaved ||= !gap.sent
        gap.sent = true
        put(taking, encodeGap(this.#name, gap), gap.last)
      } else if (!(await this.#takeKept(reader, taking, count, bytes))) break
    }
    if (unsaved) await this.#save()
    const { records, ends, number } = taking
    return records.length === 0 ? null : { first: reader.next, last: number - 1, records, ends }
  }

  /** Everything a reader waits for, or everything kept, oldest first. */
  async *export(reader: Reader | undefined): AsyncGenerator<Buffer> {
    const next = reader?.next ?? this.#shelf.first
    const copy: Reader = { next, until: undefined, gaps: new Gaps(reader?.gaps.list), skips: 0 }
    for (;;) {
      const piece = await this.take(copy, EXPORT_RECORDS, EXPORT_BYTES)
      if (!piece) return
      yield* piece.records
      copy.next = piece.last + 1
    }
  }

  /** The reader has everything up to a number. */
  ack(reader: Reader, upTo: number): void {
    if (upTo < reader.next) return
    reader.next = upTo + 1
    reader.gaps.trim(reader.next)
  }

  /** Gives up records for one reader, who is sent a gap instead. Returns how many numbers. */
  skip(reader: Reader, upTo: number, reason: string): number {
    const { durable, gaps, numbering } = this.#shelf
    const wanted = Math.min(upTo, durable)
    const last = gaps.covering(wanted)?.last ?? numbering.numberOf(numbering.positionOf(wanted))
    if (last < reader.next) return 0
    reader.skips++
    const before = reader.gaps.numbers
    const { from, to } = this.#shelf.span(reader.next, last)
    reader.gaps.add(reader.next, last, reason, from, to)
    const skipped = reader.gaps.numbers - before
    this.#shelf.count(reason, skipped)
    return skipped
  }

  state(): Readonly<Record<string, ReaderState>> {
    return Object.fromEntries(
      [...this.all].map(([name, { next, until, gaps }]) => [
        name,
        { next, ...(until === undefined ? {} : { until }), ...(gaps.list.length > 0 ? { gaps: gaps.list } : {}) },
      ]),
    )
  }

  /** Takes records from the store up to the next gap. False when none is there to be taken. */
  async #takeKept(reader: Reader, taking: Taking, count: number, bytes: number): Promise<boolean> {
    const { store, numbering, gaps } = this.#shelf
    const { number } = taking
    const position = numbering.positionOf(number)
    if (position < this.#shelf.firstPosition) {
      this.#shelf.missing(number, this.#shelf.first - 1, 'not_kept')
      return true
    }
    if (position >= store.durable) return false
    const kept = await store.read(position, count - taking.records.length, bytes - taking.size)
    const start = kept[0]?.position ?? store.durable
    if (start > position) {
      // Damaged on disk, or dropped while it was read: then it is a gap already.
      if (position >= this.#shelf.firstPosition) this.#shelf.missing(number, numbering.coversFrom(start) - 1, 'damage')
      return true
    }
    const stop = Math.min(reader.gaps.nextAfter(number), gaps.nextAfter(number))
    for (const { position: at, bytes: stored } of kept) {
      if (numbering.coversFrom(at) > taking.number || taking.number >= stop) break
      put(taking, stored, numbering.numberOf(at))
    }
    return true
  }
}

function put(taking: Taking, record: Buffer, last: number): void {
  taking.records.push(record)
  taking.ends.push(last)
  taking.size += record.length
  taking.number = last + 1
}
