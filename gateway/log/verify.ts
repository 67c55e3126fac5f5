/** Looks a log over without changing a byte: what `sluice audit` knows of the disk, also while no gateway runs. */

import { join } from 'node:path'
import type { Damage, Torn } from './damage.ts'
import { type Files, readSmall } from './files.ts'
import {
  AFTER_TROUBLE,
  decodeIdentity,
  encodeIdentity,
  IDENTITY_FILE,
  newIdentity,
  type SegmentHead,
} from './format.ts'
import { type Batch, readLog } from './reader.ts'
import { judge, listQuarantined, recover } from './recovery.ts'
import { isRot } from './rot.ts'
import type { Segment } from './segments.ts'
import { type Survey, survey } from './survey.ts'

export interface LogReport {
  readonly epoch: string
  readonly segments: number
  readonly bytes: number
  /** Sound frames and the records in them. */
  readonly frames: number
  readonly records: number
  /** Oldest number kept, and the number after the newest; equal when nothing is kept. */
  readonly first: number
  readonly next: number
  readonly marked: number
  readonly unmarked: number
  /** Empty when every byte is as it was written. */
  readonly damage: readonly Damage[]
  /** Names of files that were moved away as unreadable. */
  readonly quarantined: readonly string[]
  /** A commit that a crash left unfinished; opening the log cuts it off. No damage. */
  readonly torn: Torn | null
}

export interface StoredLog {
  readonly epoch: string
  readonly first: number
  readonly next: number
  readonly marked: number
  readonly unmarked: number
  readonly bytes: number
  read(from: number): AsyncGenerator<Batch, void, void>
}

/** @param floor numbers below were given, whatever the files say */
export interface StoredOptions {
  readonly directory: string
  readonly files: Files
  readonly floor?: number
  readonly onDamage?: (damage: Damage) => void
}

/** Files that refuse to be changed: what recovery would mend stays as it is. */
export function readOnly(files: Files): Files {
  const refuse = () => Promise.reject(Object.assign(new Error('opened for reading only'), { code: 'EROFS' }))
  return {
    list: files.list,
    size: files.size,
    open: files.open,
    makeDirectory: refuse,
    create: refuse,
    edit: refuse,
    truncate: refuse,
    rename: refuse,
    remove: refuse,
    syncDirectory: refuse,
  }
}

/** A log for reading only, without a writer: all that is in its files. */
export async function openStored(options: StoredOptions): Promise<StoredLog> {
  const { directory, floor = 1, onDamage: damaged = () => undefined } = options
  const files = readOnly(options.files)
  const { identity, segments, next, mark, markedTo } = await recover({ directory, files, floor, damaged })
  const source = { files, identity, segments, damaged, limit: () => next - 1, changed: () => Promise.resolve() }
  return {
    epoch: identity.epoch,
    first: segments.oldest?.first ?? next,
    next,
    marked: mark,
    unmarked: markedTo,
    bytes: segments.bytes,
    read: (from) => readLog(source, from, {}),
  }
}

/** Reads every byte of a log. Memory stays bounded by one segment's frame heads. */
export async function verifyLog(options: StoredOptions): Promise<LogReport> {
  const { directory, floor = 1 } = options
  const files = readOnly(options.files)
  const damage: Damage[] = []
  const report = (found: Damage) => {
    damage.push(found)
    options.onDamage?.(found)
  }
  const recovered = await recover({ directory, files, floor, damaged: report })
  const { identity, segments, next, mark, markedTo } = recovered
  const changed = recovered.torn !== null && (await isRot(files, recovered.torn, identity.seed))
  if (changed) report(recovered.torn as Torn)
  const torn = changed ? null : recovered.torn
  await verifyIdentity(files, directory, report)
  let frames = 0
  let records = 0
  let following: SegmentHead | null = null
  for (const segment of segments.list.toReversed()) {
    const end = segments.after(segment)?.first ?? next
    // Replaced from its first record on: it was given up, and deleting it has not outlived a power cut.
    if (end === segment.first && segment !== segments.newest) continue
    const seen = await survey(files, segment.path, segment.size, identity).catch(() => null)
    if (seen === null) {
      report({ file: segment.path, offset: 0, bytes: segment.size, firstLost: segment.first, lastLost: end - 1 })
      continue
    }
    if (seen.head === null) report({ file: segment.path, offset: 0, bytes: seen.start })
    // Recovery has judged the newest.
    if (segment !== segments.newest) judgeOlder(segment, seen, end, following, report)
    following = seen.head
    for (const item of seen.items) {
      if (item.kind !== 'frame') continue
      frames++
      records += Math.max(0, Math.min(item.head.first + item.head.count, end) - item.head.first)
    }
  }
  return {
    epoch: identity.epoch,
    segments: segments.list.length,
    bytes: segments.bytes,
    frames,
    records,
    first: segments.oldest?.first ?? next,
    next,
    marked: mark,
    unmarked: markedTo,
    damage,
    quarantined: await listQuarantined(files, directory),
    torn,
  }
}

/** An identity that cannot be read is taken from the segments: no harm, but damage. */
async function verifyIdentity(files: Files, directory: string, report: (damage: Damage) => void): Promise<void> {
  const file = join(directory, IDENTITY_FILE)
  const bytes = await readSmall(files, file)
  if (bytes !== null && encodeIdentity(decodeIdentity(bytes) ?? newIdentity()).compare(bytes) !== 0)
    report({ file, offset: 0, bytes: bytes.length })
}

/** A segment that others follow: all below `end` was durable. */
function judgeOlder(
  segment: Segment,
  seen: Survey,
  end: number,
  following: SegmentHead | null,
  report: (damage: Damage) => void,
): void {
  const { last, torn } = judge(segment, seen, end - 1, report)
  if (last === null && torn === null) {
    report({ file: segment.path, offset: 0, bytes: segment.size, firstLost: segment.first, lastLost: end - 1 })
  }
  const givenUp = following !== null && (following.flags & AFTER_TROUBLE) !== 0
  if (torn !== null && !givenUp) report(torn)
}
