/**
 * The journal: the durable log of everything that influences a result (see `entry.ts`), on one `Log`.
 *
 * What a sender is told depends on its source's durability. `fsync`: acknowledged when its entry is on disk.
 * `interval`: when it is written; fsync follows within a second. Both share one log. An entry for which nobody waits
 * (QoS 0) is lazy: it joins the next commit, and makes none. Results wait for the entries they count, so a result asks
 * for a commit too; many results ask once.
 */
import type { Clock } from '../clock.ts'
import { createLatency, type Latency, observe } from '../http/latency.ts'
import type { Batch, Log } from '../log/log.ts'
import { decodeEntry, type Entry } from './entry.ts'

export type Durability = 'fsync' | 'interval' | 'none'

export interface Journal {
  readonly log: Log
  /** Number of the last entry appended. */
  readonly last: number
  /** From an entry's arrival to its being on disk, the first one of each commit. */
  readonly latency: Latency
  /** Age of the oldest entry that is not on disk, ms; undefined when all is. */
  readonly lag: number | undefined
  /** As the log's, and timed. The entry's number is `last` afterwards. */
  reserve(length: number, lazy: boolean): number
  /** Somebody waits for what was appended so far, and may wait `patience` ms more. */
  commitWithin(patience: number): void
  /** Entries from `from` on that are on disk, in order. */
  replay(from: number, visit: (entry: number, content: Entry) => void): Promise<Replayed>
}

export interface Replayed {
  readonly entries: number
  /** Entries that could not be read: damage, or no longer kept. */
  readonly skipped: number
}

/** Entries handled before other work gets a turn. */
const TURN = 2000

export function createJournal(log: Log, clock: Clock): Journal {
  let due: number | undefined
  const commitWithin = (patience: number) => {
    const at = clock.monotonic() + patience
    if (due !== undefined && due <= at) return
    due = at
    clock.after(patience, () => {
      due = undefined
      void log.flush()
    })
  }
  const latency = createLatency()
  /** The oldest entry that is timed: those that come before it is durable are not. */
  let timed: { readonly entry: number; readonly since: number } | undefined
  log.onDurable((durable) => {
    if (timed === undefined || durable < timed.entry) return
    observe(latency, clock.monotonic() - timed.since)
    timed = undefined
  })
  const timing = (offset: number) => {
    if (offset >= 0) timed ??= { entry: log.next - 1, since: clock.monotonic() }
    return offset
  }
  return {
    log,
    latency,
    get lag() {
      return timed === undefined ? undefined : clock.monotonic() - timed.since
    },
    get last() {
      return log.next - 1
    },
    reserve: (length, lazy) => timing(log.reserve(length, lazy)),
    commitWithin,
    replay: (from, visit) => replay(log, from, visit),
  }
}

/** Entries of a log from `from` on, in order; other work gets its turn now and then. */
export async function replay(
  log: Pick<Log, 'read'> & Partial<Pick<Log, 'undecided'>>,
  from: number,
  visit: (entry: number, content: Entry) => void,
): Promise<Replayed> {
  let entries = 0
  let skipped = 0
  let next = from
  const take = async ({ first, count, skipped: missing, body, bounds, opening }: Batch) => {
    skipped += missing
    next = first + count
    for (let i = 0; i < count; i++) {
      const content = decodeEntry(body.subarray(bounds[2 * i], bounds[2 * i + 1]), opening)
      if (content) visit(first + i, content)
      else skipped++
      entries++
      if (entries % TURN === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  for await (const batch of log.read(from)) await take(batch)
  // On a disk that takes nothing these wait to be written again; a start must not wait with them, nor leave them out.
  for (const batch of log.undecided?.(next) ?? []) await take(batch)
  return { entries, skipped }
}
