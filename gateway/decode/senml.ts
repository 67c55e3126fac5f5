/**
 * SenML (RFC 8428): a list of records, where base fields of one record hold for it and all that follow.
 *
 *   [{"bn":"urn:dev:1:", "bt":1.7e9, "n":"temp", "u":"Cel", "v":21.5}, {"n":"hum", "t":-5, "v":40}]
 *
 * - A record's name is base name + name, its time base time + time; a sum below 2^28 s is relative to now, and 0 is now.
 * - Records of one time are one reading. A name that comes twice at one time begins another reading.
 * - The device is the topic's; a field is called by what the record's name adds to the device.
 * - CBOR has numbers for the labels: bver -1 … bs -6, n 0 … ut 7, vd 8.
 */
import { DecodeError } from '../errors.ts'

/** Records of one time. */
export interface SenmlGroup {
  /** ms since the epoch; undefined when the records say "now". */
  readonly time: number | undefined
  readonly fields: ReadonlyMap<string, string | number | boolean>
}

const LABELS = new Map<number, string>([
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
const VALUES = ['v', 'vs', 'vb', 'vd', 's'] as const
/** Below this a time is relative to now (RFC 8428 section 4.5.3), s. */
const RELATIVE = 2 ** 28
const VERSION = 10

type Record = ReadonlyMap<string, unknown>

interface Base {
  name: string
  time: number
  value: number | undefined
  sum: number | undefined
}

/** Whether a parsed text can only be SenML: all its labels are SenML's, and it starts with a name and a value. */
export function isSenml(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false
  const records = value.map(recordOf)
  const [first] = records
  if (!first || !records.every((record) => record && [...record.keys()].every((label) => KNOWN.has(label))))
    return false
  if (typeof first.get('bn') !== 'string' && typeof first.get('n') !== 'string') return false
  return records.some((record) => record && VALUES.some((label) => record.has(label)))
}

/** Whether the first key in a list of objects, which begins at `i`, is one of SenML's labels. */
export function beginsLikeSenml(bytes: Buffer, i: number, last: number): boolean {
  const head = bytes.toString('latin1', i, Math.min(last, i + 40))
  const label = /^\s*\{\s*"(\w+)"/.exec(head)?.[1]
  return label !== undefined && KNOWN.has(label)
}

/**
 * @param device prefix of the names that stands for the device
 * @param received now, ms since the epoch
 * @throws DecodeError `senml`, `number`, `empty`
 */
export function readSenml(value: unknown, device: string, received: number): SenmlGroup[] {
  if (!Array.isArray(value)) throw new DecodeError('senml', 'SenML is a list of records')
  const base: Base = { name: '', time: 0, value: undefined, sum: undefined }
  const groups: { time: number | undefined; fields: Map<string, string | number | boolean> }[] = []
  const current = new Map<number | undefined, Map<string, string | number | boolean>>()
  for (const element of value) {
    const record = recordOf(element)
    if (!record) throw new DecodeError('senml', 'a record is no object')
    rebase(base, record)
    const entry = resolve(base, record)
    if (entry === undefined) continue
    const field = fieldName(base.name, text(record, 'n') ?? '', device) + entry.suffix
    const time = timeOf(base.time + (number(record, 't') ?? 0), received)
    let fields = current.get(time)
    if (!fields || fields.has(field)) {
      fields = new Map()
      current.set(time, fields)
      groups.push({ time, fields })
    }
    fields.set(field, entry.value)
  }
  if (groups.length === 0) throw new DecodeError('empty', 'no record has a value')
  return groups
}

/** Labels as text; null when it is no record. */
function recordOf(element: unknown): Record | null {
  if (element instanceof Map) {
    return new Map([...element].map(([label, value]) => [labelText(label), plainNumber(value)]))
  }
  if (typeof element !== 'object' || element === null || Array.isArray(element)) return null
  return new Map(Object.entries(element))
}

function labelText(label: unknown): string {
  return typeof label === 'number' ? (LABELS.get(label) ?? String(label)) : String(label)
}

function plainNumber(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

function rebase(base: Base, record: Record): void {
  if ((number(record, 'bver') ?? VERSION) > VERSION) throw new DecodeError('senml', `its version is above ${VERSION}`)
  for (const label of record.keys()) {
    if (label.endsWith('_'))
      throw new DecodeError('senml', `label ${label.slice(0, 60)} must be understood, and is not`)
  }
  base.name = text(record, 'bn') ?? base.name
  base.time = number(record, 'bt') ?? base.time
  base.value = number(record, 'bv') ?? base.value
  base.sum = number(record, 'bs') ?? base.sum
}

/** The record's value with its base added; undefined for a record that only sets base fields. */
function resolve(base: Base, record: Record): { value: string | number | boolean; suffix: string } | undefined {
  const v = number(record, 'v')
  if (v !== undefined) return { value: v + (base.value ?? 0), suffix: '' }
  const words = text(record, 'vs') ?? dataOf(record.get('vd'))
  if (words !== undefined) return { value: words, suffix: '' }
  const flag = record.get('vb')
  if (flag !== undefined) {
    if (typeof flag !== 'boolean') throw new DecodeError('senml', 'vb is no boolean')
    return { value: flag, suffix: '' }
  }
  const s = number(record, 's')
  if (s !== undefined) return { value: s + (base.sum ?? 0), suffix: '.sum' }
  if (!record.has('n')) return undefined
  if (base.value !== undefined) return { value: base.value, suffix: '' }
  return base.sum === undefined ? undefined : { value: base.sum, suffix: '.sum' }
}

function dataOf(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url')
  throw new DecodeError('senml', 'vd is no data')
}

/** `device/temp`, or base name `device:` with name `temp`, or base name alone → temp. */
function fieldName(base: string, name: string, device: string): string {
  const full = base + name
  if (device !== '' && full.startsWith(device) && full.length > device.length) {
    const rest = full.slice(device.length).replace(/^[/:.-]/, '')
    if (rest !== '' && rest.length < full.length - device.length) return rest
  }
  const own = name === '' ? base : name
  const last = own
    .replace(/[/:]+$/, '')
    .split(base !== '' && name !== '' ? '/' : /[/:]/)
    .at(-1)
  return last === undefined || last === '' || own === device ? 'value' : last
}

/** Seconds, absolute or relative to now → ms; undefined is now. */
function timeOf(seconds: number, received: number): number | undefined {
  if (seconds === 0) return undefined
  const ms = Math.round(seconds * 1e6) / 1e3
  const time = seconds < RELATIVE ? received + ms : ms
  if (!(Math.abs(time) <= 8.64e15)) throw new DecodeError('time', `no time: ${seconds} s`)
  return time
}

function number(record: Record, label: string): number | undefined {
  const value = record.get(label)
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw new DecodeError('senml', `${label} is no number`)
  if (!Number.isFinite(value)) throw new DecodeError('number', `${label} is no finite number`)
  return value
}

function text(record: Record, label: string): string | undefined {
  const value = record.get(label)
  if (value === undefined || typeof value === 'string') return value
  throw new DecodeError('senml', `${label} is no text`)
}
