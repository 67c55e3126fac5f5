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
import type { Files } from './files.ts'
import { batchOf, readLog } from './reader.ts'
import { recover } from './recovery.ts'
import { createRetention } from './retention.ts'
import { Writer } from './writer.ts'

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

/** Why commits fail. */
export interface Trouble {
  /** The system's: ENOSPC, EIO, EROFS, ENOENT … */
  readonly code: string
  readonly message: string
  /** Wall clock when it began, ms since the epoch. */
  readonly since: number
  readonly attempts: number
}

/** Bytes that are not what was written. */
export interface Damage {
  readonly file: string
  readonly offset: number
  readonly bytes: number
  /** Numbers lost with it, if any. */
  readonly firstLost?: number
  readonly lastLost?: number
}

/** What recovery cut off: a commit that was not finished. */
export interface Torn {
  readonly file: string
  readonly offset: number
  readonly bytes: number
}

/** Some records in a row. */
export interface Batch {
  /** Number of the first. */
  readonly first: number
  readonly count: number
  /** Wall clock when the first record of their frame came, ms since the epoch. */
  readonly time: number
  /** Numbers right before `first` that were asked for and are not kept: deleted or damaged. */
  readonly skipped: number
  /** Record i is body[bounds[2i], bounds[2i + 1]). Memory of its own: it stays valid as long as it is held. */
  readonly body: Buffer
  readonly bounds: Uint32Array
}

export interface ReadOptions {
  /** Waits for more at the end, until aborted. */
  readonly follow?: AbortSignal
}

export interface Dropped {
  readonly first: number
  readonly last: number
  readonly count: number
  readonly bytes: number
  /** Wall clock from the first record to the segment after the last, ms since the epoch. */
  readonly from: number
  readonly to: number
}

export interface Retention {
  /** Drop while the log is larger, bytes. */
  readonly maxBytes?: number
  /** Drop what is older, ms. */
  readonly maxAge?: number
  /** Nothing at or above this number. */
  readonly keepFrom?: number
}

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

/** @throws StartError SLUICE_LOG_VERSION when the log was written by a newer Sluice */
export async function openLog(options: LogOptions): Promise<Log> {
  const { directory, files, clock, commit = {}, onDamage = () => undefined, onTrouble = () => undefined } = options
  const damaged = oncePerPlace(onDamage)
  const recovered = await recover({ directory, files, floor: options.floor ?? 1, damaged })
  const { identity, segments } = recovered
  const writer = new Writer({
    directory,
    files,
    clock,
    identity,
    segments,
    segmentBytes: options.segmentBytes ?? 8 * MB,
    compress: options.compress ?? false,
    interval: commit.interval ?? 20,
    bytes: commit.bytes ?? MB,
    eager: commit.eager ?? false,
    lazy: options.sync === 'interval',
    maxBuffer: options.maxBuffer ?? 16 * MB,
    onTrouble,
    next: recovered.next,
    mark: recovered.mark,
    markedTo: recovered.markedTo,
    identityKept: recovered.identityKept,
    named: recovered.named,
    unsure: recovered.unsure,
    soundTo: recovered.torn?.offset ?? Infinity,
  })
  await writer.open()
  const undecided = recovered.unsure.filter(({ head }) => head.first + head.count - 1 > writer.durable)
  const retention = createRetention({ files, clock, directory, segments })
  await retention.describeOldest()
  const source = {
    files,
    identity,
    segments,
    damaged,
    limit: () => writer.durable,
    changed: (signal: AbortSignal) => writer.durableBeyond(writer.durable, signal),
  }
  return {
    epoch: identity.epoch,
    torn: recovered.torn,
    get first() {
      return segments.oldest?.first ?? writer.durable + 1
    },
    get next() {
      return writer.next
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
      return writer.pendingBytes
    },
    get roomy() {
      return writer.roomy
    },
    get oldestTime() {
      return segments.oldest?.time
    },
    get trouble() {
      return writer.trouble
    },
    get bytesWritten() {
      return writer.bytesWritten
    },
    get syncs() {
      return writer.syncs
    },
    get buffer() {
      return writer.buffer
    },
    reserve: (length, lazy = false) => writer.reserve(length, lazy),
    append(record, lazy = false) {
      const number = writer.next
      const at = writer.reserve(record.length, lazy)
      if (at < 0) return -1
      writer.buffer.set(record, at)
      return number
    },
    mark: (value) => writer.mark(value),
    urgent: () => writer.urgent(),
    flush: () => writer.flush(),
    onDurable: (listener) => void writer.durableListeners.push(listener),
    onWritten: (listener) => void writer.writtenListeners.push(listener),
    onRoom: (listener) => void writer.roomListeners.push(listener),
    read: (from, read = {}) => readLog(source, from, read),
    undecided: (from) => undecided.flatMap((frame) => batchOf(frame, from) ?? []),
    trimTo: (number) => retention.trimTo(number),
    oldestUnit: () => retention.oldestUnit(),
    retain: (limits) => retention.retain(limits),
    close: () => writer.close(),
  }
}

/** Reports a stretch once, however many readers come across it. */
function oncePerPlace(report: (damage: Damage) => void): (damage: Damage) => void {
  const reported = new Set<string>()
  return (damage) => {
    const place = `${damage.file}:${damage.offset}`
    if (reported.has(place)) return
    reported.add(place)
    report(damage)
  }
}
