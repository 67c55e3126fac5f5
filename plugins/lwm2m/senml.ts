/**
 * SenML as LwM2M has it (Core 1.1 §7.4.4, §7.4.5): base name and name make a path. Also the older LwM2M JSON of 1.0,
 * `{"bn","bt","e":[{"n","v"|"sv"|"bv"|"ov","t"}]}`, whose list is SenML with other labels.
 */
import { decode, encode } from 'cborg'
import { readRecords, type SenmlValue } from '../../codec/senml.ts'
import { DecodeError, reasonOf } from '../../gateway/errors.ts'

export interface PathRecord {
  /** Base name and name. */
  readonly name: string
  readonly value: SenmlValue
  /** s since the epoch, or below 2^28 relative to now; 0 is now. */
  readonly time: number
}

/** @throws DecodeError `senml`, `number` */
export function decodeSenmlJson(data: Buffer): PathRecord[] {
  return pathsOf(parsed(() => JSON.parse(data.toString())))
}

/** @throws DecodeError `senml`, `number` */
export function decodeSenmlCbor(data: Buffer): PathRecord[] {
  return pathsOf(parsed(() => decode(data, { useMaps: true, rejectDuplicateMapKeys: true })))
}

const NEW_LABELS: Readonly<Record<string, string>> = { sv: 'vs', bv: 'vb', ov: 'vlo' }

/** @throws DecodeError `senml`, `number` */
export function decodeLwm2mJson(data: Buffer): PathRecord[] {
  const { e: elements, bn, bt } = objectOf(parsed(() => JSON.parse(data.toString())))
  if (!Array.isArray(elements)) throw new DecodeError('senml', 'LwM2M JSON has no list e')
  const base = { ...(bn !== undefined && { bn }), ...(bt !== undefined && { bt }) }
  const records = elements.map((element, i) => {
    const entries = Object.entries(objectOf(element)).map(([label, value]) => [NEW_LABELS[label] ?? label, value])
    return i === 0 ? { ...base, ...Object.fromEntries(entries) } : Object.fromEntries(entries)
  })
  return pathsOf(records)
}

function pathsOf(list: unknown): PathRecord[] {
  // An integral is none of a resource's values.
  const values = readRecords(list).filter(({ isSum }) => !isSum)
  return values.map(({ baseName, name, value, time }) => ({ name: baseName + name, value, time }))
}

function parsed(parse: () => unknown): unknown {
  try {
    return parse()
  } catch (cause) {
    throw new DecodeError('senml', `cannot be read: ${reasonOf(cause)}`, { cause })
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DecodeError('senml', 'a record is no object')
  return value as Readonly<Record<string, unknown>>
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
