/**
 * The end of the log on disk: the segment file that grows.
 *
 *      | head | frame | frame | frame | 0 0 0 0 0 0 |
 *                             ▲       ▲             ▲
 *                        durable   size         allocated
 *
 * - After a failed write or fdatasync nothing is known of what that descriptor wrote since the last good fdatasync
 *   (Linux marks the pages clean and forgets them). So the file is given up from `durable` on, its descriptor closed,
 *   and what is still in memory goes to a new segment. What the kernel shows of the given up part stays until the new
 *   segment is durable; reading does not look at it, because a segment ends where the next begins.
 * - Where little is written at once, zeros go ahead of it. To append to a file, the file system must allocate blocks and
 *   journal that, five blocks of its own for one of ours (ext4); to write over zeros it need not. Zeros at the end of a
 *   file are no frame and no damage. A segment that is left, and a log that is closed, is cut to its size.
 */
import { join } from 'node:path'
import { codeOf, type Files, replaceSmall, type WritableFile } from './files.ts'
import {
  AFTER_TROUBLE,
  encodeIdentity,
  encodeSegmentHead,
  IDENTITY_FILE,
  type Identity,
  SEGMENT_HEAD,
} from './format.ts'
import type { Frame } from './frame.ts'
import { createSegment, notePlace, type Segment, type Segments } from './segments.ts'

/** Zeros written ahead, bytes; to the end of a block. */
const AHEAD = 65_536
const BLOCK = 4096
/** Only where writes are smaller than this: a larger one pays for its blocks by itself. */
const SMALL = 8192
const ZEROS = Buffer.alloc(AHEAD)

export interface TailOptions {
  readonly directory: string
  readonly files: Files
  readonly identity: Identity
  readonly segments: Segments
  readonly segmentBytes: number
  /** The directory holds the identity. */
  readonly identityKept: boolean
  /** The newest segment that was found, also when it was empty or set aside. */
  readonly named: { readonly first: number; readonly attempt: number }
}

export class Tail {
  /** Bytes handed to the disk since the log was opened. */
  bytesWritten = 0
  /** Calls of fdatasync since the log was opened. */
  syncs = 0
  readonly #o: TailOptions
  #file: WritableFile | null = null
  #segment: Segment | null = null
  /** Bytes of the segment that are durable. */
  #durable = 0
  /** Bytes of the file, with the zeros ahead. */
  #allocated = 0
  /** Bytes of the write before: one small write among large ones does not pay for zeros. */
  #before = 0
  /** The disk failed and has not taken anything since. */
  #cautious = false
  /** The newest segment that ever was. */
  #named: { readonly first: number; readonly attempt: number }
  #identityKept: boolean
  /** Files that are longer than what counts of them, and that length; 0 is none of it. */
  readonly #residue: { readonly path: string; readonly size: number }[] = []

  constructor(options: TailOptions) {
    this.#o = options
    this.#named = options.named
    this.#identityKept = options.identityKept
  }

  get isOpen(): boolean {
    return this.#file !== null
  }

  /** It is as large as a segment should be: the next frame belongs into the next. */
  get full(): boolean {
    return this.#segment !== null && this.#segment.size >= this.#o.segmentBytes
  }

  /** Writes sealed frames, in a new segment if none is open. */
  async write(frames: readonly Frame[]): Promise<void> {
    const segment = this.#segment ?? (await this.#begin(frames[0] as Frame))
    const parts = frames.flatMap((frame) => frame.parts ?? [])
    const fresh = segment.size === 0
    // The head goes with the first frames: one write, one block.
    if (fresh) parts.unshift(this.#head(segment))
    const size = parts.reduce((sum, part) => sum + part.length, 0)
    const end = segment.size + size
    const ahead = end > this.#allocated && Math.max(size, this.#before) < SMALL ? this.#ahead(end) : 0
    this.#before = size
    if (ahead > 0) parts.push(ZEROS.subarray(0, ahead))
    await (this.#file as WritableFile).write(parts, segment.size)
    this.#allocated = Math.max(this.#allocated, end + ahead)
    this.bytesWritten += size + ahead
    this.#grow(segment, frames)
  }

  /** Everything written becomes durable. Only then what trouble left behind is cut off. */
  async sync(): Promise<void> {
    const segment = this.#segment as Segment
    const file = this.#file as WritableFile
    await file.sync()
    if (!file.linked()) throw Object.assign(new Error('the segment was deleted underneath'), { code: 'ENOENT' })
    const fresh = this.#durable === 0
    if (fresh) await this.#o.files.syncDirectory(this.#o.directory)
    this.syncs++
    this.#durable = segment.size
    this.#cautious = false
    if (fresh) await this.tidy()
  }

  /** Leaves the segment, all of which is durable; the next frame begins another. */
  async leave(): Promise<void> {
    const file = this.#file
    const segment = this.#segment
    this.#file = null
    this.#segment = null
    await file?.close().catch(() => undefined)
    if (segment === null || this.#allocated <= segment.size) return
    this.#residue.push({ path: segment.path, size: segment.size })
    await this.tidy()
  }

  /** The disk failed: gives up the segment, down to what of it is durable. */
  async abandon(): Promise<void> {
    const { directory, files, segments } = this.#o
    const segment = this.#segment
    const file = this.#file
    this.#identityKept = false
    this.#cautious = true
    this.#segment = null
    this.#file = null
    await file?.close().catch(() => undefined)
    if (segment === null) return
    if (segment.size > 0) {
      this.giveUp(segment, this.#durable)
      return
    }
    segments.remove(segment)
    await files.remove(segment.path).catch(() => undefined)
    // Or a power cut brings it back, with numbers that the next process has given to others.
    await files.syncDirectory(directory).catch(() => undefined)
  }

  /** Only `size` bytes of a segment count from now on. The kernel may have the rest: it stays until it is written again. */
  giveUp(segment: Segment, size: number): void {
    const { segments } = this.#o
    if (size > 0) segments.shrink(segment, size)
    else segments.remove(segment)
    this.#residue.push({ path: segment.path, size })
  }

  /** Cuts off what does not count. Nothing depends on it: what cannot be cut off now is tried again later. */
  async tidy(): Promise<void> {
    const { files } = this.#o
    for (const residue of this.#residue.splice(0)) {
      const { path, size } = residue
      const code = await (size > 0 ? files.truncate(path, size) : files.remove(path)).then(() => null, codeOf)
      if (code !== null && code !== 'ENOENT') this.#residue.push(residue)
    }
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
      this.#durable = 0
      this.#allocated = 0
      segments.add(segment)
      return segment
    }
  }

  /** How many zeros follow what ends at `end`. None while the disk is in trouble: it may be full. */
  #ahead(end: number): number {
    const room = Math.min(AHEAD, this.#o.segmentBytes - end)
    return this.#cautious || room <= 0 ? 0 : Math.max(0, room - ((end + room) % BLOCK))
  }

  #head({ first, time = 0 }: Segment): Buffer {
    const flags = this.#residue.length > 0 ? AFTER_TROUBLE : 0
    return encodeSegmentHead({ identity: this.#o.identity, first, time, flags })
  }

  #grow(segment: Segment, frames: readonly Frame[]): void {
    const { segments } = this.#o
    if (segment.size === 0) segments.grow(segment, SEGMENT_HEAD)
    for (const frame of frames) {
      notePlace(segment, frame.first, segment.size)
      segments.grow(segment, frame.size)
    }
  }

  async #keepIdentity(): Promise<void> {
    await replaceSmall(this.#o.files, join(this.#o.directory, IDENTITY_FILE), encodeIdentity(this.#o.identity))
    this.#identityKept = true
  }
}
