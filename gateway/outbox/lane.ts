/**
 * One class of the outbox: records numbered without holes, on one store, read by several sinks. Here they are numbered
 * and committed; `shelf.ts` has what is kept, `readers.ts` how far each sink is.
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
import { Committer } from './committer.ts'
import { encodeGap } from './gaps.ts'
import type { Jump } from './numbering.ts'
import { type Reader, Readers } from './readers.ts'
import { Shelf } from './shelf.ts'
import type { LaneState } from './state.ts'
import type { Store } from './store.ts'

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

/** A growing gap becomes a record at the latest after this, ms: until then no mark passes it. */
const GAP_GROWS_FOR = 1000

export class Lane {
  readonly name: RecordClass
  readonly readers: Readers
  readonly shelf: Shelf
  /** Records appended since the start. */
  appended = 0
  readonly #clock: Clock
  readonly #committer: Committer
  #nextPosition: number
  #refused: Refused | undefined
  /** Records that replay will make again and the store has already. */
  #passOver: number
  /** Numbers jumped since the state was saved. */
  #jumped = false

  constructor({ name, store, clock, sameJournal, save, ...parts }: LaneParts) {
    const saved = parts.saved?.epoch === store.epoch ? parts.saved : undefined
    this.name = name
    this.#clock = clock
    this.shelf = new Shelf(store, saved, parts.jumps, clock)
    this.#nextPosition = store.next
    this.readers = new Readers(name, this.shelf, saved, this.next, clock, save)
    this.#committer = new Committer({
      store,
      untold: () => this.#refused?.firstEntry,
      before: () => (this.#jumped ? save() : undefined),
    })
    this.#passOver = sameJournal ? this.next - this.shelf.numbering.coversFrom(store.unmarked) : 0
    this.#neverReuse()
  }

  /** Number of the next record. */
  get next(): number {
    return this.#refused ? this.#refused.last + 1 : this.shelf.numbering.coversFrom(this.#nextPosition)
  }

  get epoch(): string {
    return this.shelf.store.epoch
  }

  get bytes(): number {
    return this.shelf.bytes + this.#committer.bytes
  }

  get droppable(): boolean {
    return this.shelf.droppable
  }

  /** Not yet handed to the store. */
  get pendingBytes(): number {
    return this.#committer.bytes
  }

  /** Highest entry whose records are all durable. */
  get covered(): number {
    return this.#committer.covered
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
    this.shelf.ages.add(this.next, this.#clock.monotonic())
    this.#push(entry, bytes)
    this.appended++
  }

  /** Uses the record's number up without keeping the record. */
  refuse(entry: number): void {
    const number = this.next
    const now = this.#clock.now()
    this.shelf.count('outbox_full', 1)
    this.appended++
    if (this.#refused) {
      this.#refused.last = number
      this.#refused.lastEntry = entry
      this.#refused.to = Math.max(this.#refused.to, now)
    } else {
      this.#refused = this.#refusal('outbox_full', number, number, entry)
      this.shelf.ages.add(number, this.#refused.since)
    }
  }

  /** Puts the growing gap, if there is one, among the records. */
  closeGap(): void {
    const refused = this.#refused
    if (!refused) return
    const json = encodeGap(this.name, { ...refused, sent: false })
    this.shelf.numbering.jump(this.#nextPosition, refused.last)
    this.#jumped = true
    this.#refused = undefined
    this.#push(refused.lastEntry, json, refused.firstEntry)
  }

  /** Deletes the oldest unit to make room; what a sink still waited for becomes a gap. False when nothing can go. */
  dropOldest(reason = 'outbox_full'): boolean {
    return this.shelf.dropOldest(reason, this.readers.slowest())
  }

  /** Drops the oldest unit if all of it is older than `maxAge`, ms. False when there is none. */
  async expire(maxAge: number): Promise<boolean> {
    return (await this.shelf.oldestIsOver(maxAge)) && this.dropOldest('outbox_age')
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
    return this.readers.attach(sink, this.next)
  }

  detach(sink: string): void {
    this.readers.detach(sink, this.next)
  }

  /** About how many bytes wait for a reader. */
  waitingBytes(reader: Reader): number {
    const kept = this.#nextPosition - this.shelf.firstPosition
    return kept === 0 ? 0 : Math.round((this.bytes * this.readers.depth(reader)) / kept)
  }

  state(): LaneState {
    this.#jumped = false
    const { numbering, gaps } = this.shelf
    return { epoch: this.epoch, jumps: numbering.jumps, gaps: gaps.list, readers: this.readers.state() }
  }

  /** How far the store may be trimmed once the state, as it is now, is durable. */
  trimmable(): number {
    return this.shelf.trimmable(this.readers.slowest())
  }

  trim(end: number): void {
    this.shelf.trim(end, this.readers.slowest())
  }

  /** Samples the age of what was kept over a restart. */
  open(): Promise<void> {
    return this.shelf.sampleAge(this.readers.slowest())
  }

  close(): Promise<void> {
    return this.shelf.store.close()
  }

  #push(entry: number, bytes: Buffer, since = entry): void {
    this.#committer.push(entry, bytes, since)
    this.#nextPosition++
  }

  /** A store that lost its tail must not give numbers away again that a sink has acknowledged already. */
  #neverReuse(): void {
    let used = this.next
    for (const { next } of this.readers.all.values()) used = Math.max(used, next)
    if (used === this.next) return
    this.#refused = this.#refusal('damage', this.next, used - 1, this.shelf.store.marked)
    this.closeGap()
  }

  #refusal(reason: string, first: number, last: number, entry: number): Refused {
    const now = this.#clock.now()
    const since = this.#clock.monotonic()
    return { reason, first, last, firstEntry: entry, lastEntry: entry, from: now, to: now, since }
  }
}
