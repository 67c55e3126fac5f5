/**
 * Reads records in order, across segments and past damage, beside a writer that appends, starts anew after trouble and
 * deletes from the front. It believes no file beyond `limit` and beyond where the next segment begins.
 */
import type { Files, ReadableFile } from './files.ts'
import { type Identity, recordBounds } from './format.ts'
import { rawBody } from './frame.ts'
import type { Batch, Damage, ReadOptions } from './log.ts'
import { nextScanned, type ScannedFrame, Scanner } from './scan.ts'
import { notePlace, placeOf, type Segment, type Segments } from './segments.ts'

export interface ReadSource {
  readonly files: Files
  readonly identity: Identity
  readonly segments: Segments
  /** Highest number that may be read. */
  limit(): number
  /** Resolves when `limit` has risen, or the signal is aborted. */
  changed(signal: AbortSignal): Promise<void>
  damaged(damage: Damage): void
}

interface Position {
  /** The next number to be yielded. */
  next: number
  /** Numbers passed over since the last batch. */
  skipped: number
  segment: Segment | null
  file: ReadableFile | null
  /** Where the frame begins that holds `next`, or one before it. */
  offset: number
}

export async function* readLog(
  source: ReadSource,
  from: number,
  options: ReadOptions,
): AsyncGenerator<Batch, void, void> {
  const position: Position = { next: Math.max(1, from), skipped: 0, segment: null, file: null, offset: 0 }
  try {
    for (;;) {
      const limit = source.limit()
      const oldest = source.segments.oldest?.first ?? limit + 1
      if (position.next < oldest) skipTo(position, oldest)
      if (position.next <= limit) yield* readSegment(source, position, limit)
      else if (options.follow === undefined || options.follow.aborted) return
      else await source.changed(options.follow)
    }
  } finally {
    await position.file?.close().catch(() => undefined)
  }
}

function skipTo(position: Position, number: number): void {
  position.skipped += number - position.next
  position.next = number
}

/** Yields what the segment that holds the position has, up to `limit`, and leaves the position after it. */
async function* readSegment(source: ReadSource, position: Position, limit: number): AsyncGenerator<Batch, void, void> {
  const { segments, damaged } = source
  const segment = segments.holding(position.next)
  if (segment === undefined) return
  const following = segments.after(segment)
  const last = Math.min(limit, (following?.first ?? Infinity) - 1)
  const end = segment.size
  if (!(await moveTo(source.files, position, segment))) {
    if (!segments.list.includes(segment)) return
    damaged({ file: segment.path, offset: 0, bytes: end, firstLost: position.next, lastLost: last })
    skipTo(position, last + 1)
    return
  }
  const scanner = new Scanner(position.file as ReadableFile, source.identity.seed, position.offset, end)
  let badAt = -1
  let badBytes = 0
  while (position.next <= last) {
    const scanned = await nextScanned(scanner)
    if (scanned === null) break
    const batch = scanned.kind === 'frame' ? batchOf(scanned, position, last) : null
    if (batch === null && (scanned.kind === 'damage' || scanned.head.first + scanned.head.count > position.next)) {
      if (badAt < 0) badAt = scanned.offset
      badBytes += scanned.end - scanned.offset
      continue
    }
    position.offset = scanner.offset
    if (scanned.kind === 'frame') notePlace(segment, scanned.head.first, scanned.offset)
    if (batch === null) continue
    if (batch.first > position.next) {
      const lost = { firstLost: position.next, lastLost: batch.first - 1 }
      damaged({ file: segment.path, offset: badAt < 0 ? scanned.offset : badAt, bytes: badBytes, ...lost })
      skipTo(position, batch.first)
    }
    badAt = -1
    badBytes = 0
    const { skipped } = position
    position.skipped = 0
    position.next = batch.first + batch.count
    yield { ...batch, skipped }
  }
  // It is still kept, it should hold these numbers, and it does not.
  if (position.next <= last && segments.list.includes(segment)) {
    const offset = badAt < 0 ? scanner.offset : badAt
    damaged({ file: segment.path, offset, bytes: badBytes, firstLost: position.next, lastLost: last })
    skipTo(position, last + 1)
  }
}

/** Opens the segment's file unless it is open. False when it is not there. */
async function moveTo(files: Files, position: Position, segment: Segment): Promise<boolean> {
  if (position.segment === segment && position.file !== null) return true
  await position.file?.close().catch(() => undefined)
  position.file = null
  position.segment = segment
  position.offset = placeOf(segment, position.next)
  try {
    position.file = await files.open(segment.path)
    return true
  } catch {
    return false
  }
}

/** The frame's records that are still to be yielded and allowed; null when there are none, or they cannot be told apart. */
function batchOf(frame: ScannedFrame, position: Position, last: number): Omit<Batch, 'skipped'> | null {
  const { head } = frame
  const from = Math.max(head.first, position.next)
  const to = Math.min(head.first + head.count - 1, last)
  if (from > to) return null
  const body = rawBody(head, frame.body)
  const bounds = body && recordBounds(body, head.count)
  if (!body || !bounds) return null
  const within = bounds.subarray(2 * (from - head.first), 2 * (to - head.first + 1))
  return { first: from, count: to - from + 1, time: head.time, body, bounds: within }
}
