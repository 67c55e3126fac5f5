/**
 * SenML (RFC 8428): a list of records, where base fields of one record hold for it and all that follow.
 *
 *   [{"bn":"urn:dev:1:", "bt":1.7e9, "n":"temp", "u":"Cel", "v":21.5}, {"n":"hum", "t":-5, "v":40}]
 *
 * - Name and time of a record are base and own together; its value is own and base value added.
 * - CBOR has numbers for the labels: bver -1 … bs -6, n 0 … ut 7, vd 8.
 * - A label that ends in `_` must be understood, or the whole is refused; other unknown labels are ignored (§4.4).
 * - `vlo` is LwM2M's: a text that is a link to an object (LwM2M Core 1.1 §7.4.4).
 *
 * What names mean, and what "now" is, is for who uses it: `decode/senml.ts` for telemetry, `plugins/lwm2m/senml.ts` for paths.
 */
import { DecodeError } from '../gateway/errors.ts'

export type SenmlValue = number | string | boolean | Buffer

export interface SenmlRecord {
  readonly baseName: string
  readonly name: string
  readonly value: SenmlValue
  /** The value is `s`: an integral over time, not a measurement. */
  readonly isSum: boolean
  /** Seconds: since the epoch, or below `RELATIVE` from now. */
  readonly time: number
}

/** Below this a time is relative to now (§4.5.3), s. */
export const RELATIVE = 2 ** 28

/** Labels by their numbers in CBOR. */
const LABELS: ReadonlyMap<unknown, string> = new Map([
  [-1, 'bver'],
  [-2, 'bn'],
  [-3, 'bt'],
  [-4, 'bu'],
  [-5, 'bv'],
  [-6, 'bs'],
  [0, 'n'],
  [1, 'u'],
  [2, 'v'],
  [3, 'vs'],
  [4, 'vb'],
  [5, 's'],
  [6, 't'],
  [7, 'ut'],
  [8, 'vd'],
])
const KNOWN = new Set(LABELS.values())
const VERSION = 10

/** Values by label. */
export type Labelled = ReadonlyMap<string, unknown>

export function isSenmlLabel(label: string): boolean {
  return KNOWN.has(label)
}

/** A record as JSON or CBOR (maps) gave it, its labels as text; undefined when it is no record. */
export function labelled(element: unknown): Labelled | undefined {
  if (element instanceof Map)
    return new Map([...element].map(([label, value]) => [LABELS.get(label) ?? String(label), plain(value)]))
  if (typeof element !== 'object' || element === null || Array.isArray(element)) return undefined
  return new Map(Object.entries(element))
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

/**
 * Records that have a value, in their order.
 *
 * @param list as JSON or CBOR (maps) gave it
 * @throws DecodeError `senml`, `number`
 */
export function readRecords(list: unknown): SenmlRecord[] {
  if (!Array.isArray(list)) throw new DecodeError('senml', 'SenML is a list of records')
  const base: Base = { name: '', time: 0, value: undefined, sum: undefined }
  const records: SenmlRecord[] = []
  for (const element of list) {
    const record = labelled(element)
    if (!record) throw new DecodeError('senml', 'a record is no object')
    rebase(base, record)
    const found = resolve(base, record)
    if (found === undefined) continue
    const time = base.time + (number(record, 't') ?? 0)
    records.push({ baseName: base.name, name: text(record, 'n') ?? '', time, ...found })
  }
  return records
}

interface Base {
  name: string
  time: number
  value: number | undefined
  sum: number | undefined
}

function rebase(base: Base, record: Labelled): void {
  if ((number(record, 'bver') ?? VERSION) > VERSION) throw new DecodeError('senml', `its version is above ${VERSION}`)
  for (const label of record.keys())
    if (label.endsWith('_'))
      throw new DecodeError('senml', `label ${label.slice(0, 60)} must be understood, and is not`)
  base.name = text(record, 'bn') ?? base.name
  base.time = number(record, 'bt') ?? base.time
  base.value = number(record, 'bv') ?? base.value
  base.sum = number(record, 'bs') ?? base.sum
}

type Found = Pick<SenmlRecord, 'value' | 'isSum'>

/** Undefined for a record that only sets base fields. */
function resolve(base: Base, record: Labelled): Found | undefined {
  const v = number(record, 'v')
  if (v !== undefined) return { value: v + (base.value ?? 0), isSum: false }
  const other = text(record, 'vs') ?? text(record, 'vlo') ?? dataOf(record.get('vd')) ?? flagOf(record.get('vb'))
  if (other !== undefined) return { value: other, isSum: false }
  const s = number(record, 's')
  if (s !== undefined) return { value: s + (base.sum ?? 0), isSum: true }
  if (!record.has('n')) return undefined
  if (base.value !== undefined) return { value: base.value, isSum: false }
  return base.sum === undefined ? undefined : { value: base.sum, isSum: true }
}

function dataOf(value: unknown): Buffer | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string') return Buffer.from(value, 'base64url')
  if (value instanceof Uint8Array) return Buffer.from(value)
  throw new DecodeError('senml', 'vd is no data')
}

function flagOf(value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw new DecodeError('senml', 'vb is no boolean')
}

function number(record: Labelled, label: string): number | undefined {
  const value = record.get(label)
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw new DecodeError('senml', `${label} is no number`)
  if (!Number.isFinite(value)) throw new DecodeError('number', `${label} is no finite number`)
  return value
}

function text(record: Labelled, label: string): string | undefined {
  const value = record.get(label)
  if (value === undefined || typeof value === 'string') return value
  throw new DecodeError('senml', `${label} is no text`)
}
