/** Messages that could not be decoded: counted by source and reason, the last ones kept to look at. */
import { isUtf8 } from 'node:buffer'
import type { DecodeError } from '../errors.ts'

/** One message that was refused. */
export interface DeadLetter {
  /** ISO 8601 UTC, when it arrived. */
  readonly time: string
  readonly source: string
  readonly topic: string
  readonly reason: string
  readonly message: string
  /** Of the whole payload, bytes. */
  readonly size: number
  /** The first 4 KB: as they are when they are UTF-8, else in base64. */
  readonly payload: string
  readonly encoding: 'utf8' | 'base64'
}

export interface DeadCount {
  readonly count: number
  /** ISO 8601 UTC. */
  readonly first: string
  readonly last: string
}

/** As `GET /api/deadletters` answers. */
export interface DeadLetterReport {
  readonly total: number
  readonly reasons: Readonly<Record<string, number>>
  /** By source, by reason. */
  readonly sources: Readonly<Record<string, Readonly<Record<string, DeadCount>>>>
  /** The newest first. */
  readonly last: readonly DeadLetter[]
}

export interface DeadLetters {
  readonly total: number
  /** Never throws. @param received ms since the epoch */
  add(
    source: string,
    topic: string,
    error: DecodeError,
    payload: Buffer,
    start: number,
    end: number,
    received: number,
  ): void
  report(): DeadLetterReport
  /** Takes over what a report said before a restart; what is none is ignored. */
  restore(report: unknown): void
}

const CUT = 4096
/** Sources and reasons are few; this is for defects. */
const MAX_COUNTS = 10_000

interface Count {
  readonly source: string
  readonly reason: string
  count: number
  first: number
  last: number
}

/** @param keep how many letters are kept to look at */
export function createDeadLetters(keep = 100): DeadLetters {
  const counts = new Map<string, Count>()
  const letters: DeadLetter[] = []
  let total = 0

  return {
    get total() {
      return total
    },
    add(source, topic, error, payload, start, end, received) {
      const { reason, message } = error
      total++
      const known = counts.get(`${source}\n${reason}`)
      if (known) {
        known.count++
        known.last = received
      } else if (counts.size < MAX_COUNTS) {
        counts.set(`${source}\n${reason}`, { source, reason, count: 1, first: received, last: received })
      }
      if (keep <= 0) return
      if (letters.length >= keep) letters.shift()
      const cut = payload.subarray(start, Math.min(end, start + CUT))
      letters.push({
        time: isoOf(received),
        source,
        topic,
        reason,
        message,
        size: end - start,
        ...shown(cut, end - start),
      })
    },
    report: () => ({ total, reasons: byReason(counts), sources: bySource(counts), last: [...letters].reverse() }),
    restore(report) {
      const kept = readReport(report)
      if (!kept) return
      total = kept.total
      counts.clear()
      for (const count of kept.counts) counts.set(`${count.source}\n${count.reason}`, count)
      letters.splice(0, letters.length, ...kept.letters.slice(0, keep).reverse())
    },
  }
}

/** A cut in the middle of a character does not make a text binary. */
function shown(cut: Buffer, size: number): Pick<DeadLetter, 'payload' | 'encoding'> {
  for (let drop = 0; drop <= (size > cut.length ? 3 : 0); drop++) {
    const text = cut.subarray(0, cut.length - drop)
    if (isUtf8(text)) return { payload: text.toString('utf8'), encoding: 'utf8' }
  }
  return { payload: cut.toString('base64'), encoding: 'base64' }
}

function isoOf(ms: number): string {
  return new Date(Math.abs(ms) <= 8.64e15 ? ms : 0).toISOString()
}

function byReason(counts: ReadonlyMap<string, Count>): Record<string, number> {
  const reasons: Record<string, number> = {}
  for (const { reason, count } of counts.values()) reasons[reason] = (reasons[reason] ?? 0) + count
  return reasons
}

function bySource(counts: ReadonlyMap<string, Count>): DeadLetterReport['sources'] {
  const sources: Record<string, Record<string, DeadCount>> = {}
  for (const { source, reason, count, first, last } of counts.values()) {
    sources[source] = { ...sources[source], [reason]: { count, first: isoOf(first), last: isoOf(last) } }
  }
  return sources
}

function readReport(report: unknown): { total: number; counts: Count[]; letters: DeadLetter[] } | undefined {
  if (!isObject(report) || typeof report.total !== 'number' || !isObject(report.sources)) return undefined
  const counts = Object.entries(report.sources).flatMap(([source, reasons]) =>
    Object.entries(isObject(reasons) ? reasons : {}).flatMap(([reason, value]) => readCount(source, reason, value)),
  )
  const last: unknown[] = Array.isArray(report.last) ? report.last : []
  return { total: report.total, counts, letters: last.filter(isLetter) }
}

function readCount(source: string, reason: string, value: unknown): Count[] {
  if (!isObject(value) || typeof value.count !== 'number') return []
  const first = Date.parse(String(value.first))
  return [{ source, reason, count: value.count, first, last: Date.parse(String(value.last)) }]
}

function isLetter(value: unknown): value is DeadLetter {
  return isObject(value) && typeof value.payload === 'string' && typeof value.reason === 'string'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
