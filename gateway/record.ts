/**
 * What goes upstream. A record is written once as JSON text and never changed: a record sent again is byte-identical.
 *
 * Records are of three classes, each a log of its own with its own epoch and contiguous `seq`; a batch holds one class.
 */
import { fieldsOf, type Reading } from './reading.ts'

/** In the order in which they are sent. */
export const CLASSES = ['event', 'result', 'reading'] as const
export type RecordClass = (typeof CLASSES)[number]

/** Statistics of one numeric field. `sketch` and others only when asked for. */
export interface NumberStatistics {
  readonly count: number
  readonly min?: number
  readonly max?: number
  readonly sum?: number
  readonly mean?: number
  /** Sum of squared deviations from the mean. */
  readonly ssd?: number
  /** Population form. */
  readonly stddev?: number
  readonly [statistic: string]: unknown
}

export interface TextStatistics {
  readonly count: number
  /** Count per value; values beyond the bound are counted under `other`. */
  readonly values: Readonly<Record<string, number>>
  readonly other?: number
}

/** Times are ISO 8601 UTC with milliseconds. */
export interface WindowRecord {
  readonly kind: 'window' | 'correction'
  /** Only on corrections: 2 for the first. */
  readonly rev?: number
  readonly window: string
  readonly key: Readonly<Record<string, string>>
  readonly start: string
  readonly end: string
  readonly count: number
  readonly fields: Readonly<Record<string, NumberStatistics | TextStatistics>>
}

export interface ReadingRecord {
  readonly kind: 'reading'
  readonly device: string
  readonly time: string
  readonly received: string
  readonly source: string
  readonly tags: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, number | string | boolean>>
  /** Latest results for the reading's key, of windows that say `attach: true`, by window name. */
  readonly analytics?: Readonly<Record<string, unknown>>
}

export interface GapRecord {
  readonly kind: 'gap'
  readonly reason: string
  readonly source?: string
  readonly window?: string
  readonly class?: RecordClass
  /** First sequence number dropped; the record's own `seq` is the last. Only for what the outbox dropped. */
  readonly first?: number
  readonly count: number | 'unknown'
  readonly from: string
  readonly to: string
}

export interface AlertRecord {
  readonly kind: 'alert'
  readonly rule: string
  readonly key: Readonly<Record<string, string>>
  readonly state: 'raised' | 'repeated' | 'cleared' | 'acknowledged'
  readonly severity: string
  readonly time: string
  readonly value?: unknown
  /** Names the alert from `raised` to `cleared`. */
  readonly id?: string
  /** Who acknowledged it, and what they had to say. */
  readonly by?: string
  readonly note?: string
}

export type CommandState = 'accepted' | 'sent' | 'acknowledged' | 'failed' | 'expired' | 'unconfirmed' | 'rejected'

export interface CommandRecord {
  readonly kind: 'command'
  readonly id: string
  readonly device: string
  readonly command: string
  readonly state: CommandState
  readonly time: string
  readonly by: string
  readonly result?: unknown
  readonly reason?: string
}

/** A record before it has its number. */
export type Outgoing = WindowRecord | ReadingRecord | GapRecord | AlertRecord | CommandRecord

/** The record's JSON text with its number in front, as it is kept and sent. */
export function encodeRecord(seq: number, record: Outgoing): Buffer {
  return Buffer.from(`{"seq":${seq},${JSON.stringify(record).slice(1)}`)
}

/** @param analytics the latest results of windows with `attach` */
export function readingRecord(reading: Reading, analytics: ReadingRecord['analytics']): ReadingRecord {
  const { device, time, received, source, stream, tags } = reading
  return {
    kind: 'reading',
    device: device.id,
    time: new Date(time).toISOString(),
    received: new Date(received).toISOString(),
    source,
    tags: stream === undefined ? tags : { stream, ...tags },
    fields: fieldsOf(reading),
    ...(analytics ? { analytics } : {}),
  }
}

/** @param from @param to wall clock, ms since the epoch */
export function gapRecord(
  reason: string,
  count: number | 'unknown',
  from: number,
  to: number,
  about: { readonly source?: string; readonly window?: string },
): GapRecord {
  return { kind: 'gap', reason, ...about, count, from: new Date(from).toISOString(), to: new Date(to).toISOString() }
}
