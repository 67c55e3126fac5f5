/** Everything there is to know of one segment file, without its records. */
import type { Files } from './files.ts'
import { CLOSED, decodeSegmentHead, type FrameHead, type Identity, SEGMENT_HEAD, type SegmentHead } from './format.ts'
import { nextScanned, type ScannedDamage, type ScannedFrame, Scanner } from './scan.ts'

export interface SurveyedFrame {
  readonly kind: 'frame'
  readonly offset: number
  readonly end: number
  readonly head: FrameHead
}

export interface Survey {
  /** Null when it is not as it was written. */
  readonly head: SegmentHead | null
  /** Bytes of the head that are there. */
  readonly start: number
  /** The head was never written: missing, cut off, or zeros. */
  readonly blank: boolean
  readonly items: readonly (SurveyedFrame | ScannedDamage)[]
  /** Highest number that a frame says was durable when it was made; 0 if none. */
  readonly witness: number
  /** Frames, in order, of which none says that they were durable: at most what is committed at once. */
  readonly unsure: readonly ScannedFrame[]
}

export async function survey(files: Files, path: string, size: number, identity: Identity): Promise<Survey> {
  const file = await files.open(path)
  try {
    const start = Buffer.alloc(SEGMENT_HEAD)
    // A head that cannot be read is as good as a damaged one.
    const taken = await file.read(start, 0, SEGMENT_HEAD, 0).catch(() => 1)
    const head = decodeSegmentHead(start)
    const blank = taken === 0 || (taken >= SEGMENT_HEAD ? start.every((byte) => byte === 0) : size < SEGMENT_HEAD)
    const scanner = new Scanner(file, identity.seed, SEGMENT_HEAD, size)
    const items: (SurveyedFrame | ScannedDamage)[] = []
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
    return { head, start: Math.min(size, SEGMENT_HEAD), blank, items, witness, unsure }
  } finally {
    await file.close()
  }
}
