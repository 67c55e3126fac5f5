/** The general path for JSON: `JSON.parse` and exact reasons. */
import { isUtf8 } from 'node:buffer'
import { DecodeError, reasonOf } from '../errors.ts'
import type { Draft } from './draft.ts'

/** Deepest nesting of objects and arrays that is read. */
export const MAX_DEPTH = 32

/** The parsed text. @throws DecodeError `utf8`, `depth`, `number`, `json` */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new DecodeError('utf8', 'it is not valid UTF-8')
  const { tooDeep, notFinite } = surveyJson(bytes)
  if (tooDeep) throw new DecodeError('depth', `it is nested deeper than ${MAX_DEPTH}`)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    if (notFinite) throw new DecodeError('number', 'JSON has no NaN and no Infinity', { cause: error })
    throw new DecodeError('json', `not JSON: ${reasonOf(error)}`, { cause: error })
  }
}

/** The readings of a parsed text: an object is one, of an array each element. @throws DecodeError `json`, `empty` */
export function jsonItems(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return [value]
  if (value.length === 0) throw new DecodeError('empty', 'the array has no elements')
  const odd = value.findIndex((element) => typeof element !== 'object' || element === null || Array.isArray(element))
  if (odd >= 0) throw new DecodeError('json', `element ${odd} of the array is no object`)
  return value
}

/**
 * Adds all values inside to the draft: members by dotted path, elements of arrays by number. A value that stands
 * alone is the field `value`. Takes what JSON and CBOR can hold.
 */
export function flatten(draft: Draft, value: unknown, path = '', depth = 1): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) {
    draft.add(path === '' && depth === 1 ? 'value' : path, scalarOf(value, path))
    return
  }
  if (depth > MAX_DEPTH) throw new DecodeError('depth', `it is nested deeper than ${MAX_DEPTH}`)
  const prefix = depth === 1 ? '' : `${path}.`
  if (depth > 1) draft.inside(path)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) flatten(draft, value[i], prefix + i, depth + 1)
  } else if (value instanceof Map) {
    for (const [key, inner] of value) flatten(draft, inner, prefix + keyText(key), depth + 1)
  } else {
    const members = value as Record<string, unknown>
    for (const key of Object.keys(members)) flatten(draft, members[key], prefix + key, depth + 1)
  }
}

function scalarOf(value: unknown, path: string): string | number | boolean | null | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url')
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (value === null || value === undefined) return null
  throw new DecodeError('type', `field ${path} is a ${typeof value}`)
}

function keyText(key: unknown): string {
  if (typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint') return String(key)
  throw new DecodeError('cbor', 'a key is neither text nor a number')
}

/**
 * Looks at the brackets before the parser sees them, so that 1 MB of `[` builds nothing, and at words that some
 * senders write for numbers.
 */
function surveyJson(bytes: Buffer): { tooDeep: boolean; notFinite: boolean } {
  let depth = 0
  let notFinite = false
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i] as number
    if (c === 34) i = stringEnd(bytes, i)
    else if (c === 91 || c === 123) {
      if (++depth > MAX_DEPTH) return { tooDeep: true, notFinite }
    } else if (c === 93 || c === 125) depth--
    else if (c === 78 || c === 73) {
      notFinite ||= /^(NaN|Infinity)\b/.test(bytes.toString('latin1', i, i + 9))
    }
  }
  return { tooDeep: false, notFinite }
}

/** Position of the closing quote of the string that begins at `start`, or the end. */
function stringEnd(bytes: Buffer, start: number): number {
  let i = start + 1
  while (i < bytes.length && bytes[i] !== 34) i += bytes[i] === 92 ? 2 : 1
  return i
}
