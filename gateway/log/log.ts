/**
 * The durable log: numbered records, appended in memory, committed in groups, read back in order, deleted by whole
 * segments. Journal and outbox are made of it.
 *
 *     reserve ─▶ frame ─▶ segment file ─▶ fdatasync ─▶ durable ─▶ read
 *
 * What it promises
 *
 * 1. Records are numbered from 1 without holes. A number is given once; what `durable` covers survives kill -9 and a
 *    power cut, as far as the disk keeps its word about fdatasync.
 * 2. What a crash leaves is a prefix of what was appended, and all that was durable. A commit that was torn is cut off
 *    whole: nobody was told of it. (`written` alone survives kill -9 but not a power cut.)
 * 3. Every stored byte is under a CRC-32. A damaged frame costs its own records, never a neighbour's; readers go on
 *    after it and say which numbers were lost.
 * 4. Opening reads the newest segment, however much there is. Written bytes are never changed, only cut off or deleted.
 * 5. A disk that fails is a state, `trouble`, never an exception: appends go on into a bounded buffer, the log tries
 *    again every second, and a descriptor that failed once is not used again.
 * 6. Memory: at most `maxBuffer` not yet durable, and a chunk per reader.
 *
 * What it cannot do
 *
 * - Tell a torn write from a flipped bit in the last commit before a crash: both are cut off. A frame says how far the
 *   log was durable when it was made, and closing writes one that says so of everything; after that, damage is damage.
 *   Whoever told others of a number passes it as `floor` when opening, and it is not given twice.
 * - Detect deliberate forgery: a CRC is no signature.
 * - Notice that its directory was moved away (deleted: noticed at the next commit, which goes to a new directory).
 *
 * Recovery reads the newest segment that has a sound frame. A bad stretch of which a later frame or segment says that
 * it was durable is damage: skipped, reported, numbers not reused. Any other is a torn write: the file ends there.
 * Sound frames of which nobody says so are written again, to a new segment: after a failed fdatasync the kernel shows
 * bytes that the disk never took, and a process that comes later is not told.
 *
 * Layout in `format.ts`. The ideas are older: frames found again by marker and CRC as in Ogg (RFC 3533), records in
 * segments deleted whole as in Kafka's log, "fsync failed, so start anew" after Rebello et al., "Can applications
 * recover from fsync failures?" (USENIX ATC 2020).
 */
import type { Clock } from '../clock.ts'
import { type Damage, oncePerPlace, type Torn } from './damage.ts'
import type { Files } from './files.ts'
import { type Batch, batchOf, type ReadOptions, readLog } from './reader.ts'
import { recover } from './recovery.ts'
import { createRetention, type Dropped, type Retention } from './retention.ts'
import { type Trouble, Writer } from './writer.ts'

export type { Damage, Torn } from './damage.ts'
export type { Batch, ReadOptions } from './reader.ts'
export type { Dropped, Retention } from './retention.ts'
export type { Trouble } from './writer.ts'

export interface LogOptions {
  readonly directory: string
  readonly files: Files
  readonly clock: Clock
  /** A segment is left for the next at this size, bytes. Default 8 MB. */
  readonly segmentBytes?: number
  /** Deflate frames, and keep the result when it is smaller. Default false. */
  readonly compress?: boolean
  readonly commit?: {
    /** A record waits at most this long for its commit, ms. Default 20. */
    readonly interval?: number
    /** Commit when this much waits, bytes. Default 1 MB. */
    readonly bytes?: number
    /** Commit as soon as the disk is idle and a record waits that is not lazy. Default false. */
    readonly eager?: boolean
  }
  /** `interval`: every record is lazy. Default `fsync`. */
  readonly sync?: 'fsync' | 'interval'
  /** Most that may be appended and not yet durable, bytes. Default 16 MB. */
  readonly maxBuffer?: number
  /** Numbers below are not given again, whatever the files say: others were told of them. */
  readonly floor?: number
  /** The disk fails, fails in another way, or works again (null). */
  readonly onTrouble?: (trouble: Trouble | null) => void
  /** Called once for each damaged stretch, when it is come across. */
  readonly onDamage?: (damage: Damage) => void
}

/** Where something keeps a log of its own, and who hears of its disk. */
export type LogPlace = Pick<LogOptions, 'directory' | 'files' | 'clock'> &
  Required<Pick<LogOptions, 'onTrouble' | 'onDamage'>>

export interface Log {
  /** 16 hexadecimal digits, made when the log was created anew. */
  readonly epoch: string
  /** Oldest number kept; equals `next` when there is none. */
  readonly first: number
  /** The next append's number. */
  readonly next: number
  /** Highest number that survives a power cut; 0 if none. */
  readonly durable: number
  /** Highest number that the kernel has: it survives a crash of this process. */
  readonly written: number
  /** Highest mark that is durable; 0 if none. */
  readonly marked: number
  /** Lowest number that `marked` does not cover. */
  readonly unmarked: number
  /** Bytes of all segment files. */
  readonly bytes: number
  /** Bytes appended and not yet durable. */
  readonly pendingBytes: number
  /** Half of the buffer is free. */
  readonly roomy: boolean
  /** Wall clock when the oldest kept segment was begun, ms since the epoch; undefined when nothing is kept. */
  readonly oldestTime: number | undefined
  /** Null while the disk works. */
  readonly trouble: Trouble | null
  /** What opening cut off. */
  readonly torn: Torn | null
  /** Bytes given to the disk since the log was opened, and how often it was asked to sync. */
  readonly bytesWritten: number
  readonly syncs: number

  /** Where `reserve` makes room; may be another one after each call. */
  readonly buffer: Buffer
  /** Number of the first record of the frame that one of `length` bytes would join; `next` when it would begin one. */
  opening(length: number): number
  /**
   * Room for one record of `length` bytes: it must be written to `buffer` at the offset returned, in this turn of the
   * event loop. Its number is `next` before the call. -1 when the buffer is full.
   *
   * @param lazy nobody waits for it: written with the next commit, synced within a second
   */
  reserve(length: number, lazy?: boolean): number
  /** A copy of `record`; its number, or -1 when the buffer is full. */
  append(record: Uint8Array, lazy?: boolean): number
  /** Kept with the records appended so far, and those only. Marks never fall; 0 is none. */
  mark(value: number): void
  /** Somebody waits until the kernel has what was appended so far: where commits are eager, after 2 ms. */
  writeSoon(): void
  /** Commit at the end of this turn of the event loop, or when the commit that is under way is done. */
  urgent(): void
  /** Resolves when all that was appended and marked is durable: while the disk is in trouble, not before it works again. */
  flush(): Promise<void>
  onDurable(listener: (durable: number) => void): void
  onWritten(listener: (written: number) => void): void
  /** Called when `reserve` has refused and there is room again. */
  onRoom(listener: () => void): void
  /** What is durable, from `from` on, in order, a frame at a time. Safe beside appends, trims and trouble. */
  read(from: number, options?: ReadOptions): AsyncGenerator<Batch, void, void>
  /** What opening found from `from` on and could not make durable yet, the disk being in trouble: in memory, in order. */
  undecided(from: number): Batch[]
  /** Deletes segments all of whose records are below `number`. What is deleted is gone from the log at once, from the disk when it resolves. */
  trimTo(number: number): Promise<void>
  /** End (first number after) and bytes of the oldest segment that may be deleted, or null. */
  oldestUnit(): { readonly end: number; readonly bytes: number } | null
  /** Deletes the oldest segments while a limit is exceeded. After a crash they may be there again. */
  retain(retention: Retention): Promise<Dropped | null>
  /** Commits, then closes. When the disk fails, what is not durable is lost: compare `durable` with `next`. */
  close(): Promise<void>
}

const MB = 1024 * 1024

/** @throws StartError SLUICE_NEWER_DATA when the log was written by a newer Sluice */
export async function openLog(options: LogOptions): Promise<Log> {
  const { directory, files, clock, commit = {}, onDamage = () => undefined, onTrouble = () => undefined } = options
  const damaged = oncePerPlace(onDamage)
  const recovered = await recover({ directory, files, floor: options.floor ?? 1, damaged })
  const { identity, segments } = recovered
  const writer = new Writer({
    ...recovered,
    directory,
    files,
    clock,
    segmentBytes: options.segmentBytes ?? 8 * MB,
    compress: options.compress ?? false,
    interval: commit.interval ?? 20,
    bytes: commit.bytes ?? MB,
    eager: commit.eager ?? false,
    lazy: options.sync === 'interval',
    maxBuffer: options.maxBuffer ?? 16 * MB,
    onTrouble,
  })
  await writer.open()
  const undecided = recovered.unsure.filter(({ head }) => head.first + head.count - 1 > writer.durable)
  const retention = createRetention({ files, clock, directory, segments, durable: () => writer.durable })
  await retention.describeOldest()
  const source = {
    files,
    identity,
    segments,
    damaged,
    limit: () => writer.durable,
    changed: (signal: AbortSignal) => writer.durableBeyond(writer.durable, signal),
  }
  const { pending, tail, listeners } = writer
  return {
    epoch: identity.epoch,
    torn: recovered.torn,
    get first() {
      return segments.oldest?.first ?? writer.durable + 1
    },
    get next() {
      return pending.next
    },
    get durable() {
      return writer.durable
    },
    get written() {
      return writer.written
    },
    get marked() {
      return writer.marked
    },
    get unmarked() {
      return writer.markedTo
    },
    get bytes() {
      return segments.bytes
    },
    get pendingBytes() {
      return pending.bytes
    },
    get roomy() {
      return pending.roomy
    },
    get oldestTime() {
      return segments.oldest?.time
    },
    get trouble() {
      return writer.trouble
    },
    get bytesWritten() {
      return tail.bytesWritten
    },
    get syncs() {
      return tail.syncs
    },
    get buffer() {
      return pending.buffer
    },
    opening: (length) => pending.opening(length),
    reserve: (length, lazy = false) => writer.reserve(length, lazy),
    append(record, lazy = false) {
      const number = pending.next
      const at = writer.reserve(record.length, lazy)
      if (at < 0) return -1
      pending.buffer.set(record, at)
      return number
    },
    mark: (value) => pending.setMark(value),
    writeSoon: () => writer.writeSoon(),
    urgent: () => writer.urgent(),
    flush: () => writer.flush(),
    onDurable: (listener) => void listeners.durable.push(listener),
    onWritten: (listener) => void listeners.written.push(listener),
    onRoom: (listener) => void listeners.room.push(listener),
    read: (from, read = {}) => readLog(source, from, read),
    undecided: (from) => undecided.flatMap((frame) => batchOf(frame, from) ?? []),
    trimTo: (number) => retention.trimTo(number),
    oldestUnit: () => retention.oldestUnit(),
    retain: (limits) => retention.retain(limits),
    close: () => writer.close(),
  }
}
