/**
 * Reads records in order, across segments and past damage, beside a writer that appends, starts anew after trouble and
 * deletes from the front. It believes no file beyond `limit` and beyond where the next segment begins.
 */
import type { Damage } from './damage.ts'
import type { Files, ReadableFile } from './files.ts'
import { type Identity, recordBounds } from './format.ts'
import { rawBody } from './frame.ts'
import { nextScanned, type ScannedDamage, type ScannedFrame, Scanner } from './scan.ts'
import { notePlace, placeOf, type Segment, type Segments } from './segments.ts'

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
  /** The first record of their frame, also when it was not asked for: those that follow it may refer to it. */
  readonly opening: Buffer
}

export interface ReadOptions {
  /** Waits for more at the end, until aborted. */
  readonly follow?: AbortSignal
}

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

interface Stretch {
  readonly offset: number
  readonly end: number
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
  const { segments } = source
  const segment = segments.holding(position.next)
  if (segment === undefined) return
  const last = Math.min(limit, (segments.after(segment)?.first ?? Infinity) - 1)
  const end = segment.size
  const file = await fileOf(source.files, position, segment)
  const scanner = file && new Scanner(file, source.identity.seed, position.offset, end)
  let bad = null as Stretch | null
  while (scanner !== null && position.next <= last) {
    const scanned: ScannedFrame | ScannedDamage | null = await nextScanned(scanner)
    if (scanned === null) break
    const found = contentOf(scanned, position.next, last)
    if (found === 'beyond') break
    if (found === 'bad') {
      bad = { offset: bad?.offset ?? scanned.offset, end: scanned.end }
      continue
    }
    position.offset = scanned.end
    if (found === 'before') continue
    notePlace(segment, found.first, scanned.offset)
    if (found.first > position.next)
      lose(source, position, segment, bad ?? { offset: scanned.offset, end: scanned.offset }, found.first - 1)
    bad = null
    const { skipped } = position
    position.skipped = 0
    position.next = found.first + found.count
    yield { ...found, skipped }
  }
  // It is still kept, it should hold these numbers, and it does not.
  if (position.next <= last && segments.list.includes(segment)) {
    lose(source, position, segment, bad ?? { offset: position.offset, end: position.offset }, last)
  }
}

/** Passes over numbers up to `last`, which should be in `segment` and are not. */
function lose(source: ReadSource, position: Position, segment: Segment, where: Stretch, last: number): void {
  const bytes = where.end - where.offset
  source.damaged({ file: segment.path, offset: where.offset, bytes, firstLost: position.next, lastLost: last })
  skipTo(position, last + 1)
}

/** The segment's file, opened unless it is; null when that fails. */
async function fileOf(files: Files, position: Position, segment: Segment): Promise<ReadableFile | null> {
  if (position.segment === segment && position.file !== null) return position.file
  await position.file?.close().catch(() => undefined)
  position.file = null
  position.segment = segment
  position.offset = placeOf(segment, position.next)
  position.file = await files.open(segment.path).catch(() => null)
  return position.file
}

/** What a frame has from `from` on; null when that is nothing. */
export function batchOf(frame: ScannedFrame, from: number): Batch | null {
  const found = contentOf(frame, from, Infinity)
  return typeof found === 'string' ? null : { ...found, skipped: 0 }
}

type Content = Omit<Batch, 'skipped'>

/** What is to be yielded of it: records from `next` to `last`, none because it lies before or beyond, or none because it is bad. */
function contentOf(
  scanned: ScannedFrame | ScannedDamage,
  next: number,
  last: number,
): Content | 'before' | 'beyond' | 'bad' {
  if (scanned.kind === 'damage') return 'bad'
  const { head } = scanned
  const after = head.first + head.count
  if (after <= next) return 'before'
  if (head.first > last) return 'beyond'
  const body = rawBody(head, scanned.body)
  const bounds = body && recordBounds(body, head.count)
  if (!body || !bounds) return 'bad'
  const first = Math.max(head.first, next)
  const count = Math.min(after, last + 1) - first
  const within = bounds.subarray(2 * (first - head.first), 2 * (first - head.first + count))
  return { first, count, time: head.time, body, bounds: within, opening: body.subarray(bounds[0], bounds[1]) }
}
