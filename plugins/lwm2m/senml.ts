/**
 * SenML (RFC 8428) as LwM2M has it (Core 1.1 §7.4.4, §7.4.5): base name and name make a path, `vlo` is an object link.
 * Also the older LwM2M JSON of 1.0, `{"bn","bt","e":[{"n","v"|"sv"|"bv"|"ov","t"}]}`.
 */
import { decode, encode } from 'cborg'
import { DecodeError, reasonOf } from '../../gateway/errors.ts'

export type SenmlValue = number | string | boolean | Buffer

export interface SenmlRecord {
  /** Base name and name. */
  readonly name: string
  readonly value: SenmlValue
  /** s since the epoch, or below 2^28 relative to now; 0 is now. */
  readonly time: number
}

const LABELS = new Map<unknown, string>([
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

type Labelled = ReadonlyMap<unknown, unknown>

/** @throws DecodeError `senml` */
export function decodeSenmlJson(data: Buffer): SenmlRecord[] {
  const list = parsed(() => JSON.parse(data.toString()))
  if (!Array.isArray(list)) throw new DecodeError('senml', 'SenML is a list')
  return recordsOf(list.map(entriesOf))
}

/** @throws DecodeError `senml` */
export function decodeSenmlCbor(data: Buffer): SenmlRecord[] {
  const list = parsed(() => decode(data, { useMaps: true, rejectDuplicateMapKeys: true }))
  if (!Array.isArray(list)) throw new DecodeError('senml', 'SenML is a list')
  return recordsOf(
    list.map((record: unknown) => {
      if (!(record instanceof Map)) throw new DecodeError('senml', 'a record is no map')
      return new Map([...record].map(([label, value]) => [LABELS.get(label) ?? label, plain(value)]))
    }),
  )
}

/** @throws DecodeError `senml` */
export function decodeLwm2mJson(data: Buffer): SenmlRecord[] {
  const whole = entriesOf(parsed(() => JSON.parse(data.toString())))
  const elements = whole.get('e')
  if (!Array.isArray(elements)) throw new DecodeError('senml', 'LwM2M JSON has no list e')
  const names: Readonly<Record<string, string>> = { sv: 'vs', bv: 'vb', ov: 'vlo' }
  const records = elements.map((element) => {
    const entries = [...entriesOf(element)]
    return new Map(entries.map(([label, value]) => [names[String(label)] ?? label, value]))
  })
  const base = new Map([...whole].filter(([label]) => label === 'bn' || label === 'bt'))
  return recordsOf(records.map((record, i) => (i === 0 ? new Map<unknown, unknown>([...base, ...record]) : record)))
}

function parsed(parse: () => unknown): unknown {
  try {
    return parse()
  } catch (cause) {
    throw new DecodeError('senml', `cannot be read: ${reasonOf(cause)}`, { cause })
  }
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  return value instanceof Uint8Array ? Buffer.from(value) : value
}

function entriesOf(value: unknown): Labelled {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DecodeError('senml', 'a record is no object')
  return new Map(Object.entries(value))
}

function recordsOf(list: readonly Labelled[]): SenmlRecord[] {
  const records: SenmlRecord[] = []
  const base = { name: '', time: 0, value: undefined as number | undefined }
  for (const record of list) {
    for (const label of record.keys())
      if (typeof label === 'string' && label.endsWith('_'))
        throw new DecodeError('senml', `label ${label.slice(0, 60)} must be understood, and is not`)
    if ((number(record, 'bver') ?? 10) > 10) throw new DecodeError('senml', 'its version is above 10')
    base.name = text(record, 'bn') ?? base.name
    base.time = number(record, 'bt') ?? base.time
    base.value = number(record, 'bv') ?? base.value
    const value = valueIn(record, base.value)
    if (value === undefined) continue
    records.push({ name: base.name + (text(record, 'n') ?? ''), value, time: base.time + (number(record, 't') ?? 0) })
  }
  return records
}

function valueIn(record: Labelled, base: number | undefined): SenmlValue | undefined {
  const v = number(record, 'v')
  if (v !== undefined) return v + (base ?? 0)
  const words = text(record, 'vs') ?? text(record, 'vlo')
  if (words !== undefined) return words
  const flag = record.get('vb')
  if (typeof flag === 'boolean') return flag
  const data = record.get('vd')
  if (Buffer.isBuffer(data)) return data
  if (typeof data === 'string') return Buffer.from(data, 'base64url')
  if (flag !== undefined || data !== undefined) throw new DecodeError('senml', 'vb or vd is of a wrong type')
  return record.has('n') ? base : undefined
}

function number(record: Labelled, label: string): number | undefined {
  const value = record.get(label)
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new DecodeError('senml', `${label} is no number`)
  return value
}

function text(record: Labelled, label: string): string | undefined {
  const value = record.get(label)
  if (value === undefined || typeof value === 'string') return value
  throw new DecodeError('senml', `${label} is no text`)
}

export interface SenmlItem {
  readonly name: string
  readonly value: SenmlValue
  readonly unit?: string | undefined
  readonly time?: number
  /** The text is an object link. */
  readonly link?: boolean
}

/** @param baseName stands in the first record */
export function encodeSenmlJson(items: readonly SenmlItem[], baseName = ''): Buffer {
  const records = items.map((item, i) => ({
    ...(i === 0 && baseName !== '' && { bn: baseName }),
    ...(item.name !== '' && { n: item.name }),
    ...(item.unit !== undefined && { u: item.unit }),
    ...(item.time ? { t: item.time } : {}),
    ...jsonValue(item),
  }))
  return Buffer.from(JSON.stringify(records))
}

function jsonValue({ value, link }: SenmlItem): object {
  if (typeof value === 'number') return { v: value }
  if (typeof value === 'boolean') return { vb: value }
  if (typeof value === 'string') return link ? { vlo: value } : { vs: value }
  return { vd: value.toString('base64url') }
}

export function encodeSenmlCbor(items: readonly SenmlItem[], baseName = ''): Buffer {
  const records = items.map(({ name, value, time, link }, i) => {
    const record = new Map<number | string, unknown>()
    if (i === 0 && baseName !== '') record.set(-2, baseName)
    if (name !== '') record.set(0, name)
    if (time) record.set(6, time)
    if (typeof value === 'number') record.set(2, value)
    else if (typeof value === 'boolean') record.set(4, value)
    else if (typeof value === 'string') record.set(link ? 'vlo' : 3, value)
    else record.set(8, new Uint8Array(value))
    return record
  })
  return Buffer.from(encode(records))
}
