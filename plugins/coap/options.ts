/**
 * Options (RFC 7252 §5.10, 7641, 7959, 7967, 8768, 9175). An odd number is critical: who does not understand it must
 * not act on the message. A value of impossible length, or a repetition where none is allowed, makes an option one that
 * is not understood (§5.4.3, §5.4.5).
 */
import { NOTHING, type Option } from './codec.ts'

export const IF_MATCH = 1
export const URI_HOST = 3
export const ETAG = 4
export const IF_NONE_MATCH = 5
export const OBSERVE = 6
export const URI_PORT = 7
export const LOCATION_PATH = 8
export const URI_PATH = 11
export const CONTENT_FORMAT = 12
export const MAX_AGE = 14
export const URI_QUERY = 15
export const HOP_LIMIT = 16
export const ACCEPT = 17
export const LOCATION_QUERY = 20
export const BLOCK2 = 23
export const BLOCK1 = 27
export const SIZE2 = 28
export const PROXY_URI = 35
export const PROXY_SCHEME = 39
export const SIZE1 = 60
export const ECHO = 252
export const NO_RESPONSE = 258
export const REQUEST_TAG = 292

interface Definition {
  readonly min: number
  readonly max: number
  readonly repeatable: boolean
}

const option = (min: number, max: number, repeatable = false): Definition => ({ min, max, repeatable })

const KNOWN = new Map<number, Definition>([
  [URI_HOST, option(1, 255)],
  [ETAG, option(1, 8, true)],
  [OBSERVE, option(0, 3)],
  [URI_PORT, option(0, 2)],
  [LOCATION_PATH, option(0, 255, true)],
  [URI_PATH, option(0, 255, true)],
  [CONTENT_FORMAT, option(0, 2)],
  [MAX_AGE, option(0, 4)],
  [URI_QUERY, option(0, 255, true)],
  [HOP_LIMIT, option(1, 1)],
  [ACCEPT, option(0, 2)],
  [LOCATION_QUERY, option(0, 255, true)],
  [BLOCK2, option(0, 3)],
  [BLOCK1, option(0, 3)],
  [SIZE2, option(0, 4)],
  [PROXY_URI, option(1, 1034)],
  [PROXY_SCHEME, option(1, 255)],
  [SIZE1, option(0, 4)],
  [ECHO, option(1, 40)],
  [NO_RESPONSE, option(0, 1)],
  [REQUEST_TAG, option(0, 8, true)],
])

/** What is to be done with an option: use it, ignore it, or refuse the message. */
export type Understanding = 'yes' | 'ignore' | 'refuse'

/** @param length of its value. @param again the option before it has the same number */
export function understanding(number: number, length: number, again: boolean): Understanding {
  const known = KNOWN.get(number)
  if (known && length >= known.min && length <= known.max && (known.repeatable || !again)) return 'yes'
  return number & 1 ? 'refuse' : 'ignore'
}

function understandingAt(options: readonly Option[], index: number): Understanding {
  const { number, value } = options[index] as Option
  return understanding(number, value.length, index > 0 && options[index - 1]?.number === number)
}

/** Number of the first critical option that is not understood, or -1. */
export function refusedOption(options: readonly Option[]): number {
  for (let i = 0; i < options.length; i++)
    if (understandingAt(options, i) === 'refuse') return (options[i] as Option).number
  return -1
}

/** Value of an option of format uint (§3.2). */
export function uintOf(value: Uint8Array, start = 0, end = value.length): number {
  let number = 0
  for (let i = start; i < end; i++) number = number * 256 + (value[i] as number)
  return number
}

/** An option of format uint in as few bytes as it needs. */
export function uintOption(number: number, value: number): Option {
  if (value === 0) return { number, value: NOTHING }
  const bytes = value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x1000000 ? 3 : 4
  const buffer = Buffer.allocUnsafe(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return { number, value: buffer }
}

export function textOption(number: number, text: string): Option {
  return { number, value: Buffer.from(text) }
}

/** The first option of a number that is understood. */
export function find(options: readonly Option[], number: number): Buffer | undefined {
  for (let i = 0; i < options.length; i++) {
    const option = options[i] as Option
    if (option.number === number) return understandingAt(options, i) === 'yes' ? option.value : undefined
  }
  return undefined
}

export function findUint(options: readonly Option[], number: number): number | undefined {
  const value = find(options, number)
  return value && uintOf(value)
}

/** All values of a repeatable text option. */
export function texts(options: readonly Option[], number: number): string[] {
  return options.filter((o) => o.number === number).map((o) => o.value.toString())
}

/** Options of a path and of query parts. A leading slash does not matter. */
export function uriOptions(path: string, query: readonly string[] = []): Option[] {
  const trimmed = path.startsWith('/') ? path.slice(1) : path
  const segments = trimmed === '' ? [] : trimmed.split('/')
  return [
    ...segments.map((segment) => textOption(URI_PATH, decodeURIComponent(segment))),
    ...query.map((part) => textOption(URI_QUERY, part)),
  ]
}
