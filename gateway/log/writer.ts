/**
 * Fills frames and commits them: one commit at a time, while the next frame fills.
 *
 *      reserve ─▶ filling ─cut─▶ waiting ─seal, write─▶ unsynced ─fdatasync─▶ durable, buffer used again
 *                                   ▲                       │
 *                                   └───── any failure ─────┘   in a new segment, by a new descriptor
 *
 * - A frame is never sealed in the turn of the event loop in which it was filled, so that a caller may finish a
 *   record after it has reserved more.
 * - Frames stay in memory until they are durable, and together take at most `maxBuffer`: then `reserve` says no.
 * - After a failed write or fdatasync nothing is known about what that descriptor wrote since the last good fdatasync
 *   (Linux marks the pages clean and forgets them), so all of it is written again elsewhere.
 */

import { join } from 'node:path'
import type { Clock, Timer } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import { codeOf, type Files, replaceSmall, type WritableFile } from './files.ts'
import {
  AFTER_TROUBLE,
  encodeIdentity,
  encodeSegmentHead,
  FRAME_HEAD,
  IDENTITY_FILE,
  type Identity,
  MAX_RECORD,
  recordSize,
  SEGMENT_HEAD,
  writeRecordLength,
} from './format.ts'
import { createFramePool, FRAME_BYTES, type Frame, type FramePool, frameOf, sealFrame } from './frame.ts'
import type { Trouble } from './log.ts'
import type { ScannedFrame } from './scan.ts'
import { createSegment, notePlace, type Segment, type Segments } from './segments.ts'

/** Pause between attempts while the disk is in trouble, ms. */
const RETRY = 1000
/** Frames written by one call; the system takes at most 1024 parts. */
const FRAMES_PER_WRITE = 64
/** Records of which nobody waits for the disk are synced this long after they were written, ms. */
const SYNC_INTERVAL = 1000

export interface WriterOptions {
  readonly directory: string
  readonly files: Files
  readonly clock: Clock
  readonly identity: Identity
  readonly segments: Segments
  readonly segmentBytes: number
  readonly compress: boolean
  readonly interval: number
  readonly bytes: number
  readonly eager: boolean
  readonly lazy: boolean
  readonly maxBuffer: number
  readonly onTrouble: (trouble: Trouble | null) => void
  /** Where the log stands. */
  readonly next: number
  readonly mark: number
  readonly markedTo: number
  readonly identityKept: boolean
  /** The newest segment that was found, also when it was empty or set aside. */
  readonly named: { readonly first: number; readonly attempt: number }
  /** What recovery found and does not trust. */
  readonly unsure: readonly ScannedFrame[]
  /** Where the newest segment is torn. */
  readonly soundTo: number
}

interface Waiter {
  /** Resolved when all below this number is durable, and a mark that covers all below `markedTo`. */
  readonly next: number
  readonly mark: number
  readonly markedTo: number
  readonly done: () => void
}

type Listener = (number: number) => void

export class Writer {
  next: number
  written: number
  durable: number
  /** Highest mark that is durable. */
  marked: number
  /** Number after the last record that `marked` covers. */
  markedTo: number
  trouble: Trouble | null = null
  /** Bytes handed to the disk since the log was opened. */
  bytesWritten = 0
  /** Calls of fdatasync since the log was opened. */
  syncs = 0
  readonly durableListeners: Listener[] = []
  readonly writtenListeners: Listener[] = []
  readonly roomListeners: (() => void)[] = []
  readonly #o: WriterOptions
  readonly #pool: FramePool
  #frame: Frame
  #waiting: Frame[] = []
  #unsynced: Frame[] = []
  /** Bytes of the frames that wait or are not known to be durable. */
  #held = 0
  #mark: number
  #markedTo: number
  /** A mark came since the last frame was cut. */
  #markNew = false
  #file: WritableFile | null = null
  #segment: Segment | null = null
  /** Bytes of the segment that are durable. */
  #durableSize = 0
  /** The newest segment that ever was. */
  #named: { readonly first: number; readonly attempt: number }
  /** The directory holds the identity. */
  #identityKept: boolean
  /** Segments that failed, and how much of them is good. */
  readonly #residue: { path: string; size: number }[] = []
  #timer: Timer | null = null
  #syncTimer: Timer | null = null
  #running = false
  #again = false
  #soon = false
  #syncDue = false
  #starved = false
  #closing = false
  #waiters: Waiter[] = []
  readonly #followers = new Set<() => void>()

  constructor(options: WriterOptions) {
    this.#o = options
    this.next = options.next
    this.written = options.next - 1
    this.durable = options.next - 1
    this.marked = options.mark
    this.markedTo = options.markedTo
    this.#mark = options.mark
    this.#markedTo = options.markedTo
    this.#identityKept = options.identityKept
    this.#named = options.named
    this.#pool = createFramePool(Math.max(2, Math.min(32, Math.ceil(options.maxBuffer / FRAME_BYTES))))
    this.#frame = this.#pool.take(0)
    this.#adopt()
  }

  get buffer(): Buffer {
    return this.#frame.buffer
  }

  get pendingBytes(): number {
    return this.#held + (this.#frame.used - FRAME_HEAD)
  }

  get roomy(): boolean {
    return this.pendingBytes <= this.#o.maxBuffer / 2
  }

  reserve(length: number, lazy: boolean): number {
    let frame = this.#frame
    const size = recordSize(length)
    if (frame.used + size > frame.limit) {
      if (!this.#makeRoom(size, length)) return -1
      frame = this.#frame
    }
    if (!lazy && !frame.sync) this.#wanted(frame)
    const at = frame.used
    frame.used = at + size
    frame.count++
    this.next++
    if (length >= 0x80) return writeRecordLength(frame.buffer, at, length)
    frame.buffer[at] = length
    return at + 1
  }

  mark(value: number): void {
    if (value < this.#mark || (value === this.#mark && this.#markedTo === this.next)) return
    this.#mark = value
    this.#markedTo = this.next
    this.#markNew = true
  }

  urgent(): void {
    if (this.#soon) return
    this.#soon = true
    setImmediate(() => {
      this.#soon = false
      if (this.#running) this.#again = true
      else if (this.trouble === null) void this.#run()
    })
  }

  flush(): Promise<void> {
    return new Promise((done) => {
      this.#waiters.push({ next: this.next, mark: this.#mark, markedTo: this.#markedTo, done })
      this.urgent()
    })
  }

  /** Resolves when `durable` exceeds `number`, or the signal is aborted. */
  durableBeyond(number: number, signal: AbortSignal): Promise<void> {
    if (this.durable > number || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#followers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#followers.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  /** Tries to make durable what was found. Resolves also when that fails. */
  async open(): Promise<void> {
    if (this.#waiting.length > 0) await this.#run()
    else await this.#tidy()
  }

  /** Frames that the newest segment has, perhaps only in the kernel's memory, go to a new one. */
  #adopt(): void {
    const { segments, unsure, soundTo } = this.#o
    this.#waiting = unsure.map(frameOf)
    for (const frame of this.#waiting) this.#held += frame.used
    const [oldest] = unsure
    if (oldest !== undefined) this.durable = oldest.head.first - 1
    const { newest } = segments
    const size = oldest?.offset ?? soundTo
    if (newest !== undefined && size < newest.size) this.#giveUp(newest, size > SEGMENT_HEAD ? size : 0)
  }

  /** Commits what is left and says in the file that the log was closed. Gives up when the disk does not take it. */
  async close(): Promise<void> {
    this.#closing = true
    this.#timer?.cancel()
    while (this.#running || this.#soon) await new Promise((resolve) => setImmediate(resolve))
    await this.#run()
    if (this.#file !== null) {
      this.#cutEmpty(true)
      await this.#run()
    }
    this.#syncTimer?.cancel()
    await this.#file?.close().catch(() => undefined)
    this.#file = null
    for (const waiter of this.#waiters.splice(0)) waiter.done()
  }

  /** The first record of the frame for which somebody waits. */
  #wanted(frame: Frame): void {
    frame.sync = !this.#o.lazy
    if (this.#o.eager && frame.sync) this.urgent()
  }

  /** Begins a frame that takes `size` bytes more; false when the buffer is full. */
  #makeRoom(size: number, length: number): boolean {
    if (length > MAX_RECORD) throw new RangeError(`a record of ${length} bytes is too long for a log`)
    const { bytes, maxBuffer, interval, clock } = this.#o
    if (this.#frame.count > 0) {
      this.#cut()
      if (this.#held >= bytes) this.urgent()
    }
    const need = FRAME_HEAD + size
    const free = maxBuffer - this.#held
    // A record longer than the whole buffer is taken when there is nothing else: it could never pass otherwise.
    if (this.#closing || (need > free && this.#held > 0)) {
      this.#starved = true
      this.urgent()
      return false
    }
    const limit = Math.max(need, Math.min(FRAME_BYTES, bytes, free))
    if (limit > this.#frame.buffer.length) {
      this.#pool.give(this.#frame)
      this.#frame = this.#pool.take(limit)
    }
    const frame = this.#frame
    frame.limit = limit
    frame.first = this.next
    frame.time = clock.now()
    this.#timer ??= clock.after(interval, () => {
      this.#timer = null
      this.urgent()
    })
    return true
  }

  /** Moves the frame that is filled to those that wait. */
  #cut(): void {
    const frame = this.#frame
    frame.mark = this.#mark
    frame.markedTo = this.#markedTo
    this.#markNew = false
    this.#waiting.push(frame)
    this.#held += frame.used
    this.#frame = this.#pool.take(0)
  }

  /** A frame without records, for a mark that must not wait for one, or to say that the log was closed. */
  #cutEmpty(closed: boolean): void {
    this.#frame.closed = closed
    this.#frame.first = this.next
    this.#frame.time = this.#o.clock.now()
    this.#frame.sync = true
    this.#cut()
  }

  async #run(): Promise<void> {
    this.#running = true
    try {
      do {
        this.#again = false
        await this.#commit()
      } while (this.#again || this.#waiting.length > 0 || this.#waiters.length > 0)
    } catch (error) {
      await this.#fail(error)
    } finally {
      this.#running = false
    }
  }

  async #commit(): Promise<void> {
    if (this.#frame.count > 0) this.#cut()
    else if (this.#markNew && this.#waiters.length > 0) this.#cutEmpty(false)
    this.#timer?.cancel()
    this.#timer = null
    let wanted = this.#syncDue || this.#closing || this.#waiters.length > 0 || this.trouble !== null
    while (this.#waiting.length > 0) wanted = (await this.#write()) || wanted
    if (this.#unsynced.length > 0 && (wanted || this.#held > this.#o.maxBuffer / 2)) await this.#sync()
    else this.#syncLater()
    this.#answer()
  }

  /** Writes frames that wait. True when somebody waits until one of them is durable. */
  async #write(): Promise<boolean> {
    const { identity, compress, segmentBytes } = this.#o
    const frames = this.#waiting.slice(0, FRAMES_PER_WRITE)
    for (const frame of frames) if (frame.parts === null) await sealFrame(frame, identity.seed, this.durable, compress)
    if (this.#segment !== null && this.#segment.size >= segmentBytes) await this.#leave()
    const segment = this.#segment ?? (await this.#begin(frames[0] as Frame))
    await this.#put(segment, frames)
    this.#waiting.splice(0, frames.length)
    this.#unsynced.push(...frames)
    const last = frames.at(-1) as Frame
    this.#reach(last.first + last.count - 1)
    return frames.some((frame) => frame.sync)
  }

  async #put(segment: Segment, frames: readonly Frame[]): Promise<void> {
    const { identity, segments } = this.#o
    const parts = frames.flatMap((frame) => frame.parts ?? [])
    const fresh = segment.size === 0
    // The head goes with the first frames: one write, one block.
    const { first, time = 0 } = segment
    if (fresh)
      parts.unshift(encodeSegmentHead({ identity, first, time, flags: this.#residue.length > 0 ? AFTER_TROUBLE : 0 }))
    await (this.#file as WritableFile).write(parts, segment.size)
    if (fresh) segments.grow(segment, SEGMENT_HEAD)
    for (const frame of frames) {
      notePlace(segment, frame.first, segment.size)
      segments.grow(segment, frame.size)
    }
    for (const part of parts) this.bytesWritten += part.length
  }

  /** Begins a segment with `frame`. */
  async #begin(frame: Frame): Promise<Segment> {
    const { directory, files, segments } = this.#o
    await files.makeDirectory(directory)
    if (!this.#identityKept) await this.#keepIdentity()
    // A name is never used twice: a deletion may not outlive a power cut, and the higher attempt counts.
    for (let attempt = frame.first === this.#named.first ? this.#named.attempt + 1 : 0; ; attempt++) {
      const segment = createSegment(directory, frame.first, attempt, 0)
      try {
        this.#file = await files.create(segment.path)
      } catch (error) {
        // A leftover that could not be deleted; reading prefers the higher attempt.
        if (codeOf(error) === 'EEXIST') continue
        throw error
      }
      this.#named = segment
      segment.time = frame.time
      this.#segment = segment
      this.#durableSize = 0
      segments.add(segment)
      return segment
    }
  }

  async #keepIdentity(): Promise<void> {
    await replaceSmall(this.#o.files, join(this.#o.directory, IDENTITY_FILE), encodeIdentity(this.#o.identity))
    this.#identityKept = true
  }

  /** Everything written becomes durable. */
  async #sync(): Promise<void> {
    const { directory, files } = this.#o
    const segment = this.#segment as Segment
    const file = this.#file as WritableFile
    await file.sync()
    if (!file.linked()) throw Object.assign(new Error('the segment was deleted underneath'), { code: 'ENOENT' })
    const fresh = this.#durableSize === 0
    if (fresh) await files.syncDirectory(directory)
    this.syncs++
    this.#durableSize = segment.size
    this.#syncDue = false
    this.#syncTimer?.cancel()
    this.#syncTimer = null
    this.#release()
    if (fresh) await this.#tidy()
    if (this.trouble !== null) {
      this.trouble = null
      notify([() => this.#o.onTrouble(null)], 0)
    }
    this.#tell()
  }

  /** What is durable leaves the memory. */
  #release(): void {
    const frames = this.#unsynced
    this.#unsynced = []
    for (const frame of frames) {
      this.#held -= frame.used
      this.marked = frame.mark
      this.markedTo = frame.markedTo
      this.#pool.give(frame)
    }
    this.durable = (this.#waiting[0]?.first ?? (this.#frame.count > 0 ? this.#frame.first : this.next)) - 1
  }

  /** Those whose wish is fulfilled hear of it. */
  #answer(): void {
    if (this.#waiters.length === 0) return
    const { durable, marked, markedTo } = this
    const waiters = this.#waiters
    this.#waiters = waiters.filter((w) => w.next > durable + 1 || w.mark > marked || w.markedTo > markedTo)
    for (const waiter of waiters) if (!this.#waiters.includes(waiter)) waiter.done()
  }

  /** Says that more is durable, and that there is room again. */
  #tell(): void {
    for (const wake of this.#followers) wake()
    notify(this.durableListeners, this.durable)
    if (!this.#starved || !this.roomy) return
    this.#starved = false
    notify(this.roomListeners, 0)
  }

  #syncLater(): void {
    if (this.#unsynced.length === 0) return
    this.#syncTimer ??= this.#o.clock.after(SYNC_INTERVAL, () => {
      this.#syncTimer = null
      this.#syncDue = true
      this.urgent()
    })
  }

  #reach(written: number): void {
    if (written <= this.written) return
    this.written = written
    notify(this.writtenListeners, written)
  }

  /** Leaves a full segment for the next. */
  async #leave(): Promise<void> {
    // Segments follow each other only when all before is durable: what a crash leaves is always a prefix.
    if (this.#unsynced.length > 0) await this.#sync()
    const file = this.#file
    this.#file = null
    this.#segment = null
    await file?.close()
  }

  /** The disk failed: what is not known to be durable goes to a new segment, later. */
  async #fail(error: unknown): Promise<void> {
    const { clock, onTrouble } = this.#o
    this.#waiting = [...this.#unsynced, ...this.#waiting]
    this.#unsynced = []
    this.#identityKept = false
    await this.#abandon()
    const before = this.trouble
    const code = codeOf(error)
    this.trouble = {
      code,
      message: reasonOf(error),
      since: before?.since ?? clock.now(),
      attempts: (before?.attempts ?? 0) + 1,
    }
    if (before?.code !== code) notify([() => onTrouble(this.trouble)], 0)
    if (this.#closing) return
    clock.after(RETRY, () => {
      if (!this.#running) void this.#run()
    })
  }

  /** Gives up the segment that failed, down to what of it is durable. */
  async #abandon(): Promise<void> {
    const { files, segments } = this.#o
    const segment = this.#segment
    const file = this.#file
    this.#segment = null
    this.#file = null
    await file?.close().catch(() => undefined)
    if (segment === null) return
    if (segment.size > 0) {
      this.#giveUp(segment, this.#durableSize)
      return
    }
    segments.remove(segment)
    await files.remove(segment.path).catch(() => undefined)
  }

  /** Only `size` bytes of a segment count from now on. The kernel may have the rest: it stays until it is written again. */
  #giveUp(segment: Segment, size: number): void {
    const { segments } = this.#o
    if (size > 0) segments.shrink(segment, size)
    else segments.remove(segment)
    this.#residue.push({ path: segment.path, size })
  }

  /** Cuts off what trouble left behind. Nothing depends on it: a segment ends where the next begins. */
  async #tidy(): Promise<void> {
    const { files } = this.#o
    for (const residue of this.#residue.splice(0)) {
      const { path, size } = residue
      const code = await (size > 0 ? files.truncate(path, size) : files.remove(path)).then(() => null, codeOf)
      if (code !== null && code !== 'ENOENT') this.#residue.push(residue)
    }
  }
}

/** A listener that throws is a defect of its own, not trouble with the disk. */
function notify(listeners: readonly Listener[], number: number): void {
  for (const listener of listeners) {
    try {
      listener(number)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
