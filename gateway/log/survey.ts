/** Everything there is to know of one segment file, without its records. */
import type { Files, ReadableFile } from './files.ts'
import {
  CLOSED,
  decodeSegmentHead,
  FRAME_HEAD,
  type FrameHead,
  type Identity,
  SEGMENT_HEAD,
  type SegmentHead,
} from './format.ts'
import { nextScanned, type ScannedDamage, type ScannedFrame, Scanner } from './scan.ts'

export interface SurveyedFrame {
  readonly kind: 'frame'
  readonly offset: number
  readonly end: number
  readonly head: FrameHead
}

/** Zeros that were written ahead and are not all zero any more: no frame began there. */
export interface RottenZeros {
  readonly kind: 'rotten'
  readonly offset: number
  readonly end: number
}

export interface Survey {
  /** Null when it is not as it was written. */
  readonly head: SegmentHead | null
  /** Bytes of the head that are there. */
  readonly start: number
  /** The head was never written: missing, cut off, or zeros. */
  readonly blank: boolean
  readonly items: readonly (SurveyedFrame | ScannedDamage | RottenZeros)[]
  /** Where what was written ends, and the zeros ahead begin. */
  readonly end: number
  /** Highest number that a frame says was durable when it was made; 0 if none. */
  readonly witness: number
  /** Frames, in order, of which none says that they were durable: at most what is committed at once. */
  readonly unsure: readonly ScannedFrame[]
}

/** More bytes than this are no rot: they are the rest of a frame whose first sectors a power cut has kept from the disk. */
const MOST_ROT = 16
/** What a disk writes whole: the rest of such a frame begins with one. */
const SECTOR = 512

export async function survey(files: Files, path: string, size: number, identity: Identity): Promise<Survey> {
  const file = await files.open(path)
  try {
    const start = Buffer.alloc(SEGMENT_HEAD)
    // A head that cannot be read is as good as a damaged one.
    const taken = await file.read(start, 0, SEGMENT_HEAD, 0).catch(() => 1)
    const head = decodeSegmentHead(start)
    const blank = taken === 0 || (taken >= SEGMENT_HEAD ? start.every((byte) => byte === 0) : size < SEGMENT_HEAD)
    const scanner = new Scanner(file, identity.seed, SEGMENT_HEAD, size)
    const items: (SurveyedFrame | ScannedDamage | RottenZeros)[] = []
    let witness = 0
    let unsure: ScannedFrame[] = []
    for (;;) {
      const scanned = await nextScanned(scanner)
      if (scanned === null) break
      const heads = scanned.kind === 'frame' ? [scanned.head] : scanned.heads
      for (const { first, unsynced } of heads) witness = Math.max(witness, first - 1 - unsynced)
      if (scanned.kind === 'frame') {
        // The body is let go: a segment's frames are many.
        items.push({ kind: 'frame', offset: scanned.offset, end: scanned.end, head: scanned.head })
        if ((scanned.head.flags & CLOSED) === 0) unsure.push(scanned)
        else unsure = []
        if (unsure.length > 0)
          unsure = unsure.filter(({ head: { first, count } }) => first + Math.max(0, count - 1) > witness)
      } else items.push(scanned)
    }
    const end = await lookAtEnd(file, items, size)
    return { head, start: Math.min(size, SEGMENT_HEAD), blank, items, end, witness, unsure }
  } finally {
    await file.close()
  }
}

/** What stands behind the last frame: nothing when it is the zeros that were written ahead. @returns where they begin */
async function lookAtEnd(file: ReadableFile, items: Survey['items'][number][], size: number): Promise<number> {
  const last = items.at(-1)
  if (last?.kind !== 'damage' || last.end !== size || last.heads.length > 0) return size
  const bytes = Buffer.alloc(last.end - last.offset)
  const taken = await file.read(bytes, 0, bytes.length, last.offset).catch(() => 0)
  const first = bytes.findIndex((byte) => byte !== 0)
  const rot = bytes.reduce((count, byte) => (byte === 0 ? count : count + 1), 0)
  if (taken < bytes.length || (rot > 0 && !isRot(rot, first, last.offset))) return size
  items.pop()
  if (rot > 0) items.push({ kind: 'rotten', offset: last.offset, end: last.end })
  return last.offset
}

/**
 * Whether `rot` bytes that are not zero, the first of them `first` bytes behind the last frame, which ends at `offset`,
 * are changed zeros, and not what a power cut has left of a commit.
 *
 * One byte alone is: a frame begins with four. (Two exceptions are not worth a false alarm or its lack: the first byte
 * may be all of a head that its sector had room for, and is taken for that; one frame in 512 ends with a single byte in
 * its last sector, and when a power cut has kept all its others from the disk it is taken for rot, which costs nothing.)
 */
function isRot(rot: number, first: number, offset: number): boolean {
  if (rot === 1) return first > 0
  return rot <= MOST_ROT && first >= FRAME_HEAD && (offset + first) % SECTOR >= MOST_ROT
}
