/**
 * Which codec a message is for, and the readings in it for the general path.
 *
 * `auto` asks the content type first and the first bytes then:
 *
 *   { or [            JSON; SenML when every label in the list is SenML's
 *   0x80–0xbf, d9d9f7 CBOR (a list, a map, or self-described); such bytes can't begin a text
 *   anything else     CSV when the rule has columns, else one number, text in quotes, true or false
 */
import { isUtf8 } from 'node:buffer'
import { gunzipSync } from 'node:zlib'
import { DecodeError, reasonOf } from '../errors.ts'
import { parseCbor } from './cbor.ts'
import { splitCsv } from './csv.ts'
import type { Draft } from './draft.ts'
import { flatten, jsonItems, parseJson } from './json.ts'
import type { Codec, DecodeRule } from './rule.ts'
import { isSenml, readSenml, type SenmlGroup } from './senml.ts'

/** The readings of one message; `load` may be called more than once for each. */
export interface Items {
  readonly count: number
  /** Adds reading number `index` to an empty draft. @throws DecodeError */
  load(index: number, draft: Draft): void
}

/** What a gzip'd payload may become, bytes. */
export const MAX_INFLATED = 16 * 1024 * 1024

const BY_TYPE = new Map<string, Codec>([
  ['application/json', 'json'],
  ['text/json', 'json'],
  ['application/senml+json', 'senml'],
  ['application/senml+cbor', 'senml'],
  ['application/cbor', 'cbor'],
  ['text/csv', 'csv'],
  ['application/csv', 'csv'],
])

/** Undefined for types that say nothing here, such as text/plain or what curl sends by default. */
export function codecOf(contentType: string): Codec | undefined {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return BY_TYPE.get(type) ?? (type.endsWith('+json') ? 'json' : type.endsWith('+cbor') ? 'cbor' : undefined)
}

export function isGzip(bytes: Buffer, start: number, end: number): boolean {
  return end - start > 2 && bytes[start] === 0x1f && bytes[start + 1] === 0x8b
}

/** @throws DecodeError `too_large`, `gzip` */
export function gunzip(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_INFLATED })
  } catch (error) {
    if (error instanceof RangeError) {
      throw new DecodeError('too_large', `it inflates to more than ${MAX_INFLATED} bytes`, { cause: error })
    }
    throw new DecodeError('gzip', `not gzip: ${reasonOf(error)}`, { cause: error })
  }
}

/** Position after a byte order mark. */
export function skipBom(bytes: Buffer, start: number, end: number): number {
  const bom = end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf
  return bom ? start + 3 : start
}

/**
 * @param codec as declared, or as the content type says
 * @param device the topic's device, whose name SenML names may begin with
 * @param received ms since the epoch
 * @throws DecodeError
 */
export function readItems(bytes: Buffer, codec: Codec, rule: DecodeRule, device: string, received: number): Items {
  const text = bytes.subarray(skipBom(bytes, 0, bytes.length))
  if (text.length === 0) throw new DecodeError('empty', 'the payload is empty')
  if (codec === 'auto') return readAny(text, rule, device, received)
  if (codec === 'json') return jsonReadings(parseJson(text))
  if (codec === 'cbor') return cborReadings(parseCbor(bytes), device, received, false)
  if (codec === 'senml') {
    return senmlReadings(readSenml(isCbor(bytes) ? parseCbor(bytes) : parseJson(text), device, received))
  }
  return codec === 'csv' ? csvReadings(textOf(text), rule) : cellReading(textOf(text).trim())
}

function readAny(bytes: Buffer, rule: DecodeRule, device: string, received: number): Items {
  if (isCbor(bytes)) return cborReadings(parseCbor(bytes), device, received, true)
  const first = bytes[firstInk(bytes)]
  if (first === 123 || first === 91) {
    const value = parseJson(bytes)
    return isSenml(value) ? senmlReadings(readSenml(value, device, received)) : jsonReadings(value)
  }
  const text = textOf(bytes)
  if (rule.columns || rule.header) return csvReadings(text, rule)
  const trimmed = text.trim()
  if (trimmed === '') throw new DecodeError('empty', 'the payload is blank')
  if (isNumber(trimmed)) return cellReading(trimmed)
  return jsonReadings(parseJson(bytes))
}

function isCbor(bytes: Buffer): boolean {
  const first = bytes[0] as number
  return (first >= 0x80 && first <= 0xbf) || (first === 0xd9 && bytes[1] === 0xd9 && bytes[2] === 0xf7)
}

function firstInk(bytes: Buffer): number {
  let i = 0
  while (i < bytes.length && (bytes[i] as number) <= 32) i++
  return i
}

function isNumber(text: string): boolean {
  return text.length <= 1000 && /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|Infinity)$/.test(text)
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new DecodeError('utf8', 'it is not valid UTF-8')
  return bytes.toString('utf8')
}

function jsonReadings(value: unknown): Items {
  const items = jsonItems(value)
  return { count: items.length, load: (i, draft) => flatten(draft, items[i]) }
}

function cborReadings(value: unknown, device: string, received: number, auto: boolean): Items {
  if (auto && hasNumberLabels(value)) return senmlReadings(readSenml(value, device, received))
  return jsonReadings(value)
}

/** SenML in CBOR calls its labels by number; nothing else that senders write does. */
function hasNumberLabels(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false
  return value.every((element) => element instanceof Map && [...element.keys()].every((key) => typeof key === 'number'))
}

function senmlReadings(groups: readonly SenmlGroup[]): Items {
  return {
    count: groups.length,
    load(i, draft) {
      const group = groups[i] as SenmlGroup
      if (group.time !== undefined) draft.timeIs(group.time)
      for (const [name, value] of group.fields) draft.add(name, value)
    },
  }
}

function cellReading(text: string): Items {
  return {
    count: 1,
    load(_, draft) {
      if (text === '') throw new DecodeError('empty', 'the payload is blank')
      // A lone number may have leading zeros, as in `007.5`: nothing else it could mean.
      draft.cell('value', /^[+-]?0\d/.test(text) && isNumber(text) ? text.replace(/^([+-]?)0+(?=\d)/, '$1') : text)
    },
  }
}

function csvReadings(text: string, rule: DecodeRule): Items {
  const rows = splitCsv(text, rule.delimiter ?? ',')
  const header = rule.header ? rows.shift() : undefined
  const columns = rule.columns ?? header
  if (!columns) throw new DecodeError('csv', 'the rule names no columns')
  if (rows.length === 0) throw new DecodeError('empty', 'it has no lines')
  return {
    count: rows.length,
    load(index, draft) {
      const row = rows[index] as string[]
      for (let i = 0; i < columns.length; i++) {
        const name = columns[i] as string
        const cell = row[i]
        if (cell && name !== '' && name !== '_' && name !== '-')
          draft.cell(name, text.length > 1024 ? detached(cell) : cell)
      }
    },
  }
}

/** A piece of a long text keeps all of it in memory; a copy does not. */
function detached(cell: string): string {
  return cell.length < 13 ? cell : Buffer.from(cell).toString()
}
