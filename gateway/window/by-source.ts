/**
 * Windows over several devices: one clock for all keys, the least time of the sources that are not idle, less `delay`.
 * It never goes back, so a device that is further behind is late. With processing time it is the gateway's own clock.
 *
 * Each reading moves the clock and closes what is due, unless there are very many keys: then they are in slices, and
 * ticks alone move the clock, that of one slice after the other (`slices.ts`).
 */
import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import type { WindowBook } from './book.ts'
import type { Closing } from './closing.ts'
import type { WindowDefinition } from './definition.ts'
import { type KeySlice, KeySlices } from './key-slices.ts'
import { HASH, LAST_ENTRY, NEXT_CLOSE } from './keys.ts'
import { CLOCK, type Moment, NOW, TIME } from './moment.ts'
import { NONE } from './slab.ts'
import { type ClosingTime, closesSlice, isIn, KEYS, type Slice, sliceCount } from './slices.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
import { sourceTime, type WindowSource, type WindowSources } from './sources.ts'

interface State {
  /** Of each slice, ms since the epoch; null before anything was seen. */
  readonly clocks: readonly (number | null)[]
  readonly idleTo: number
}

/** Until version 2 of the snapshot there was one slice. */
interface FirstState {
  readonly clock: number | null
  readonly idleTo: number
}

export class SourceClosing implements Closing {
  readonly book: WindowBook
  #slot: number
  readonly #moment: Moment
  readonly #sources: WindowSources
  readonly #processing: boolean
  readonly #slices: KeySlices
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
    this.#slices = new KeySlices(book.keys)
    this.#evict = (row) => this.#removeKey(row)
  }

  add(reading: Reading, entry: number, source: WindowSource): void {
    const { book } = this
    const only = this.#only()
    if (only !== undefined && this.#processing) this.#closeTo(only, this.#moment[NOW] as number)
    if (book.admits(reading, source)) {
      const row = this.#keyOf(reading, entry, source)
      if (row === NONE) book.refuse(source)
      else {
        book.keys.set(row, LAST_ENTRY, entry)
        this.#place(row, reading, source)
      }
    }
    if (only !== undefined && !this.#processing) this.#follow(only, Number.NEGATIVE_INFINITY)
  }

  advance(_device: string, _time: number, _stamped: boolean, now: number): void {
    const only = this.#only()
    if (only !== undefined) this.#follow(only, this.#processing ? now : Number.NEGATIVE_INFINITY)
  }

  due(now: number, idleTo: number): number {
    const target = this.#target(now, Math.max(idleTo, this.#idleTo))
    const due = this.#slices.list.filter((slice) => this.#isDue(slice, target))
    if (this.#slicesWanted() === 1) return due.length
    // To be put into more slices is reason enough.
    if (this.#slicesWanted() > this.#slices.list.length)
      return due.reduce((keys, slice) => keys + slice.due.upTo(target).length, 1)
    return due.length * KEYS
  }

  closingTime(now: number, idle: number): ClosingTime | undefined {
    const of = this.#slicesWanted()
    if (of === 1) return undefined
    const idleTo = Math.max(idle, this.#idleTo)
    const target = this.#target(now, idleTo)
    const to = this.#processing || !this.#allIdle(idleTo) ? target : this.#lastEnd(target)
    return Number.isFinite(to) ? { of, to } : { of }
  }

  tick(now: number, idleTo: number | undefined, slice: Slice | undefined, time: ClosingTime | undefined): void {
    if (idleTo !== undefined && idleTo > this.#idleTo) this.#idleTo = idleTo
    if (time !== undefined && time.of > this.#slices.list.length) this.#slices.divide(time.of)
    const only = this.#only()
    if (only !== undefined) this.#follow(only, now)
    else if (time?.to !== undefined) this.#closeSlices(time.to, slice)
  }

  correct(slice: Slice | undefined): void {
    this.book.correct((row) => isIn(slice, this.book.keys.get(row, HASH)))
  }

  flush(): void {
    this.#closeSlices(Number.MAX_VALUE, undefined)
  }

  latest(reading: Reading): WindowRecord | undefined {
    if (!this.book.parts.read(reading)) return undefined
    const row = this.#find(reading)
    return row === NONE ? undefined : this.book.results.latest.of(row)
  }

  lag(now: number): number | undefined {
    const clocks = this.#slices.list.filter(({ due }) => due.top() !== NONE).map(({ clock }) => clock)
    const least = Math.min(...clocks)
    return Number.isFinite(least) ? now - least - this.book.definition.delay : undefined
  }

  bytes(): number {
    return this.book.bytes() + this.book.keys.count * 6
  }

  redefine(definition: WindowDefinition, slot: number): void {
    this.book.redefine(definition)
    this.#slot = slot
  }

  save(writer: SnapshotWriter): void {
    this.book.save(writer)
    const clocks = this.#slices.clocks().map((clock) => (Number.isFinite(clock) ? clock : null))
    writer.json({ clocks, idleTo: this.#idleTo } satisfies State)
  }

  load(reader: SnapshotReader): void {
    this.book.load(reader)
    const state = reader.json() as State | FirstState
    const clocks = 'clocks' in state ? state.clocks : [state.clock]
    this.#slices.restore(clocks.map((clock) => clock ?? Number.NEGATIVE_INFINITY))
    this.#idleTo = state.idleTo
  }

  /** All keys, while there are few. */
  #only(): KeySlice | undefined {
    const { list } = this.#slices
    return list.length === 1 ? list[0] : undefined
  }

  #slicesWanted(): number {
    return Math.max(this.#slices.list.length, sliceCount(this.book.keys.count))
  }

  #place(row: number, reading: Reading, source: WindowSource): void {
    const moment = this.#moment
    const slice = this.#slices.of(row)
    const time = moment[TIME] as number
    moment[CLOCK] = slice.clock
    if (this.#processing) moment[TIME] = moment[NOW] as number
    if (this.book.place(row, reading, source)) slice.due.settle(row)
    moment[TIME] = time
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
    this.#slices.add(row)
    reading.device.slots[this.#slot] = row
    return row
  }

  #removeKey(row: number): void {
    const { due, clock } = this.#slices.of(row)
    this.book.keys.set(row, NEXT_CLOSE, Number.POSITIVE_INFINITY)
    due.settle(row)
    this.book.evict(row, clock)
  }

  /** Brings the clock to where the sources are. @param now the gateway's clock for what it stamps, or -Infinity */
  #follow(slice: KeySlice, now: number): void {
    const target = this.#target(now, this.#idleTo)
    if (target <= slice.clock) return
    if (this.#processing || !this.#allIdle(this.#idleTo)) this.#closeTo(slice, target)
    else this.#closeIdle(slice, target)
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

  #closeSlices(to: number, part: Slice | undefined): void {
    const { list } = this.#slices
    for (let i = 0; i < list.length; i++) {
      if (closesSlice(part, i, list.length)) this.#closeTo(list[i] as KeySlice, to)
    }
  }

  #closeTo(slice: KeySlice, target: number): void {
    if (target <= slice.clock) return
    this.#closeDue(slice, target, target)
    slice.clock = target
  }

  /** The clock only goes as far as what was closed: readings after the pause are not late for it. */
  #closeIdle(slice: KeySlice, target: number): void {
    const last = this.#closeDue(slice, target, undefined)
    if (last > slice.clock) slice.clock = last
  }

  /** @param expireBy what can no longer be corrected at this time goes; undefined: at the end of its window */
  #closeDue(slice: KeySlice, target: number, expireBy: number | undefined): number {
    const { due } = slice
    let last = Number.NEGATIVE_INFINITY
    while (this.#isDue(slice, target)) {
      const row = due.top()
      last = due.next()
      this.book.closeAt(row, last)
      this.book.expire(row, expireBy ?? last)
      due.settle(row)
    }
    return last
  }

  /** The last of the ends that come next and are at or before `target`; -Infinity when there is none. */
  #lastEnd(target: number): number {
    const { form } = this.book
    let last = Number.NEGATIVE_INFINITY
    for (const { due, clock } of this.#slices.list) {
      for (const row of due.upTo(target)) {
        const end = form.nextEnd(row, clock)
        if (end <= target && end > last) last = end
      }
    }
    return last
  }

  #isDue(slice: KeySlice, target: number): boolean {
    return slice.due.next() <= target && this.#nextEnd(slice) <= target
  }

  /** The first end in a slice, or Infinity. A session's end moves with each reading, so there it is worked out anew. */
  #nextEnd({ due, clock }: KeySlice): number {
    if (!this.book.geometry.session) return due.next()
    const { keys, form } = this.book
    for (;;) {
      const row = due.top()
      if (row === NONE) return Number.POSITIVE_INFINITY
      const end = form.nextEnd(row, clock)
      if (end === keys.get(row, NEXT_CLOSE)) return end
      keys.set(row, NEXT_CLOSE, end)
      due.settle(row)
    }
  }
}
