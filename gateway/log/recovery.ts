/**
 * Finds out where a log stands: reads the newest segments back to the first that has a sound frame, cuts off what a
 * crash left unfinished, moves away what cannot be a segment.
 *
 *      | head | frame | ▒▒▒▒▒ | frame | frame | ▒▒▒▒▒ | 0 0 0 0 |
 *                       damage           ▲      torn    written ahead
 *                       reported,        │      cut off, nobody was told of it
 *                       numbers not      │
 *                       used again       unsure: nobody says that it was durable, so it is written again elsewhere
 *
 * - Damage is what a later frame, a later segment or the `floor` says was durable. All else that is not sound is torn.
 * - `next` is never a number that was given, `mark` never a mark that was not reached.
 * - Nothing is changed here but what is set aside or was never begun; the writer cuts off when it has written anew.
 */
import { join } from 'node:path'
import { newerData, reasonOf, StartError } from '../errors.ts'
import type { Damage, Torn } from './damage.ts'
import { type Files, readSmall } from './files.ts'
import {
  decodeIdentity,
  decodeSegmentHead,
  type FrameHead,
  IDENTITY_FILE,
  IDENTITY_VERSION,
  type Identity,
  newIdentity,
  parseSegmentName,
  SEGMENT_HEAD,
  VERSION,
} from './format.ts'
import type { ScannedFrame } from './scan.ts'
import { createSegment, notePlace, type Segment, Segments } from './segments.ts'
import { type Survey, survey } from './survey.ts'

export interface RecoveryOptions {
  readonly directory: string
  readonly files: Files
  /** Numbers below were given, whatever the files say. */
  readonly floor: number
  readonly damaged: (damage: Damage) => void
}

export interface Recovered {
  readonly identity: Identity
  /** The directory holds the identity. */
  readonly identityKept: boolean
  readonly segments: Segments
  readonly next: number
  readonly mark: number
  readonly markedTo: number
  readonly torn: Torn | null
  /** Where what counts of the newest segment ends: before what is torn, and before the zeros ahead. */
  readonly soundTo: number
  /** The newest segment there was, also when it was empty or set aside. */
  readonly named: { readonly first: number; readonly attempt: number }
  /**
   * Sound frames at the end of `newest` of which nobody says that they were durable. The kernel may show what the disk
   * never took (after a failed fsync it does): they must be written again before they are trusted.
   */
  readonly unsure: readonly ScannedFrame[]
}

export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { directory, files, floor, damaged } = options
  const found = await listSegments(files, directory)
  const { identity, kept } = await findIdentity(files, directory, found)
  const segments = new Segments()
  const named = found.at(-1) ?? { first: 0, attempt: 0 }
  // Highest number that a frame or a later segment says was durable, and highest that anybody was told.
  let durable = 0
  let witness = floor - 1
  for (let i = found.length - 1; i >= 0; i--) {
    const segment = found[i] as Segment
    const seen = await readable(segment.path, survey(files, segment.path, segment.size, identity))
    refuseNewer(segment, seen)
    durable = Math.max(durable, seen.witness)
    witness = Math.max(witness, durable)
    const judged = judge(segment, seen, witness, damaged)
    if (judged.last === null) {
      await setAside(files, segment, seen, witness, damaged)
      durable = Math.max(durable, segment.first - 1)
      witness = Math.max(witness, durable)
      continue
    }
    const soundTo = judged.torn?.offset ?? seen.end
    const unsure = seen.unsure.filter(
      ({ offset, head }) => offset < soundTo && head.first + Math.max(0, head.count - 1) > durable,
    )
    await keepOlder(files, found.slice(0, i), segment, segments)
    const { last, torn } = judged
    return { identity, identityKept: kept, segments, ...standing(last, witness), torn, soundTo, named, unsure }
  }
  const nothing = { next: witness + 1, mark: 0, markedTo: 1, torn: null, soundTo: 0, unsure: [] }
  return { identity, identityKept: kept, segments, named, ...nothing }
}

function standing(last: FrameHead, witness: number): { next: number; mark: number; markedTo: number } {
  const after = last.first + last.count
  return {
    next: Math.max(after, witness + 1),
    mark: last.mark,
    markedTo: last.mark === 0 ? 1 : after - last.unmarked,
  }
}

/** Segments by name, oldest first; what was begun again after trouble comes after what it replaces. */
export async function listSegments(files: Files, directory: string): Promise<Segment[]> {
  const names = (await readable(directory, files.list(directory))).flatMap((name) => parseSegmentName(name) ?? [])
  names.sort((a, b) => a.first - b.first || a.attempt - b.attempt)
  return Promise.all(
    names.map(async ({ first, attempt }) => {
      const segment = createSegment(directory, first, attempt, 0)
      segment.size = await readable(segment.path, files.size(segment.path))
      return segment
    }),
  )
}

/** What cannot even be opened is a mistake of whoever set it up, for a person to mend. */
async function readable<T>(path: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    throw new StartError('SLUICE_LOG_UNREADABLE', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/** The log's identity: from its file, else from its newest sound segment, else a new one. */
export async function findIdentity(
  files: Files,
  directory: string,
  found: readonly Segment[],
): Promise<{ identity: Identity; kept: boolean }> {
  // Without a segment nobody knows which numbers were given: that is a new log, whatever the file says.
  if (found.length === 0) return { identity: newIdentity(), kept: false }
  const path = join(directory, IDENTITY_FILE)
  const bytes = await readSmall(files, path).catch(() => null)
  const identity = bytes && decodeIdentity(bytes)
  if (identity && (bytes[8] as number) > IDENTITY_VERSION) throw newerData(path, bytes[8] as number, IDENTITY_VERSION)
  if (identity) return { identity, kept: true }
  for (const segment of found.toReversed()) {
    const head = await readSmall(files, segment.path, SEGMENT_HEAD).catch(() => null)
    const decoded = head && decodeSegmentHead(head)
    if (decoded) return { identity: decoded.identity, kept: false }
  }
  return { identity: newIdentity(), kept: false }
}

function refuseNewer(segment: Segment, { head }: Survey): void {
  if (head === null || head.version <= VERSION) return
  throw newerData(segment.path, head.version, VERSION)
}

/** Walks what was seen in order: damage that somebody says was durable is reported, the first other one ends the file. */
export function judge(
  segment: Segment,
  seen: Survey,
  witness: number,
  damaged: (damage: Damage) => void,
): { last: FrameHead | null; torn: Torn | null } {
  const file = segment.path
  let last: FrameHead | null = null
  let expected = segment.first
  let bad: { offset: number; end: number } | null = null
  for (const item of seen.items) {
    if (item.kind === 'rotten') {
      damaged({ file, offset: item.offset, bytes: item.end - item.offset })
      continue
    }
    if (item.kind === 'damage') {
      if (expected > witness) {
        return { last, torn: { file, offset: item.offset, bytes: segment.size - item.offset } }
      }
      bad = item
      continue
    }
    const { head } = item
    if (head.first > expected) {
      const { offset, end } = bad ?? { offset: item.offset, end: item.offset }
      damaged({ file, offset, bytes: end - offset, firstLost: expected, lastLost: head.first - 1 })
    }
    bad = null
    last = head
    expected = head.first + head.count
    notePlace(segment, head.first, item.offset)
  }
  if (last !== null && expected <= witness) {
    const { offset, end } = bad ?? { offset: seen.end, end: segment.size }
    damaged({ file, offset, bytes: end - offset, firstLost: expected, lastLost: witness })
  } else if (last !== null && bad !== null) {
    damaged({ file, offset: bad.offset, bytes: bad.end - bad.offset })
  }
  return { last, torn: null }
}

/** A segment without a sound frame: the rest of a first commit that was torn, or something that must be kept for people. */
async function setAside(
  files: Files,
  segment: Segment,
  seen: Survey,
  witness: number,
  damaged: (damage: Damage) => void,
): Promise<void> {
  const lost = witness >= segment.first
  const { path, size } = segment
  if (!lost && (seen.blank || seen.head !== null)) {
    await files.remove(path).catch(() => undefined)
    return
  }
  damaged({ file: path, offset: 0, bytes: size, ...(lost ? { firstLost: segment.first, lastLost: witness } : {}) })
  await files.rename(path, `${path}.corrupt`).catch(() => undefined)
}

/** Takes over the segments before `newest`, without those that it replaces. */
async function keepOlder(files: Files, older: readonly Segment[], newest: Segment, segments: Segments): Promise<void> {
  for (const segment of older) {
    if (segment.first < newest.first) segments.add(segment)
    else await files.remove(segment.path).catch(() => undefined)
  }
  segments.add(newest)
}

/** Files that were quarantined, for people. */
export async function listQuarantined(files: Files, directory: string): Promise<string[]> {
  const names = await files.list(directory).catch(() => [])
  return names.filter((name) => name.endsWith('.seg.corrupt'))
}
