/**
 * Event times as devices write them.
 *
 *   ISO 8601   2026-11-23T07:44:00[.123456][Z|+02|+0200|+02:00], `T` or a space, seconds and zone may be absent, a date
 *              alone is its midnight; no zone means UTC; a leap second is the second after it
 *   epoch      seconds, milliseconds or microseconds, declared or told apart by size: < 1e11 s, < 1e14 ms, else µs
 *
 * ISO text is read from bytes with no string and no Date in between; the result goes into a Float64Array because a
 * returned double would be a heap object.
 */
import { DecodeError } from '../errors.ts'

export type TimeUnit = 'auto' | 's' | 'ms' | 'us' | 'iso'

/** The farthest a JavaScript date reaches, ms. */
const FARTHEST = 8.64e15
const DAY = 86_400_000
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

/** Epoch number → ms since the epoch, or NaN when it is no date. Keeps microseconds. */
export function epochToMs(value: number, unit: TimeUnit): number {
  if (unit === 'iso') return Number.NaN
  const size = Math.abs(value)
  let ms = value
  if (unit === 's' || (unit === 'auto' && size < 1e11)) ms = Math.round(value * 1e6) / 1e3
  else if (unit === 'us' || (unit === 'auto' && size >= 1e14)) ms = value / 1e3
  return Math.abs(ms) <= FARTHEST ? ms : Number.NaN
}

/**
 * A time field's value → ms since the epoch.
 * @throws DecodeError `time`
 */
export function readTime(value: unknown, unit: TimeUnit): number {
  const ms =
    typeof value === 'number' ? epochToMs(value, unit) : typeof value === 'string' ? readText(value, unit) : NaN
  if (Number.isNaN(ms)) throw new DecodeError('time', `no time: ${shown(value)}`)
  return ms
}

function readText(text: string, unit: TimeUnit): number {
  const trimmed = text.trim()
  if (trimmed.length > 64) return Number.NaN
  if (unit !== 'iso' && /^[+-]?\d+(\.\d+)?$/.test(trimmed)) return epochToMs(Number(trimmed), unit)
  if (unit !== 'iso' && unit !== 'auto') return Number.NaN
  const bytes = Buffer.from(trimmed)
  const out = new Float64Array(1)
  return readIso(bytes, 0, bytes.length, out, 0) ? (out[0] as number) : Number.NaN
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/**
 * Reads ISO 8601 text from `bytes[start, end)` into `out[at]`, ms since the epoch. False when it is anything else,
 * and then `out[at]` is untouched.
 */
export function readIso(bytes: Uint8Array, start: number, end: number, out: Float64Array, at: number): boolean {
  if (end - start < 10) return false
  const high = two(bytes, start)
  const low = two(bytes, start + 2)
  const month = two(bytes, start + 5)
  const day = two(bytes, start + 8)
  if ((high | low | month | day) < 0 || bytes[start + 4] !== 45 || bytes[start + 7] !== 45) return false
  const year = high * 100 + low
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return false
  const midnight = daysFromCivil(year, month, day) * DAY
  if (end - start === 10) {
    out[at] = midnight
    return true
  }
  const separator = bytes[start + 10] as number
  if (separator !== 84 && separator !== 116 && separator !== 32) return false
  return readClock(bytes, start + 11, end, midnight, out, at)
}

/** `07:44[:00[.123]][zone]`. */
function readClock(
  b: Uint8Array,
  start: number,
  end: number,
  midnight: number,
  out: Float64Array,
  at: number,
): boolean {
  if (end - start < 5) return false
  const hour = two(b, start)
  const minute = two(b, start + 3)
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || b[start + 2] !== 58) return false
  let i = start + 5
  let second = 0
  let fraction = 0
  if (i < end && b[i] === 58) {
    second = end - i < 3 ? -1 : two(b, i + 1)
    if (second < 0 || second > 60) return false
    i += 3
    if (i < end && (b[i] === 46 || b[i] === 44)) {
      const from = i + 1
      i = digitsEnd(b, from, end)
      if (i === from) return false
      fraction = fractionMs(b, from, i)
    }
  }
  const offset = i === end ? 0 : readZone(b, i, end)
  if (offset === NO_ZONE) return false
  out[at] = midnight + ((hour * 60 + minute - offset) * 60 + second) * 1000 + fraction
  return true
}

function digitsEnd(b: Uint8Array, from: number, end: number): number {
  let i = from
  while (i < end && (b[i] as number) >= 48 && (b[i] as number) <= 57) i++
  return i
}

/** Nanoseconds at most: finer is beyond what a double holds of a date. */
function fractionMs(b: Uint8Array, from: number, to: number): number {
  const digits = Math.min(to - from, 9)
  let mantissa = 0
  for (let i = 0; i < digits; i++) mantissa = mantissa * 10 + (b[from + i] as number) - 48
  return (mantissa * 1000) / (POWERS[digits] as number)
}

const NO_ZONE = 1 << 20

/** `Z`, `+02`, `+0200`, `+02:00` → minutes east of UTC. */
function readZone(b: Uint8Array, i: number, end: number): number {
  const sign = b[i] as number
  const length = end - i
  if (sign === 90 || sign === 122) return length === 1 ? 0 : NO_ZONE
  if ((sign !== 43 && sign !== 45) || length < 3) return NO_ZONE
  const hours = two(b, i + 1)
  let minutes = 0
  if (length === 5) minutes = two(b, i + 3)
  else if (length === 6 && b[i + 3] === 58) minutes = two(b, i + 4)
  else if (length !== 3) return NO_ZONE
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return NO_ZONE
  const east = hours * 60 + minutes
  return sign === 45 ? -east : east
}

/** Two digits, or -1. */
function two(b: Uint8Array, i: number): number {
  const tens = (b[i] as number) - 48
  const ones = (b[i + 1] as number) - 48
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar: whole 400-year eras, years that begin in March. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
