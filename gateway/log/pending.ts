/**
 * What is appended and not yet durable: the frame that fills, those that wait, those that are written.
 *
 *      reserve ─▶ filling ─cut─▶ waiting ─wrote─▶ unsynced ─synced─▶ gone, its buffer used again
 *                                   ▲                │
 *                                   └─── undone ─────┘   any failure
 *
 * - Frames follow each other without holes: the first number of one is the number after the last of the one before.
 * - All together take at most `maxBuffer` bytes: then `reserve` says no. A record longer than that passes alone.
 * - A frame's buffer is not touched between `cut` and `synced`: the disk may be reading it.
 */
import type { Clock } from '../clock.ts'
import { FRAME_HEAD, MAX_RECORD, recordSize, writeRecordLength } from './format.ts'
import { createFramePool, FRAME_BYTES, type Frame, type FramePool, frameOf } from './frame.ts'
import type { ScannedFrame } from './scan.ts'

/** Frames written by one call; the system takes at most 1024 parts. */
const FRAMES_PER_WRITE = 64

export interface PendingOptions {
  readonly clock: Clock
  /** A frame is cut at this many bytes, at FRAME_BYTES at most. */
  readonly bytes: number
  readonly maxBuffer: number
  /** Where the log stands. */
  readonly next: number
  readonly mark: number
  readonly markedTo: number
  /** What recovery found and does not trust: written again before all else. */
  readonly unsure: readonly ScannedFrame[]
}

/** The newest mark that is durable, and the number after the last record that it covers. */
export interface Marked {
  readonly mark: number
  readonly markedTo: number
}

export class Pending {
  /** The next record's number. */
  next: number
  mark: number
  /** Number after the last record that `mark` covers. */
  markedTo: number
  /** A mark came since the last frame was cut. */
  markNew = false
  /** `reserve` has refused since room was last announced. */
  starved = false
  /** Bytes of the frames that were cut. */
  held = 0
  readonly #clock: Clock
  readonly #bytes: number
  readonly #maxBuffer: number
  readonly #pool: FramePool
  #filling: Frame
  #waiting: Frame[]
  #unsynced: Frame[] = []

  constructor({ clock, bytes, maxBuffer, next, mark, markedTo, unsure }: PendingOptions) {
    this.next = next
    this.mark = mark
    this.markedTo = markedTo
    this.#clock = clock
    this.#bytes = bytes
    this.#maxBuffer = maxBuffer
    this.#pool = createFramePool(Math.max(2, Math.min(32, Math.ceil(maxBuffer / FRAME_BYTES))))
    this.#filling = this.#pool.take(0)
    this.#waiting = unsure.map(frameOf)
    for (const frame of this.#waiting) this.held += frame.used
  }

  get buffer(): Buffer {
    return this.#filling.buffer
  }

  get bytes(): number {
    return this.held + (this.#filling.used - FRAME_HEAD)
  }

  get roomy(): boolean {
    return this.bytes <= this.#maxBuffer / 2
  }

  /** So much waits that it should not wait for more. */
  get plenty(): boolean {
    return this.held >= this.#bytes
  }

  /** So much is written and not synced that a sync must make room. */
  get pressing(): boolean {
    return this.held > this.#maxBuffer / 2
  }

  get filled(): boolean {
    return this.#filling.count > 0
  }

  get waits(): boolean {
    return this.#waiting.length > 0
  }

  get unsynced(): boolean {
    return this.#unsynced.length > 0
  }

  /** True when the frame that fills has no record yet, or not the room for one of `length` bytes: `begin` comes first. */
  lacks(length: number): boolean {
    return this.#filling.used + recordSize(length) > this.#filling.limit
  }

  /** Number of the first record of the frame that one of `length` bytes would join; `next` when it would begin one. */
  opening(length: number): number {
    return this.lacks(length) ? this.next : this.#filling.first
  }

  /** Puts a record of `length` bytes into the frame that fills, which has room for it; where its bytes go. */
  add(length: number): number {
    const frame = this.#filling
    const at = frame.used
    frame.used = at + recordSize(length)
    frame.count++
    this.next++
    if (length >= 0x80) return writeRecordLength(frame.buffer, at, length)
    frame.buffer[at] = length
    return at + 1
  }

  /** Somebody waits for the frame that fills. True when nobody did before. */
  want(): boolean {
    if (this.#filling.sync) return false
    this.#filling.sync = true
    return true
  }

  /** Begins a frame with room for a record of `length` bytes; false when the buffer is full. */
  begin(length: number): boolean {
    if (length > MAX_RECORD) throw new RangeError(`a record of ${length} bytes is too long for a log`)
    if (this.filled) this.cut()
    const need = FRAME_HEAD + recordSize(length)
    const free = this.#maxBuffer - this.held
    // A record longer than the whole buffer is taken when there is nothing else: it could never pass otherwise.
    if (need > free && this.held > 0) return false
    const limit = Math.max(need, Math.min(FRAME_BYTES, this.#bytes, free))
    if (limit > this.#filling.buffer.length) {
      this.#pool.give(this.#filling)
      this.#filling = this.#pool.take(limit)
    }
    this.#filling.limit = limit
    this.#filling.first = this.next
    this.#filling.time = this.#clock.now()
    return true
  }

  /** @returns false when it is below the last mark, or says nothing new */
  setMark(value: number): boolean {
    if (value < this.mark || (value === this.mark && this.markedTo === this.next)) return false
    this.mark = value
    this.markedTo = this.next
    this.markNew = true
    return true
  }

  /** Moves the frame that is filled to those that wait. */
  cut(): void {
    const frame = this.#filling
    frame.mark = this.mark
    frame.markedTo = this.markedTo
    this.markNew = false
    this.#waiting.push(frame)
    this.held += frame.used
    this.#filling = this.#pool.take(0)
  }

  /** A frame without records, for a mark that must not wait for one, or to say that the log was closed. */
  cutEmpty(closed: boolean): void {
    this.#filling.closed = closed
    this.#filling.first = this.next
    this.#filling.time = this.#clock.now()
    this.#filling.sync = true
    this.cut()
  }

  /** What is to be written next, oldest first. */
  head(): readonly Frame[] {
    return this.#waiting.slice(0, FRAMES_PER_WRITE)
  }

  /** The first of those that wait were written. */
  wrote(frames: readonly Frame[]): void {
    this.#waiting.splice(0, frames.length)
    for (const frame of frames) this.#unsynced.push(this.#keeps(frame) ? frame : this.#pool.exchange(frame))
  }

  /** It is synced now, or fills its buffer; a small one would hold it for a second. */
  #keeps(frame: Frame): boolean {
    return frame.sync || frame.used > FRAME_BYTES / 4
  }

  /** All that was written is durable and leaves the memory. @returns what the last of it was marked with */
  synced(): Marked | undefined {
    const frames = this.#unsynced
    this.#unsynced = []
    for (const frame of frames) {
      this.held -= frame.used
      this.#pool.give(frame)
    }
    return frames.at(-1)
  }

  /** The lowest number that is not durable once all that was written is synced. */
  firstUnwritten(): number {
    return this.#waiting[0]?.first ?? (this.filled ? this.#filling.first : this.next)
  }

  /** Nothing is known of what was written: it waits again. */
  undone(): void {
    this.#waiting = [...this.#unsynced, ...this.#waiting]
    this.#unsynced = []
  }
}
