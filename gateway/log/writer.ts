/**
 * Commits: one at a time, while the next frame fills. `pending.ts` has what is in memory, `tail.ts` what is on disk.
 *
 *      reserve ─▶ pending ─┬─▶ seal ─▶ tail.write ─┬─▶ tail.sync ─▶ durable: listeners, waiters, room
 *                 urgent,  │      written          │
 *                 interval │                       │
 *                          └───────── undone ◀─────┴── any failure: again after a second, in a new segment
 *
 * - A frame is never sealed in the turn of the event loop in which it was filled, so that a caller may finish a
 *   record after it has reserved more.
 * - What nobody waits for is written with the rest and synced within a second.
 * - A segment is left only when all of it is durable: what a crash leaves is always a prefix.
 */
import type { Clock, Timer } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import { codeOf, type Files } from './files.ts'
import { type Identity, SEGMENT_HEAD } from './format.ts'
import { sealFrame } from './frame.ts'
import { Listeners, notify } from './listeners.ts'
import { Pending } from './pending.ts'
import type { ScannedFrame } from './scan.ts'
import type { Segments } from './segments.ts'
import { Tail } from './tail.ts'

/** Why commits fail. */
export interface Trouble {
  /** The system's: ENOSPC, EIO, EROFS, ENOENT … */
  readonly code: string
  readonly message: string
  /** Wall clock when it began, ms since the epoch. */
  readonly since: number
  readonly attempts: number
}

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
  /** Nobody waits for anything. */
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
  /** Where what counts of the newest segment ends. */
  readonly soundTo: number
}

/** Pause between attempts while the disk is in trouble, ms. */
const RETRY = 1000
/** Who waits until the kernel has a record waits so long for others to go with it, ms. */
const WRITE_WITHIN = 2
/** Records of which nobody waits for the disk are synced this long after they were written, ms. */
const SYNC_INTERVAL = 1000

export class Writer {
  written: number
  durable: number
  /** Highest mark that is durable. */
  marked: number
  /** Number after the last record that `marked` covers. */
  markedTo: number
  trouble: Trouble | null = null
  readonly pending: Pending
  readonly tail: Tail
  readonly listeners = new Listeners()
  readonly #o: WriterOptions
  #timer: Timer | null = null
  #syncTimer: Timer | null = null
  #writeTimer: Timer | null = null
  #running = false
  #again = false
  #soon = false
  #syncDue = false
  #closing = false

  constructor(options: WriterOptions) {
    this.#o = options
    this.pending = new Pending(options)
    this.tail = new Tail(options)
    this.written = options.next - 1
    this.durable = (options.unsure[0]?.head.first ?? options.next) - 1
    this.marked = options.mark
    this.markedTo = options.markedTo
    this.#adopt()
  }

  reserve(length: number, lazy: boolean): number {
    const { pending } = this
    if (pending.lacks(length) && !this.#begin(length)) return -1
    if (!lazy && !this.#o.lazy && pending.want() && this.#o.eager) this.urgent()
    return pending.add(length)
  }

  writeSoon(): void {
    if (!this.#o.eager || this.#writeTimer !== null) return
    this.#writeTimer = this.#o.clock.after(WRITE_WITHIN, () => {
      this.#writeTimer = null
      if (this.pending.filled) this.urgent()
    })
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
    const { next, mark, markedTo } = this.pending
    const done = this.listeners.wait(next, mark, markedTo)
    this.urgent()
    return done
  }

  /** Resolves when `durable` exceeds `number`, or the signal is aborted. */
  durableBeyond(number: number, signal: AbortSignal): Promise<void> {
    return this.durable > number || signal.aborted ? Promise.resolve() : this.listeners.follower(signal)
  }

  /** Tries to make durable what was found. Resolves also when that fails. */
  async open(): Promise<void> {
    if (this.pending.waits) await this.#run()
    else await this.tail.tidy()
  }

  /** Commits what is left and says in the file that the log was closed. Gives up when the disk does not take it. */
  async close(): Promise<void> {
    this.#closing = true
    this.#timer?.cancel()
    this.#writeTimer?.cancel()
    while (this.#running || this.#soon) await new Promise((resolve) => setImmediate(resolve))
    await this.#run()
    if (this.tail.isOpen) {
      this.pending.cutEmpty(true)
      await this.#run()
    }
    this.#syncTimer?.cancel()
    await this.tail.leave()
    this.listeners.release()
  }

  /** Frames that the newest segment has, perhaps only in the kernel's memory, go to a new one. */
  #adopt(): void {
    const { segments, unsure, soundTo } = this.#o
    const { newest } = segments
    const size = unsure[0]?.offset ?? soundTo
    if (newest !== undefined && size < newest.size) this.tail.giveUp(newest, size > SEGMENT_HEAD ? size : 0)
  }

  /** Begins a frame that takes a record of `length` bytes; false when the buffer is full. */
  #begin(length: number): boolean {
    const { pending } = this
    const cuts = pending.filled
    const begun = !this.#closing && pending.begin(length)
    if (!begun || (cuts && pending.plenty)) this.urgent()
    if (!begun) {
      pending.starved = true
      return false
    }
    this.#timer ??= this.#o.clock.after(this.#o.interval, () => {
      this.#timer = null
      this.urgent()
    })
    return true
  }

  async #run(): Promise<void> {
    this.#running = true
    try {
      do {
        this.#again = false
        await this.#commit()
      } while (this.#again || this.pending.waits || this.listeners.waiting)
    } catch (error) {
      await this.#fail(error)
    } finally {
      this.#running = false
    }
  }

  async #commit(): Promise<void> {
    const { pending } = this
    if (pending.filled) pending.cut()
    else if (pending.markNew && this.listeners.waiting) pending.cutEmpty(false)
    this.#timer?.cancel()
    this.#timer = null
    let wanted = this.#syncDue || this.#closing || this.listeners.waiting || this.trouble !== null
    while (pending.waits) wanted = (await this.#write()) || wanted
    if (pending.unsynced && (wanted || pending.pressing)) await this.#sync()
    else this.#syncLater()
    this.listeners.answer(this)
  }

  /** Writes frames that wait. True when somebody waits until one of them is durable. */
  async #write(): Promise<boolean> {
    const { identity, compress } = this.#o
    const frames = this.pending.head()
    for (const frame of frames) if (frame.parts === null) await sealFrame(frame, identity.seed, this.durable, compress)
    if (this.tail.full) {
      if (this.pending.unsynced) await this.#sync()
      await this.tail.leave()
    }
    await this.tail.write(frames)
    this.pending.wrote(frames)
    this.#reach(this.pending.firstUnwritten() - 1)
    return frames.some((frame) => frame.sync)
  }

  /** Everything written becomes durable, and those who wait hear of it. */
  async #sync(): Promise<void> {
    await this.tail.sync()
    this.#syncDue = false
    this.#syncTimer?.cancel()
    this.#syncTimer = null
    const last = this.pending.synced()
    if (last !== undefined) {
      this.marked = last.mark
      this.markedTo = last.markedTo
    }
    this.durable = this.pending.firstUnwritten() - 1
    if (this.trouble !== null) {
      this.trouble = null
      notify([() => this.#o.onTrouble(null)], 0)
    }
    this.listeners.follow(this.durable)
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (!this.pending.starved || !this.pending.roomy) return
    this.pending.starved = false
    notify(this.listeners.room, 0)
  }

  #syncLater(): void {
    if (!this.pending.unsynced) return
    this.#syncTimer ??= this.#o.clock.after(SYNC_INTERVAL, () => {
      this.#syncTimer = null
      this.#syncDue = true
      this.urgent()
    })
  }

  #reach(written: number): void {
    if (written <= this.written) return
    this.written = written
    notify(this.listeners.written, written)
  }

  /** The disk failed: what is not known to be durable goes to a new segment, later. */
  async #fail(error: unknown): Promise<void> {
    const { clock, onTrouble } = this.#o
    this.pending.undone()
    await this.tail.abandon()
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
}
