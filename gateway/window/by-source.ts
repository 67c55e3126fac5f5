/**
 * Windows over several devices: one clock for all keys, the least time of the sources that are not idle, less `delay`.
 * It never goes back, so a device that is further behind is late. With processing time it is the gateway's own clock.
 * A heap holds the keys by the end of their next window.
 */
import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import type { WindowBook } from './book.ts'
import type { Closing } from './closing.ts'
import { DueHeap } from './due-heap.ts'
import { LAST_ENTRY, NEXT_CLOSE } from './keys.ts'
import { CLOCK, type Moment, NOW, TIME } from './moment.ts'
import { NONE } from './slab.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
import { sourceTime, type WindowSource, type WindowSources } from './sources.ts'

export class SourceClosing implements Closing {
  readonly book: WindowBook
  readonly #slot: number
  readonly #moment: Moment
  readonly #sources: WindowSources
  readonly #processing: boolean
  readonly #heap: DueHeap
  /** Windows that end at or before it are closed, ms since the epoch. */
  #clock = Number.NEGATIVE_INFINITY
  /** A source whose last reading is at or below this entry is idle. */
  #idleTo = -1
  readonly #evict: (row: number) => void

  /** @param slot place in `Device.slots` that is this definition's */
  constructor(book: WindowBook, slot: number, sources: WindowSources, moment: Moment) {
    this.#moment = moment
    this.book = book
    this.#slot = slot
    this.#sources = sources
    this.#processing = book.definition.time === 'processing'
    this.#heap = new DueHeap(book.keys)
    this.#evict = (row) => this.#removeKey(row)
  }

  add(reading: Reading, entry: number, source: WindowSource): void {
    const { book } = this
    if (this.#processing) this.#closeTo(this.#moment[NOW] as number)
    if (book.admits(reading, source)) {
      const row = this.#keyOf(reading, entry, source)
      if (row === NONE) book.refuse(source)
      else {
        book.keys.set(row, LAST_ENTRY, entry)
        if (this.#place(row, reading, source)) this.#heap.settle(row)
      }
    }
    if (!this.#processing) this.#follow(Number.NEGATIVE_INFINITY)
  }

  advance(_device: string, _time: number, _stamped: boolean, now: number): void {
    this.#follow(this.#processing ? now : Number.NEGATIVE_INFINITY)
  }

  due(now: number, idleTo: number): number {
    if (this.#heap.top() === NONE) return 0
    return this.#nextEnd() <= this.#target(now, Math.max(idleTo, this.#idleTo)) ? 1 : 0
  }

  tick(now: number, idleTo: number | undefined): void {
    if (idleTo !== undefined && idleTo > this.#idleTo) this.#idleTo = idleTo
    this.#follow(now)
  }

  flush(): void {
    this.#closeTo(Number.MAX_VALUE)
  }

  latest(reading: Reading): WindowRecord | undefined {
    if (!this.book.parts.read(reading)) return undefined
    const row = this.#find(reading)
    return row === NONE ? undefined : this.book.latest.of(row)
  }

  lag(now: number): number | undefined {
    if (this.#heap.top() === NONE) return undefined
    return Number.isFinite(this.#clock) ? now - this.#clock - this.book.definition.delay : undefined
  }

  bytes(): number {
    return this.book.bytes() + this.book.keys.count * 6
  }

  save(writer: SnapshotWriter): void {
    this.book.save(writer)
    writer.json({ clock: Number.isFinite(this.#clock) ? this.#clock : null, idleTo: this.#idleTo })
  }

  load(reader: SnapshotReader): void {
    this.book.load(reader)
    const state = reader.json() as { clock: number | null; idleTo: number }
    this.#clock = state.clock ?? Number.NEGATIVE_INFINITY
    this.#idleTo = state.idleTo
    this.#heap.rebuild()
  }

  #place(row: number, reading: Reading, source: WindowSource): boolean {
    const moment = this.#moment
    moment[CLOCK] = this.#clock
    if (!this.#processing) return this.book.place(row, reading, source)
    const time = moment[TIME] as number
    moment[TIME] = moment[NOW] as number
    const opened = this.book.place(row, reading, source)
    moment[TIME] = time
    return opened
  }

  #find(reading: Reading): number {
    const { keys, parts } = this.book
    const cached = reading.device.slots[this.#slot]
    if (typeof cached === 'number' && keys.is(cached, parts.values)) return cached
    const row = keys.find(parts.values)
    reading.device.slots[this.#slot] = row
    return row
  }

  #keyOf(reading: Reading, entry: number, source: WindowSource): number {
    const { book } = this
    let row = this.#find(reading)
    if (row !== NONE) return row
    if (!book.makeRoom(entry, source, this.#evict)) return NONE
    row = book.keys.create(book.parts.values, entry)
    reading.device.slots[this.#slot] = row
    return row
  }

  #removeKey(row: number): void {
    this.book.keys.set(row, NEXT_CLOSE, Number.POSITIVE_INFINITY)
    this.#heap.settle(row)
    this.book.evict(row, this.#clock)
  }

  /** Brings the clock to where the sources are. @param now the gateway's clock for what it stamps, or -Infinity */
  #follow(now: number): void {
    const target = this.#target(now, this.#idleTo)
    if (target <= this.#clock) return
    if (this.#processing || !this.#allIdle(this.#idleTo)) this.#closeTo(target)
    else this.#closeIdle(target)
  }

  /** What closes at most by now. When all sources are idle: whatever has begun, but nothing that lies ahead. */
  #target(now: number, idleTo: number): number {
    if (this.#processing) return now
    const { definition, geometry } = this.book
    if (!this.#allIdle(idleTo)) return sourceTime(this.#sources.list, definition.delay, idleTo, now)
    if (geometry.session) return now + geometry.size
    return Math.floor(now / geometry.slide) * geometry.slide + geometry.size
  }

  #allIdle(idleTo: number): boolean {
    for (const source of this.#sources.list) if (source.lastEntry > idleTo) return false
    return this.#sources.list.length > 0
  }

  #closeTo(target: number): void {
    if (target <= this.#clock) return
    while (this.#heap.next() <= target && this.#nextEnd() <= target) {
      const row = this.#heap.top()
      this.book.closeAt(row, this.#heap.next())
      this.book.expire(row, target)
      this.#heap.settle(row)
    }
    this.#clock = target
  }

  /** The clock only goes as far as what was closed: readings after the pause are not late for it. */
  #closeIdle(target: number): void {
    let last = Number.NEGATIVE_INFINITY
    while (this.#heap.next() <= target && this.#nextEnd() <= target) {
      const row = this.#heap.top()
      last = this.#heap.next()
      this.book.closeAt(row, last)
      this.book.expire(row, last)
      this.#heap.settle(row)
    }
    if (last > this.#clock) this.#clock = last
  }

  /** The first end in the heap. A session's end moves with each reading, so there it is worked out anew. */
  #nextEnd(): number {
    if (!this.book.geometry.session) return this.#heap.next()
    const { keys, form } = this.book
    for (;;) {
      const row = this.#heap.top()
      if (row === NONE) return Number.POSITIVE_INFINITY
      const end = form.nextEnd(row, this.#clock)
      if (end === keys.get(row, NEXT_CLOSE)) return end
      keys.set(row, NEXT_CLOSE, end)
      this.#heap.settle(row)
    }
  }
}
