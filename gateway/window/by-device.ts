/**
 * Windows that close on each device's own time: the highest event time the device has shown, less `delay`. A device
 * that comes back with an hour of backlog gets its windows; one with a wrong clock harms its own only.
 *
 * Nothing is scanned per reading. What happens without a reading (a device is silent, or stamped by the gateway and
 * its window has ended) is found by passing over all devices, and a lower bound says when the next pass can find
 * anything: a pass every `idle` or every window length, not at every tick.
 */
import type { Device, Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import type { WindowBook } from './book.ts'
import type { Closing } from './closing.ts'
import type { WindowDefinition } from './definition.ts'
import { DEVICE, LAST_ENTRY, NEXT_CLOSE, NEXT_KEY } from './keys.ts'
import { CLOCK as MOMENT_CLOCK, TIME as MOMENT_TIME, type Moment } from './moment.ts'
import { NONE } from './slab.ts'
import { hashOf, isIn, type Slice } from './slices.ts'
import { FLAT, type SnapshotReader, type SnapshotWriter } from './snapshot.ts'
import type { WindowSource } from './sources.ts'
import { Table } from './table.ts'

/** The highest event time, ms since the epoch. */
const TIME = 0
/** Windows that end at or before it are closed, ms since the epoch. */
const CLOCK = 1
const LAST = 2
/** When the first of its keys closes; Infinity when none is open. */
const NEXT = 3
const FIRST_KEY = 4
/** 1 when the gateway stamped its last reading. */
const STAMPED = 5
const COLUMNS = 6

/** Keys of one device that are compared one after the other before the index is asked. */
const COMPARED = 8
const NOBODY: number[] = []

export class DeviceClosing implements Closing {
  readonly book: WindowBook
  #slot: number
  readonly #moment: Moment
  readonly #devices = new Table(COLUMNS)
  #ids: (string | undefined)[] = []
  /** Of the ids. */
  readonly #hashes: number[] = []
  readonly #byId = new Map<string, number>()
  /** No device with an open window had its last reading before this entry. */
  #idleBound = Number.POSITIVE_INFINITY
  /** No stamped device has a window that ends before this. */
  #stampedBound = Number.POSITIVE_INFINITY
  readonly #evict: (row: number) => void

  /** @param slot place in `Device.slots` that is this definition's */
  constructor(book: WindowBook, slot: number, moment: Moment) {
    this.#moment = moment
    this.book = book
    this.#slot = slot
    this.#evict = (row) => this.#removeKey(row)
  }

  add(reading: Reading, entry: number, source: WindowSource): void {
    const { book } = this
    if (!book.admits(reading, source)) {
      this.#touch(reading, entry)
      return
    }
    let device = this.#find(reading.device)
    let row = device === NONE ? NONE : this.#keyOf(device)
    if (row === NONE) {
      if (!book.makeRoom(entry, source, this.#evict)) {
        book.refuse(source)
        this.#touch(reading, entry)
        return
      }
      // Making room may have removed the device.
      device = this.#find(reading.device)
      if (device === NONE) device = this.#create(reading.device)
      row = this.#createKey(device, entry)
    }
    book.keys.set(row, LAST_ENTRY, entry)
    this.#note(device, entry, reading.stamped)
    this.#moment[MOMENT_CLOCK] = this.#devices.get(device, CLOCK)
    if (book.place(row, reading, source)) this.#opened(device, row, entry)
    this.#move(device, this.#moment[MOMENT_TIME] as number)
  }

  advance(id: string, time: number, stamped: boolean): void {
    const device = this.#byId.get(id)
    if (device === undefined) return
    this.#devices.set(device, STAMPED, stamped ? 1 : 0)
    this.#move(device, time)
  }

  due(now: number, idleTo: number): number {
    return this.#pass(now - this.book.definition.delay, idleTo).length
  }

  tick(now: number, idleTo: number | undefined, slice: Slice | undefined): void {
    const closing = this.#pass(now - this.book.definition.delay, idleTo ?? NONE)
    for (const device of closing) {
      if (!isIn(slice, this.#hashes[device] as number)) continue
      if (this.#devices.get(device, LAST) <= (idleTo ?? NONE)) this.#close(device, Number.POSITIVE_INFINITY)
      else this.#move(device, now)
    }
    // What was closed may have held the bounds.
    if (closing.length > 0) this.#pass(Number.NEGATIVE_INFINITY, NONE, true)
  }

  correct(slice: Slice | undefined): void {
    const { keys } = this.book
    this.book.correct((row) => isIn(slice, this.#hashes[keys.get(row, DEVICE)] as number))
  }

  flush(): void {
    for (let device = 0; device < this.#ids.length; device++) {
      if (this.#ids[device] !== undefined) this.#close(device, Number.POSITIVE_INFINITY)
    }
  }

  latest(reading: Reading): WindowRecord | undefined {
    const device = this.#find(reading.device)
    if (device === NONE || !this.book.parts.read(reading)) return undefined
    const row = this.#keyOf(device)
    return row === NONE ? undefined : this.book.results.latest.of(row)
  }

  lag(now: number): number | undefined {
    let least = Number.POSITIVE_INFINITY
    for (let device = 0; device < this.#ids.length; device++) {
      if (this.#ids[device] === undefined || this.#devices.get(device, NEXT) === Number.POSITIVE_INFINITY) continue
      least = Math.min(least, Math.max(this.#devices.get(device, CLOCK), this.#devices.get(device, TIME)))
    }
    return least === Number.POSITIVE_INFINITY ? undefined : now - least
  }

  bytes(): number {
    return this.book.bytes() + this.#devices.cells.byteLength + this.#devices.used * 64
  }

  redefine(definition: WindowDefinition, slot: number): void {
    this.book.redefine(definition)
    this.#slot = slot
  }

  save(writer: SnapshotWriter): void {
    this.book.save(writer)
    this.#devices.save(writer)
    writer.list(this.#ids.map((id) => id ?? null))
  }

  load(reader: SnapshotReader): void {
    this.book.load(reader)
    this.#devices.load(reader)
    const ids = reader.version < FLAT ? (reader.json() as (string | null)[]) : reader.list<string | null>()
    this.#ids = ids.map((id) => id ?? undefined)
    this.#ids.forEach((id, device) => {
      this.#hashes[device] = hashOf(id ?? '')
      if (id !== undefined) this.#byId.set(id, device)
    })
    this.#idleBound = Number.NEGATIVE_INFINITY
    this.#stampedBound = Number.NEGATIVE_INFINITY
  }

  /** A reading that counts for no key moves its device's time all the same, when the device is known. */
  #touch(reading: Reading, entry: number): void {
    const device = this.#find(reading.device)
    if (device === NONE) return
    this.#note(device, entry, reading.stamped)
    this.#move(device, this.#moment[MOMENT_TIME] as number)
  }

  #find(device: Device): number {
    const cached = device.slots[this.#slot]
    if (typeof cached === 'number' && this.#ids[cached] === device.id) return cached
    const row = this.#byId.get(device.id) ?? NONE
    device.slots[this.#slot] = row
    return row
  }

  #create(device: Device): number {
    const row = this.#devices.allocate()
    this.#devices.set(row, TIME, Number.NEGATIVE_INFINITY)
    this.#devices.set(row, CLOCK, Number.NEGATIVE_INFINITY)
    this.#devices.set(row, NEXT, Number.POSITIVE_INFINITY)
    this.#devices.set(row, FIRST_KEY, NONE)
    this.#ids[row] = device.id
    this.#hashes[row] = hashOf(device.id)
    this.#byId.set(device.id, row)
    device.slots[this.#slot] = row
    return row
  }

  /** The device's key with the values in `book.parts`, or NONE. */
  #keyOf(device: number): number {
    const { keys, parts } = this.book
    let row = this.#devices.get(device, FIRST_KEY)
    if (parts.values.length === 1) return row
    for (let i = 0; i < COMPARED && row !== NONE; i++) {
      if (keys.is(row, parts.values)) return row
      row = keys.get(row, NEXT_KEY)
    }
    return row === NONE ? NONE : keys.find(parts.values)
  }

  #createKey(device: number, entry: number): number {
    const { keys, parts } = this.book
    const row = keys.create(parts.values, entry)
    keys.set(row, DEVICE, device)
    keys.set(row, NEXT_KEY, this.#devices.get(device, FIRST_KEY))
    this.#devices.set(device, FIRST_KEY, row)
    return row
  }

  #removeKey(row: number): void {
    const { keys } = this.book
    const device = keys.get(row, DEVICE)
    const next = keys.get(row, NEXT_KEY)
    this.book.evict(row, this.#devices.get(device, CLOCK))
    let at = this.#devices.get(device, FIRST_KEY)
    if (at === row) this.#devices.set(device, FIRST_KEY, next)
    else {
      while (keys.get(at, NEXT_KEY) !== row) at = keys.get(at, NEXT_KEY)
      keys.set(at, NEXT_KEY, next)
    }
    if (this.#devices.get(device, FIRST_KEY) === NONE) this.#remove(device)
    else this.#devices.set(device, NEXT, this.#firstClose(device))
  }

  #remove(device: number): void {
    this.#byId.delete(this.#ids[device] as string)
    this.#ids[device] = undefined
    this.#devices.free(device)
  }

  #note(device: number, entry: number, stamped: boolean): void {
    this.#devices.set(device, LAST, entry)
    this.#devices.set(device, STAMPED, stamped ? 1 : 0)
    if (stamped) this.#stampedBound = Math.min(this.#stampedBound, this.#devices.get(device, NEXT))
  }

  /** A window was opened that ends before all others of its key. */
  #opened(device: number, row: number, entry: number): void {
    const next = this.book.keys.get(row, NEXT_CLOSE)
    if (next < this.#devices.get(device, NEXT)) this.#devices.set(device, NEXT, next)
    if (entry < this.#idleBound) this.#idleBound = entry
    if (this.#devices.get(device, STAMPED) === 1 && next < this.#stampedBound) this.#stampedBound = next
  }

  /** The device has shown this time, or the gateway's clock has for it. */
  #move(device: number, time: number): void {
    const devices = this.#devices
    if (!(time > devices.get(device, TIME))) return
    devices.set(device, TIME, time)
    const clock = time - this.book.definition.delay
    if (clock >= devices.get(device, NEXT)) this.#close(device, clock)
    else if (clock > devices.get(device, CLOCK)) devices.set(device, CLOCK, clock)
  }

  /** Closes the windows that end at or before `to`; Infinity closes all, and leaves the clock at the last one's end. */
  #close(device: number, to: number): void {
    const { book } = this
    const before = this.#devices.get(device, CLOCK)
    const all = to === Number.POSITIVE_INFINITY
    let clock = all ? before : Math.max(before, to)
    for (let row = this.#devices.get(device, FIRST_KEY); row !== NONE; row = book.keys.get(row, NEXT_KEY)) {
      if (book.keys.get(row, NEXT_CLOSE) > to) continue
      const last = book.closeUpTo(row, before, to)
      if (all && last > clock) clock = last
    }
    this.#devices.set(device, CLOCK, clock)
    for (let row = this.#devices.get(device, FIRST_KEY); row !== NONE; row = book.keys.get(row, NEXT_KEY)) {
      book.expire(row, clock)
    }
    this.#devices.set(device, NEXT, this.#firstClose(device))
  }

  #firstClose(device: number): number {
    const { keys } = this.book
    let first = Number.POSITIVE_INFINITY
    for (let row = this.#devices.get(device, FIRST_KEY); row !== NONE; row = keys.get(row, NEXT_KEY)) {
      first = Math.min(first, keys.get(row, NEXT_CLOSE))
    }
    return first
  }

  /**
   * Passes over all devices when the bounds allow that one is due, and raises the bounds.
   *
   * @param clock stamped devices close what ends at or before it
   * @returns the devices that are due
   */
  #pass(clock: number, idleTo: number, always = false): number[] {
    if (!always && idleTo < this.#idleBound && clock < this.#stampedBound) return NOBODY
    const due: number[] = []
    let idleBound = Number.POSITIVE_INFINITY
    let stampedBound = Number.POSITIVE_INFINITY
    for (let device = 0; device < this.#ids.length; device++) {
      if (this.#ids[device] === undefined || this.#devices.get(device, NEXT) === Number.POSITIVE_INFINITY) continue
      const last = this.#devices.get(device, LAST)
      const stamped = this.#devices.get(device, STAMPED) === 1
      if (last <= idleTo || (stamped && this.#ends(device, clock) <= clock)) due.push(device)
      if (last < idleBound) idleBound = last
      if (stamped) stampedBound = Math.min(stampedBound, this.#devices.get(device, NEXT))
    }
    this.#idleBound = idleBound
    this.#stampedBound = stampedBound
    return due
  }

  /** When the device's next window ends; worked out anew for sessions, whose end moves with each reading. */
  #ends(device: number, clock: number): number {
    const next = this.#devices.get(device, NEXT)
    if (next > clock || !this.book.geometry.session) return next
    const { keys, form } = this.book
    for (let row = this.#devices.get(device, FIRST_KEY); row !== NONE; row = keys.get(row, NEXT_KEY)) {
      keys.set(row, NEXT_CLOSE, form.nextEnd(row, clock))
    }
    this.#devices.set(device, NEXT, this.#firstClose(device))
    return this.#devices.get(device, NEXT)
  }
}
