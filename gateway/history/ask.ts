/** From what is asked over HTTP to an answer in columns. */
import { parseDuration } from '../config/duration.ts'
import { RequestError } from '../errors.ts'
import type { HistoryAnswer, HistoryQuery } from '../http/schemas.ts'
import type { WindowDefinition } from '../window/definition.ts'
import { deviceOwner, ownerId, seriesId, windowOwner } from './block.ts'
import type { History } from './history.ts'
import { type Answer, answer, type Question } from './query.ts'
import type { RawAnswer, RawQuestion } from './raw.ts'
import { isOfDevice } from './window-series.ts'

export interface AskParts {
  readonly history: History | undefined
  readonly windows: readonly WindowDefinition[]
  /** Unit of a device's field, if somebody said. */
  readonly unit: (device: string, field: string) => string | undefined
  /** Readings themselves, where the journal has them; see `raw.ts`. */
  readonly raw: (question: RawQuestion) => Promise<RawAnswer | undefined>
  /** Wall clock, ms since the epoch. */
  readonly now: number
}

const HOUR = 3_600_000
const MINUTE = 60_000

/** @throws RequestError the question makes no sense, or no history is kept */
export async function ask(parts: AskParts, query: HistoryQuery): Promise<HistoryAnswer> {
  const { history, windows, unit, now } = parts
  if (history === undefined)
    throw new RequestError(404, 'SLUICE_NO_HISTORY', 'this gateway keeps no history: history.maxBytes is 0')
  const to = momentOf('to', query.to, now) ?? now
  const from = momentOf('from', query.from, now) ?? to - HOUR
  if (from >= to) throw bad('`from` must be before `to`')
  const { device, stream, field, points } = query
  const { id, key } = seriesOf(query, windows)
  const raw = await rawOf(parts, query, from, to)
  const found = await withLevels(history, { id, field, from, to, points }, raw)
  const of = device === undefined ? undefined : unit(device, field)
  return {
    ...(device === undefined ? {} : { device }),
    ...(stream === undefined ? {} : { stream }),
    ...(query.window === undefined ? {} : { window: query.window, key }),
    field,
    kind: found.kind,
    ...(of === undefined ? {} : { unit: of }),
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    resolution: found.resolution,
    stepMs: found.step,
    ...columns(found),
  }
}

/** Only where points would be shorter than the finest level's, and of a device's own readings. */
async function rawOf(parts: AskParts, query: HistoryQuery, from: number, to: number): Promise<RawAnswer | undefined> {
  const { device, stream, field, points, window } = query
  if (device === undefined || window !== undefined || (to - from) / points >= MINUTE) return undefined
  return parts.raw({ device, stream, field, from, to, points })
}

/** What the journal no longer holds comes from the levels. */
async function withLevels(history: History, question: Question, raw: RawAnswer | undefined): Promise<Answer> {
  if (raw === undefined) return answer(history.levels, question)
  if (raw.since <= question.from) return raw
  const before = await answer(history.levels, { ...question, to: raw.since })
  return { ...raw, points: [...before.points, ...raw.points] }
}

function columns({ kind, points }: Answer) {
  const times = points.map(({ time }) => time)
  const count = points.map((point) => point.count)
  if (kind === 'text') return { times, count, text: points.map(({ text }) => text) }
  return {
    times,
    count,
    min: points.map(({ min }) => min),
    max: points.map(({ max }) => max),
    mean: points.map((point) => point.sum / point.count),
  }
}

interface Asked {
  readonly id: string
  readonly key: Record<string, string>
}

function seriesOf({ device, stream, window, key }: HistoryQuery, windows: readonly WindowDefinition[]): Asked {
  if (window === undefined) {
    if (device === undefined) throw bad('say whose field: `device`, or `window` and `key`')
    return { id: deviceId(device, stream), key: {} }
  }
  const definition = windows.find(({ name }) => name === window)
  if (!definition) throw new RequestError(404, 'SLUICE_UNKNOWN_WINDOW', `no window is named ${window}`)
  const full: Record<string, string> =
    key === undefined
      ? { ...(device === undefined ? {} : { device }), ...(stream === undefined ? {} : { stream }) }
      : keyOf(key)
  if (key === undefined && definition.by.some((part) => full[part] === undefined))
    throw bad(`window ${window} is by ${definition.by.join(', ')}: give its \`key\` as JSON`)
  if (isOfDevice(definition)) return { id: deviceId(full.device ?? '', full.stream), key: full }
  return { id: seriesId(windowOwner(window, full), undefined), key: full }
}

/** Without a stream the owner's part alone is compared: that is all streams. */
function deviceId(device: string, stream: string | undefined): string {
  const owner = deviceOwner(device)
  return stream === undefined ? ownerId(owner) : seriesId(owner, stream)
}

function keyOf(text: string): Record<string, string> {
  let key: unknown
  try {
    key = JSON.parse(text)
  } catch {
    throw bad('`key` is not JSON, e.g. {"model":"X1"}')
  }
  if (typeof key !== 'object' || key === null || Array.isArray(key)) throw bad('`key` must be a JSON object of texts')
  return Object.fromEntries(Object.entries(key).map(([name, value]) => [name, String(value)]))
}

function momentOf(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  const time = /^\d{4}-/.test(text) ? Date.parse(text) : now - durationOf(text)
  if (Number.isNaN(time)) throw bad(`\`${name}\` is no ISO 8601 time, number of ms or duration: ${text}`)
  return time
}

function durationOf(text: string): number {
  try {
    return parseDuration(text)
  } catch {
    return Number.NaN
  }
}

function bad(message: string): RequestError {
  return new RequestError(400, 'SLUICE_BAD_REQUEST', message)
}
