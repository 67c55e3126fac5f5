/**
 * What people watch, live. The gateway tells `createLive` of everything that happens; nothing is built, copied or
 * matched unless somebody watches, and a watcher sees at most `READINGS_PER_SECOND` readings, as many at once, with the
 * number of those it was spared on the next one.
 */
import type { Clock } from '../clock.ts'
import { type Device, fieldsOf, type Reading } from '../reading.ts'
import type { AlertRecord, CommandRecord, GapRecord, WindowRecord } from '../record.ts'
import { matcher } from './pattern.ts'

export const EVENT_TYPES = ['ready', 'reading', 'window', 'command', 'alert', 'gap', 'upstream', 'status'] as const
export type EventType = (typeof EVENT_TYPES)[number]

export interface LiveEvent {
  readonly type: EventType
  readonly data: object
}

export type EventListener = (event: LiveEvent) => void

/** What a watcher wants to see. */
export interface Interest {
  readonly types: ReadonlySet<EventType>
  /** Only of devices or topics that match, see `pattern.ts`. */
  readonly match?: string | undefined
}

/** A reading as a watcher sees it; times are ISO 8601. */
export interface ReadingEvent {
  readonly device: string
  readonly stream?: string
  readonly time: string
  readonly received: string
  readonly source: string
  readonly tags: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, number | string | boolean>>
  /** Matching readings not shown since the last one, because there were too many. */
  readonly spared?: number
}

/** State of one upstream connection. */
export interface UpstreamEvent {
  readonly name: string
  readonly state: string
  readonly error?: string
}

export interface Live {
  /** On the hot path: returns at once when nobody watches readings. */
  reading(reading: Reading): void
  window(record: WindowRecord): void
  command(record: CommandRecord): void
  alert(record: AlertRecord): void
  gap(record: GapRecord): void
  upstream(event: UpstreamEvent): void
  subscribe(interest: Interest, listener: EventListener): () => void
}

export const READINGS_PER_SECOND = 100
export const RESULTS_PER_SECOND = 100

/** Lets so many through a second, evenly after a first burst of as many. */
interface Sample {
  readonly most: number
  /** How many may be shown now, and when that was worked out, monotonic ms. */
  allowed: number
  at: number
  /** Since the last one shown. */
  spared: number
}

interface Watcher {
  readonly types: ReadonlySet<EventType>
  readonly matches: ((device: string, stream: string | undefined) => boolean) | undefined
  readonly known: WeakMap<Device, boolean>
  readonly listener: EventListener
  readonly readings: Sample
  readonly results: Sample
}

export function createLive(clock: Clock): Live {
  const watchers = new Set<Watcher>()
  let readers: Watcher[] = []

  const publish = (type: EventType, device: string | undefined, data: object) => {
    if (watchers.size === 0) return
    for (const watcher of watchers) {
      if (!watcher.types.has(type)) continue
      if (!matchesKey(watcher.matches, device)) continue
      watcher.listener({ type, data })
    }
  }

  return {
    reading(reading) {
      if (readers.length === 0) return
      const now = clock.monotonic()
      let event: ReadingEvent | undefined
      for (const reader of readers) {
        if (!wants(reader, reading) || !admits(reader.readings, now)) continue
        event ??= readingEvent(reading)
        reader.listener({ type: 'reading', data: confessing(event, reader.readings) })
      }
    },
    window(record) {
      if (watchers.size === 0) return
      const now = clock.monotonic()
      for (const { types, matches, results, listener } of watchers) {
        if (!types.has('window') || !matchesKey(matches, record.key.device) || !admits(results, now)) continue
        listener({ type: 'window', data: confessing(record, results) })
      }
    },
    command: (record) => publish('command', record.device, record),
    alert: (record) => publish('alert', record.key.device, record),
    gap: (record) => publish('gap', undefined, record),
    upstream: (event) => publish('upstream', undefined, event),
    subscribe(interest, listener) {
      const watcher = createWatcher(interest, listener, clock.monotonic())
      watchers.add(watcher)
      readers = [...watchers].filter((w) => w.types.has('reading'))
      return () => {
        watchers.delete(watcher)
        readers = [...watchers].filter((w) => w.types.has('reading'))
      }
    },
  }
}

function createWatcher(interest: Interest, listener: EventListener, at: number): Watcher {
  const matches = interest.match === undefined ? undefined : matcher(interest.match)
  return {
    types: interest.types,
    matches,
    known: new WeakMap(),
    listener,
    readings: sample(READINGS_PER_SECOND, at),
    results: sample(RESULTS_PER_SECOND, at),
  }
}

/** Whether the pattern lets the device through; without a stream the answer is remembered with the device. */
function wants(watcher: Watcher, reading: Reading): boolean {
  const { matches, known } = watcher
  if (matches === undefined) return true
  if (reading.stream !== undefined) return matches(reading.device.id, reading.stream)
  const answer = known.get(reading.device)
  if (answer !== undefined) return answer
  const found = matches(reading.device.id, undefined)
  known.set(reading.device, found)
  return found
}

function matchesKey(matches: Watcher['matches'], device: string | undefined): boolean {
  return device === undefined || matches === undefined || matches(device, undefined)
}

function sample(most: number, at: number): Sample {
  return { most, allowed: most, at, spared: 0 }
}

function admits(sample: Sample, now: number): boolean {
  const { most, allowed, at } = sample
  sample.allowed = Math.min(most, allowed + ((now - at) * most) / 1000)
  sample.at = now
  if (sample.allowed >= 1) {
    sample.allowed--
    return true
  }
  sample.spared++
  return false
}

function confessing(event: object, sample: Sample): object {
  const { spared } = sample
  sample.spared = 0
  return spared > 0 ? { ...event, spared } : event
}

function readingEvent(reading: Reading): ReadingEvent {
  return {
    device: reading.device.id,
    ...(reading.stream === undefined ? {} : { stream: reading.stream }),
    time: new Date(reading.time).toISOString(),
    received: new Date(reading.received).toISOString(),
    source: reading.source,
    tags: reading.tags,
    fields: fieldsOf(reading),
  }
}
