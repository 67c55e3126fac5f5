/**
 * Deletes whole segments from the front. One stays until the next has a record that is durable: the newest durable frame
 * holds the mark, and a power cut may leave nothing of a segment that was never synced.
 */
import type { Clock } from '../clock.ts'
import { codeOf, type Files, readSmall } from './files.ts'
import { decodeSegmentHead, SEGMENT_HEAD } from './format.ts'
import type { Segment, Segments } from './segments.ts'

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

export interface RetentionParts {
  readonly files: Files
  readonly clock: Clock
  readonly directory: string
  readonly segments: Segments
  /** The last record that is durable. */
  readonly durable: () => number
}

export interface SegmentRetention {
  trimTo(number: number): Promise<void>
  oldestUnit(): { readonly end: number; readonly bytes: number } | null
  retain(limits: Retention): Promise<Dropped | null>
  /** Looks up when the oldest segment was begun. */
  describeOldest(): Promise<void>
}

export function createRetention({ files, clock, directory, segments, durable }: RetentionParts): SegmentRetention {
  const describe = async (segment: Segment): Promise<number> => {
    if (segment.time === undefined) segment.time = await timeOf(files, segment)
    return segment.time
  }
  const describeOldest = async () => {
    if (segments.oldest) await describe(segments.oldest)
  }
  const below = (number: number) => segments.below(Math.min(number, durable()))
  /** Gone from the log, not yet from the disk. */
  const doomed: Segment[] = []
  const deleteDoomed = async () => {
    let deleted = false
    for (let oldest = doomed[0]; oldest !== undefined; oldest = doomed[0]) {
      const code = await files.remove(oldest.path).then(() => null, codeOf)
      // In order, so that a log opened later finds no hole: the rest waits until this one goes.
      if (code !== null && code !== 'ENOENT') break
      doomed.shift()
      deleted = true
    }
    if (deleted) await files.syncDirectory(directory).catch(() => undefined)
  }
  let last: Promise<void> = Promise.resolve()
  const remove = async (gone: readonly Segment[]) => {
    if (gone.length === 0 && doomed.length === 0) return
    for (const segment of gone) segments.remove(segment)
    doomed.push(...gone)
    last = last.then(deleteDoomed)
    await describeOldest()
    await last
  }
  return {
    describeOldest,
    trimTo: (number) => remove(below(number)),
    oldestUnit() {
      const [oldest, second] = segments.list
      return oldest && second ? { end: second.first, bytes: oldest.size } : null
    },
    async retain({ maxBytes = Infinity, maxAge = Infinity, keepFrom = Infinity }) {
      const gone: Segment[] = []
      let kept = segments.bytes
      let to = 0
      for (const segment of below(keepFrom)) {
        const following = segments.after(segment)
        if (following === undefined) break
        const end = await describe(following)
        if (kept <= maxBytes && clock.now() - end <= maxAge) break
        await describe(segment)
        gone.push(segment)
        kept -= segment.size
        to = end
      }
      const [oldest] = gone
      if (oldest === undefined) return null
      const last = (segments.after(gone.at(-1) as Segment)?.first ?? oldest.first) - 1
      const bytes = gone.reduce((sum, segment) => sum + segment.size, 0)
      await remove(gone)
      return { first: oldest.first, last, count: last - oldest.first + 1, bytes, from: oldest.time ?? to, to }
    },
  }
}

/** Wall clock when a segment was begun, ms; 0 when its head does not say. */
async function timeOf(files: Files, segment: Segment): Promise<number> {
  const bytes = await readSmall(files, segment.path, SEGMENT_HEAD).catch(() => null)
  return (bytes && decodeSegmentHead(bytes)?.time) ?? 0
}
