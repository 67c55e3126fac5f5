/**
 * SenML as telemetry (`codec/senml.ts` reads it).
 *
 * - Records of one time are one reading. A name that comes twice at one time begins another reading.
 * - The device is the topic's; a field is called by what the record's name adds to the device.
 * - Times below 2^28 s are relative to now, and 0 is now. An integral is the field `….sum`, bytes are text in base64url.
 */
import { isSenmlLabel, labelled, RELATIVE, readRecords, type SenmlValue } from '../../codec/senml.ts'
import { DecodeError } from '../errors.ts'

/** Records of one time. */
export interface SenmlGroup {
  /** ms since the epoch; undefined when the records say "now". */
  readonly time: number | undefined
  readonly fields: ReadonlyMap<string, string | number | boolean>
}

const VALUES = ['v', 'vs', 'vb', 'vd', 's'] as const

/** Whether a parsed text can only be SenML: all its labels are SenML's, and it starts with a name and a value. */
export function isSenml(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false
  const records = value.map(labelled)
  const [first] = records
  if (!first || !records.every((record) => record && [...record.keys()].every(isSenmlLabel))) return false
  if (typeof first.get('bn') !== 'string' && typeof first.get('n') !== 'string') return false
  return records.some((record) => record && VALUES.some((label) => record.has(label)))
}

/** Whether the first key in a list of objects, which begins at `i`, is one of SenML's labels. */
export function beginsLikeSenml(bytes: Buffer, i: number, last: number): boolean {
  const head = bytes.toString('latin1', i, Math.min(last, i + 40))
  const label = /^\s*\{\s*"(\w+)"/.exec(head)?.[1]
  return label !== undefined && isSenmlLabel(label)
}

/**
 * @param device prefix of the names that stands for the device
 * @param received now, ms since the epoch
 * @throws DecodeError `senml`, `number`, `empty`
 */
export function readSenml(value: unknown, device: string, received: number): SenmlGroup[] {
  const groups: { time: number | undefined; fields: Map<string, string | number | boolean> }[] = []
  const current = new Map<number | undefined, Map<string, string | number | boolean>>()
  for (const { baseName, name, time: seconds, value: found, isSum } of readRecords(value)) {
    const field = fieldName(baseName, name, device) + (isSum ? '.sum' : '')
    const time = timeOf(seconds, received)
    let fields = current.get(time)
    if (!fields || fields.has(field)) {
      fields = new Map()
      current.set(time, fields)
      groups.push({ time, fields })
    }
    fields.set(field, printable(found))
  }
  if (groups.length === 0) throw new DecodeError('empty', 'no record has a value')
  return groups
}

function printable(value: SenmlValue): string | number | boolean {
  return Buffer.isBuffer(value) ? value.toString('base64url') : value
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
