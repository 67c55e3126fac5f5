/**
 * Messages that come again although they were taken: the gateway ended before its answer was sent, or the answer was
 * lost just then. A source that knows its senders' tries apart gives a message a mark (`Message.mark`), which is
 * journaled with it; at a start the marks of the last minutes are read back, and a message with one of them is settled
 * at once. While the gateway runs, telling repeats apart is the source's own work.
 *
 *     mark in the journal: 0 0 | the source's own        The broker's begin with a packet id, which is never 0.
 */
import type { Clock } from '../clock.ts'
import { MESSAGE } from '../journal/entry.ts'
import type { Journal } from '../journal/journal.ts'

export interface SentBefore {
  /** @param source its index. @param mark as it is in the journal */
  has(source: number, mark: Buffer): boolean
}

/** Nobody sends a message again later than this: EXCHANGE_LIFETIME of RFC 7252 §4.8.2, ms. */
const LIFETIME = 247_000
/** Entries read back. */
const MOST = 10_000
const PREFIX = 2

/** The marks of the last entries, which are forgotten when nobody can send those messages again. */
export async function readSentBefore(journal: Journal, clock: Clock): Promise<SentBefore> {
  const now = clock.now()
  const marks = new Set<string>()
  await journal.replay(Math.max(journal.log.first, journal.last + 1 - MOST), (_, entry) => {
    if (entry.kind !== MESSAGE || entry.mark === undefined || !isOwn(entry.mark)) return
    const age = now - entry.received
    if (age >= 0 && age < LIFETIME) marks.add(keyOf(entry.source, entry.mark))
  })
  clock.after(LIFETIME, () => marks.clear())
  return { has: (source, mark) => marks.size > 0 && marks.has(keyOf(source, mark)) }
}

/** A source's marks as they stand in the journal; the same buffer each time. */
export function createMarks(): (own: Uint8Array) => Buffer {
  let mark = Buffer.alloc(PREFIX)
  return (own) => {
    if (mark.length !== PREFIX + own.length) mark = Buffer.alloc(PREFIX + own.length)
    mark.set(own, PREFIX)
    return mark
  }
}

/** It is a source's, and not the broker's. */
export function isOwn(mark: Buffer): boolean {
  return mark[0] === 0 && mark[1] === 0
}

function keyOf(source: number, mark: Buffer): string {
  return `${source} ${mark.toString('latin1')}`
}
