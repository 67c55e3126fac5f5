/**
 * One class of the outbox: records numbered without holes, on one store, read by several sinks.
 *
 *   numbers   1 ……… 40 │ 41 ……… 900 │ 901 ……… 960 │ 961 ……… 970 │ 971 ……
 *                      │  dropped   │  acked by   │   waiting    │ refused, newest first: a gap
 *             trimmed  │ = one gap  │  some sinks │              │ that grows until there is room
 *                      ▲ the slowest sink's next
 *
 * A record waits in memory until the journal is known to cover its entry (`commit`), only then does it reach the
 * store, and only when it is durable there is a sink given it. So no record is ever sent that a crash could undo.
 *
 * After a crash the journal is replayed. Entries up to the store's mark are done. What the store holds beyond the mark
 * was written by a commit that lost its mark; replay makes the same records in the same order, so as many numbers as
 * lie beyond the mark are passed over.
 */
import type { Clock } from '../clock.ts'
import { encodeRecord, type Outgoing, type RecordClass } from '../record.ts'
import { EARLIEST } from '../time-sync.ts'
import { Ages } from './ages.ts'
import { Committer } from './committer.ts'
import { encodeGap, Gaps } from './gaps.ts'
import { type Jump, Numbering } from './numbering.ts'
import type { LaneState } from './state.ts'
import type { Store } from './store.ts'

/** How far one sink is. */
export interface Reader {
  next: number
  until: number | undefined
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

export interface LaneParts {
  readonly name: RecordClass
  readonly store: Store
  readonly saved: LaneState | undefined
  /** How numbers run, found in the records because the state was lost. */
  readonly jumps?: readonly Jump[] | undefined
  /** The journal is the one that the store's marks name. */
  readonly sameJournal: boolean
  readonly clock: Clock
  /** Resolves when the state, as it is now, is durable. */
  readonly save: () => Promise<void>
}

/** Numbers without a record, not yet a gap record. Times are wall clock. */
interface Refused {
  readonly reason: string
  readonly first: number
  last: number
  readonly firstEntry: number
  lastEntry: number
  readonly from: number
  to: number
  /** Monotonic. */
  readonly since: number
}

/** Why records are dropped from the front. */
const DROPPED = ['outbox_full', 'outbox_age']
/** A growing gap becomes a record at the latest after this, ms: until then no mark passes it. */
const GAP_GROWS_FOR = 1000

export class Lane {
  readonly name: RecordClass
  readonly readers = new Map<string, Reader>()
  /** Numbers lost, by reason. */
  readonly lost: Record<string, number> = Object.create(null)
  /** Records appended since the start. */
  appended = 0
  readonly #placesKnown: boolean
  readonly #store: Store
  readonly #clock: Clock
  readonly #save: () => Promise<void>
  readonly #numbering: Numbering
  readonly #gaps: Gaps
  readonly #ages = new Ages()
  readonly #committer: Committer
  /** Bytes dropped from the front and not yet deleted. */
  #dropping = 0
  #floor: number
  #nextPosition: number
  #refused: Refused | undefined
  #passOver: number
  #jumped = false

  constructor(parts: LaneParts) {
    const { name, store, clock, sameJournal } = parts
    const saved = parts.saved?.epoch === store.epoch ? parts.saved : undefined
    this.name = name
    this.#placesKnown = saved !== undefined
    this.#store = store
    this.#clock = clock
    this.#save = parts.save
    this.#numbering = new Numbering(saved?.jumps ?? parts.jumps ?? [[1, 0]])
    this.#numbering.cut(store.next)
    this.#gaps = new Gaps(saved?.gaps)
    this.#nextPosition = store.next
    for (const [sink, state] of Object.entries(saved?.readers ?? {}))
      this.readers.set(sink, {
        next: state.next,
        until: state.until ?? this.next,
        gaps: new Gaps(state.gaps),
        skips: 0,
      })
    this.#floor = Math.max(store.first, this.#afterGaps())
    this.#committer = new Committer({
      store,
      untold: () => this.#refused?.firstEntry,
      before: () => (this.#jumped ? this.#save() : undefined),
    })
    this.#passOver = sameJournal ? this.next - this.#numbering.coversFrom(store.unmarked) : 0
    this.#neverReuse()
  }

  /** Number of the next record. */
  get next(): number {
    return this.#refused ? this.#refused.last + 1 : this.#numbering.coversFrom(this.#nextPosition)
  }

  /** Oldest number kept. */
  get first(): number {
    return this.#numbering.coversFrom(this.#first)
  }

  get epoch(): string {
    return this.#store.epoch
  }

  get bytes(): number {
    return this.#store.bytes - this.#dropping + this.#committer.bytes
  }

  /** Not yet handed to the store. */
  get pendingBytes(): number {
    return this.#committer.bytes
  }

  get droppable(): boolean {
    return this.#store.oldest(this.#first) !== null
  }

  /** Highest number that survives a crash. */
  get durable(): number {
    return this.#numbering.coversFrom(this.#store.durable) - 1
  }

  /** Highest entry whose records are all durable. */
  get covered(): number {
    return this.#committer.covered
  }

  get #first(): number {
    return Math.max(this.#store.first, this.#floor)
  }

  /** True when an entry's record was appended before a crash and must not be again. */
  knows(entry: number): boolean {
    if (entry <= this.covered) return true
    if (this.#passOver === 0) return false
    this.#passOver--
    return true
  }

  encode(record: Outgoing): Buffer {
    return encodeRecord(this.next, record)
  }

  /** Takes what `encode` gave. Numbers do not change in between unless `closeGap` is called first. */
  keep(entry: number, bytes: Buffer): void {
    this.closeGap()
    this.#ages.add(this.next, this.#clock.monotonic())
    this.#push(entry, bytes)
    this.appended++
  }

  /** Uses the record's number up without keeping the record. */
  refuse(entry: number): void {
    const number = this.next
    const now = this.#clock.now()
    this.#count('outbox_full', 1)
    this.appended++
    if (this.#refused) {
      this.#refused.last = number
      this.#refused.lastEntry = entry
      this.#refused.to = Math.max(this.#refused.to, now)
    } else {
      this.#refused = this.#refusal('outbox_full', number, number, entry)
      this.#ages.add(number, this.#refused.since)
    }
  }

  /** Puts the growing gap, if there is one, among the records. */
  closeGap(): void {
    const refused = this.#refused
    if (!refused) return
    const json = encodeGap(this.name, { ...refused, sent: false })
    this.#numbering.jump(this.#nextPosition, refused.last)
    this.#jumped = true
    this.#refused = undefined
    this.#push(refused.lastEntry, json, refused.firstEntry)
  }

  /** Deletes the oldest unit to make room; what a sink still waited for becomes a gap. False when nothing can go. */
  dropOldest(reason = 'outbox_full'): boolean {
    const unit = this.#store.oldest(this.#first)
    if (!unit) return false
    const first = Math.max(this.#slowest(), this.first)
    const last = this.#numbering.coversFrom(unit.end) - 1
    if (first <= last) {
      this.#gaps.add(first, last, reason, this.#wall(this.#ages.since(first)), this.#wall(this.#ages.until(last)))
      this.#count(reason, last - first + 1)
    }
    this.#floor = unit.end
    this.#dropping += unit.bytes
    return true
  }

  /** Drops the oldest unit if all of it is older than `maxAge`, ms. False when there is none. */
  async expire(maxAge: number): Promise<boolean> {
    const unit = this.#store.oldest(this.#first)
    if (!unit) return false
    const [after] = await this.#store.read(unit.end, 1, 1)
    // Written before the clock was right: nobody knows how old it is.
    if (!after || after.time < EARLIEST || this.#clock.now() - after.time <= maxAge) return false
    return this.dropOldest('outbox_age')
  }

  /** The journal is durable up to `entry`. True when something now waits to be written. */
  release(entry: number): boolean {
    if (this.#refused && this.#clock.monotonic() - this.#refused.since >= GAP_GROWS_FOR) this.closeGap()
    return this.#committer.release(entry)
  }

  /** Writes what was released; resolves when it is durable. */
  flush(): Promise<void> {
    return this.#committer.flush()
  }

  attach(sink: string): Reader {
    let reader = this.readers.get(sink)
    if (!reader) {
      // When the places of all sinks were lost, it may be one that waits for everything that is kept.
      const slowest = this.#placesKnown ? this.#slowest() : this.first
      reader = {
        next: Math.max(this.first, Math.min(slowest, this.next)),
        until: undefined,
        gaps: new Gaps(),
        skips: 0,
      }
      this.readers.set(sink, reader)
    }
    reader.until = undefined
    return reader
  }

  /** The sink left the config: what waits for it is kept, new records are not kept for it. */
  detach(sink: string): void {
    const reader = this.readers.get(sink)
    if (reader) reader.until = Math.min(reader.until ?? this.next, this.next)
  }

  /** How many records wait for a reader. */
  depth(reader: Reader): number {
    let from = reader.next
    let records = 0
    for (const gaps of [reader.gaps, this.#gaps]) {
      for (const gap of gaps.list) {
        if (gap.last < from) continue
        records++
        from = gap.first <= from ? gap.last + 1 : from
      }
    }
    return records + Math.max(0, this.#store.durable - Math.max(this.#first, this.#numbering.positionOf(from)))
  }

  /** About how many bytes wait for a reader. */
  waitingBytes(reader: Reader): number {
    const kept = this.#nextPosition - this.#first
    return kept === 0 ? 0 : Math.round((this.bytes * this.depth(reader)) / kept)
  }

  /** How long the oldest has waited for a reader, ms. */
  age(reader: Reader): number {
    const since = this.#ages.since(reader.next)
    return since === undefined ? 0 : Math.max(0, this.#clock.monotonic() - since)
  }

  /** What a reader is to be sent next; null when nothing waits. The same records each time, until it has acknowledged some. */
  async take(reader: Reader, count: number, bytes: number): Promise<Piece | null> {
    const records: Buffer[] = []
    const ends: number[] = []
    let number = reader.next
    let size = 0
    let noted = false
    while (records.length < count && (size < bytes || records.length === 0)) {
      const gap = reader.gaps.covering(number) ?? this.#gaps.covering(number)
      if (gap) {
        noted ||= !gap.sent
        gap.sent = true
        const record = encodeGap(this.name, gap)
        records.push(record)
        ends.push(gap.last)
        size += record.length
        number = gap.last + 1
        continue
      }
      const position = this.#numbering.positionOf(number)
      if (position < this.#first) {
        this.#missing(number, this.first - 1, 'not_kept')
        continue
      }
      if (position >= this.#store.durable) break
      const kept = await this.#store.read(position, count - records.length, bytes - size)
      const start = kept[0]?.position ?? this.#store.durable
      if (start > position) {
        // Damaged on disk, or dropped while it was read: then it is a gap already.
        if (position >= this.#first) this.#missing(number, this.#numbering.coversFrom(start) - 1, 'damage')
        continue
      }
      const stop = Math.min(reader.gaps.nextAfter(number), this.#gaps.nextAfter(number))
      for (const { position: at, bytes: stored } of kept) {
        if (this.#numbering.coversFrom(at) > number || number >= stop) break
        number = this.#numbering.numberOf(at) + 1
        records.push(stored)
        ends.push(number - 1)
        size += stored.length
      }
    }
    if (noted) await this.#save()
    return records.length === 0 ? null : { first: reader.next, last: number - 1, records, ends }
  }

  /** Everything a reader waits for, or everything kept, oldest first. */
  async *export(reader: Reader | undefined): AsyncGenerator<Buffer> {
    const copy: Reader = reader
      ? { next: reader.next, until: undefined, gaps: new Gaps(reader.gaps.list), skips: 0 }
      : { next: this.first, until: undefined, gaps: new Gaps(), skips: 0 }
    for (;;) {
      const piece = await this.take(copy, 1000, 1_000_000)
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
    const wanted = Math.min(upTo, this.durable)
    const last = this.#gaps.covering(wanted)?.last ?? this.#numbering.numberOf(this.#numbering.positionOf(wanted))
    if (last < reader.next) return 0
    reader.skips++
    const known = reader.gaps.list.reduce((sum, gap) => sum + gap.last - gap.first + 1, 0)
    reader.gaps.add(
      reader.next,
      last,
      reason,
      this.#wall(this.#ages.since(reader.next)),
      this.#wall(this.#ages.until(last)),
    )
    const skipped = reader.gaps.list.reduce((sum, gap) => sum + gap.last - gap.first + 1, 0) - known
    this.#count(reason, skipped)
    return skipped
  }

  state(): LaneState {
    const readers: LaneState['readers'] = Object.fromEntries(
      [...this.readers].map(([name, { next, until, gaps }]) => [
        name,
        { next, ...(until === undefined ? {} : { until }), ...(gaps.list.length > 0 ? { gaps: gaps.list } : {}) },
      ]),
    )
    this.#jumped = false
    return { epoch: this.epoch, jumps: this.#numbering.jumps, gaps: this.#gaps.list, readers }
  }

  /** How far the store may be trimmed once the state, as it is now, is durable. */
  trimmable(): number {
    const slowest = this.#slowest()
    const end = slowest > this.durable ? this.#store.durable : this.#numbering.positionOf(slowest)
    return Math.max(this.#floor, Math.min(end, this.#store.durable))
  }

  trim(end: number): void {
    this.#store.trim(end)
    if (this.#store.first >= this.#floor || end >= this.#floor) this.#dropping = 0
    this.#numbering.trim(this.#store.first)
    const slowest = this.#slowest()
    this.#gaps.trim(slowest)
    this.#ages.trim(Math.min(slowest, this.first))
  }

  /** Samples the age of what was kept over a restart. */
  async open(): Promise<void> {
    const slowest = this.#slowest()
    if (slowest > this.durable) return
    const [oldest] = await this.#store.read(Math.max(this.#first, this.#numbering.positionOf(slowest)), 1, 1)
    if (!oldest) return
    const age = Math.max(0, this.#clock.now() - oldest.time)
    this.#ages.add(this.#numbering.coversFrom(oldest.position), this.#clock.monotonic() - age)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #push(entry: number, bytes: Buffer, since = entry): void {
    this.#committer.push(entry, bytes, since)
    this.#nextPosition++
  }

  /** The lowest number that somebody still waits for; Infinity when nobody does. */
  #slowest(): number {
    let slowest = Number.POSITIVE_INFINITY
    for (const { next, until } of this.readers.values())
      if ((until === undefined || next < until) && next < slowest) slowest = next
    return slowest
  }

  /** Position after the ranges that were dropped at the front, which a crash may have kept from being deleted. */
  #afterGaps(): number {
    let after = this.#store.first
    for (const gap of this.#gaps.list) {
      const end = this.#numbering.positionOf(gap.last + 1)
      if (DROPPED.includes(gap.reason) && end <= this.#store.next) after = Math.max(after, end)
    }
    return after
  }

  /** A store that lost its tail must not give numbers away again that a sink has acknowledged already. */
  #neverReuse(): void {
    let used = this.next
    for (const { next } of this.readers.values()) used = Math.max(used, next)
    if (used === this.next) return
    this.#refused = this.#refusal('damage', this.next, used - 1, this.#store.marked)
    this.closeGap()
  }

  #refusal(reason: string, first: number, last: number, entry: number): Refused {
    const now = this.#clock.now()
    const since = this.#clock.monotonic()
    return { reason, first, last, firstEntry: entry, lastEntry: entry, from: now, to: now, since }
  }

  #missing(first: number, last: number, reason: string): void {
    const to = this.#wall(this.#ages.until(last))
    this.#gaps.add(first, last, reason, Math.min(to, this.#wall(this.#ages.since(first))), to)
    this.#count(reason, last - first + 1)
  }

  #count(reason: string, count: number): void {
    this.lost[reason] = (this.lost[reason] ?? 0) + count
  }

  /** Monotonic to wall clock; now when unknown. */
  #wall(time: number | undefined): number {
    return Math.floor(this.#clock.now() - (time === undefined ? 0 : this.#clock.monotonic() - time))
  }
}
