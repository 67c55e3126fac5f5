/**
 * Raw readings of one field, worked out of the journal: for a stretch that is short and recent, finer than the first
 * level of the history. The journal holds messages as they arrived, so those that name the device are decoded again, by
 * the rules of today.
 *
 * The beginning is found by bisection over the times of the journal's frames. A stretch of more than `MOST` messages is
 * not read: it would cost more than the chart is worth.
 */
import { createDecoder, type DecodeRule } from '../decode/decoder.ts'
import { createDevices } from '../decode/devices.ts'
import { DecodeError } from '../errors.ts'
import { DEAD, decodeEntry, MESSAGE, type MessageEntry, UNSYNCED } from '../journal/entry.ts'
import type { Log } from '../log/log.ts'
import { BOOLEAN, createShapes, type Reading, TEXT } from '../reading.ts'
import type { Answer, Point } from './query.ts'

export interface RawQuestion {
  readonly device: string
  readonly stream: string | undefined
  readonly field: string
  /** ms since the epoch; `to` is not included. */
  readonly from: number
  readonly to: number
  readonly points: number
}

export interface RawAnswer extends Answer {
  /** From when on the journal holds all of it, ms since the epoch. */
  readonly since: number
}

/** Messages that may be looked at for one answer. */
const MOST = 100_000
/** A message with the time of the sensor may come later than that, ms. */
const LATE = 60_000

/** An answer from when the journal holds all of it on, or undefined: too much to read, or nothing there. */
export async function rawAnswer(
  log: Pick<Log, 'read' | 'first' | 'durable'>,
  rules: readonly DecodeRule[],
  question: RawQuestion,
): Promise<RawAnswer | undefined> {
  const begin = await entryAt(log, question.from)
  if (begin === undefined) return undefined
  const seen = createSeen(question)
  const decode = createReader(rules, question, seen.add)
  for await (const { body, bounds, count, time, opening } of log.read(begin.entry)) {
    if (time > question.to + LATE) break
    for (let i = 0; i < count; i++) decode(body.subarray(bounds[2 * i], bounds[2 * i + 1]), opening)
    // Frames that are in memory already come without waiting: others get their turn.
    await new Promise((resolve) => setImmediate(resolve))
  }
  const answer = seen.answer()
  return answer && { ...answer, since: Math.max(question.from, begin.since) }
}

/** The last entry whose frame begins before `time`, and from when on nothing is missing; undefined: too far back. */
async function entryAt(log: Pick<Log, 'read' | 'first' | 'durable'>, time: number) {
  let low = Math.max(log.first, log.durable - MOST)
  let high = log.durable + 1
  const timeOf = async (entry: number) => {
    for await (const batch of log.read(entry)) return batch.time
    return Number.POSITIVE_INFINITY
  }
  if (low >= high) return undefined
  const oldest = await timeOf(low)
  if (oldest > time && low > log.first) return undefined
  // Entry 1 is the first there ever was: before it nothing is missing.
  if (oldest > time) return { entry: low, since: low === 1 ? time : oldest }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if ((await timeOf(middle)) <= time) low = middle
    else high = middle
  }
  return { entry: low, since: time }
}

/** Decodes what may be of the device: its name is in the topic or in the payload. */
function createReader(
  rules: readonly DecodeRule[],
  { device, stream }: RawQuestion,
  add: (reading: Reading) => void,
): (bytes: Buffer, opening: Buffer) => void {
  // Tables only add tags.
  const bare = rules.map(({ lookup: _, ...rule }) => rule)
  const decoder = createDecoder({ rules: bare, devices: createDevices(), shapes: createShapes() })
  const name = Buffer.from(device)
  const mine = (reading: Reading) => {
    if (reading.device.id === device && (stream === undefined || reading.stream === stream)) add(reading)
  }
  return (bytes, opening) => {
    if (bytes[0] !== MESSAGE) return
    const entry = decodeEntry(bytes, opening) as MessageEntry | null
    if (entry === null || entry.flags & DEAD || !(entry.topic.includes(device) || bytes.includes(name))) return
    const route = decoder.route(entry.topic)
    if (route === null) return
    const { start, end, contentType, received, flags } = entry
    try {
      decoder.decode(route, '', entry.bytes, start, end, contentType, received, (flags & UNSYNCED) === 0, mine)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
    }
  }
}

/** Readings in points: each its own where there is room, else those of a step together, least and greatest kept. */
function createSeen({ field, from, to, points }: RawQuestion) {
  const found: { time: number; value: number | string }[] = []
  let boolean = true
  return {
    add({ time, shape, numbers, texts }: Reading) {
      const place = shape.names.indexOf(field)
      if (place < 0 || time < from || time >= to) return
      const kind = shape.kinds[place]
      if (kind !== BOOLEAN) boolean = false
      found.push({ time, value: kind === TEXT ? (texts[place] as string) : (numbers[place] as number) })
    },
    answer(): Answer | undefined {
      const text = found.some(({ value }) => typeof value === 'string')
      const kind = text ? 'text' : boolean ? 'boolean' : 'number'
      const step = found.length > points ? Math.ceil((to - from) / points) : 0
      const own = new Map<number, Point>()
      for (const { time, value } of found.sort((a, b) => a.time - b.time)) addTo(own, step, time, value)
      return found.length === 0 ? undefined : { kind, resolution: 'raw', step, points: [...own.values()] }
    },
  }
}

function addTo(points: Map<number, Point>, step: number, at: number, value: number | string): void {
  const time = step === 0 ? at : Math.floor(at / step) * step
  let point = points.get(time)
  if (!point) {
    point = { time, count: 0, min: Infinity, max: -Infinity, sum: 0, text: '', textAt: Infinity }
    points.set(time, point)
  }
  point.count++
  if (typeof value === 'string') {
    if (at >= point.textAt) return
    point.text = value
    point.textAt = at
    return
  }
  point.min = Math.min(point.min, value)
  point.max = Math.max(point.max, value)
  point.sum += value
}
