/** What a device says or is told, in whatever format: values, each with its path. */
import { isUtf8 } from 'node:buffer'
import { DecodeError } from '../../gateway/errors.ts'
import { LWM2M_TLV, OCTET_STREAM, SENML_CBOR, SENML_JSON, TEXT_PLAIN } from '../coap/content-format.ts'
import type { Catalog } from './catalog.ts'
import type { ValueType } from './objects.ts'
import { formatPath, type Path, parsePath } from './path.ts'
import {
  decodeLwm2mJson,
  decodeSenmlCbor,
  decodeSenmlJson,
  encodeSenmlCbor,
  encodeSenmlJson,
  type PathRecord,
  type SenmlItem,
} from './senml.ts'
import {
  decodeTlv,
  encodeTlv,
  floatBytes,
  INSTANCE,
  integerBytes,
  MULTIPLE,
  RESOURCE,
  RESOURCE_INSTANCE,
  type TlvNode,
  tlvBoolean,
  tlvFloat,
  tlvInteger,
} from './tlv.ts'

/** A link is a text `object:instance`, a time seconds since the epoch. */
export type Value = number | string | boolean | Buffer

export interface Entry {
  readonly path: Path
  readonly value: Value
  /** s as in SenML; 0 is now. */
  readonly time: number
}

const LWM2M_JSON = 11543
/** Numbers before they were registered; LwM2M 1.0 clients still send them. */
const OLD_TLV = 1542
const OLD_JSON = 1543
const OLD_TEXT = 1541

/**
 * @param base what was asked for; the values of SenML are inside it
 * @throws DecodeError `tlv`, `senml`, `text`, `format`, `path`
 */
export function decodeContent(format: number | undefined, data: Buffer, base: Path, catalog: Catalog): Entry[] {
  switch (format ?? TEXT_PLAIN) {
    case LWM2M_TLV:
    case OLD_TLV:
      return tlvEntries(decodeTlv(data), base, catalog)
    case SENML_JSON:
      return senmlEntries(decodeSenmlJson(data), catalog)
    case SENML_CBOR:
      return senmlEntries(decodeSenmlCbor(data), catalog)
    case LWM2M_JSON:
    case OLD_JSON:
      return senmlEntries(decodeLwm2mJson(data), catalog)
    case TEXT_PLAIN:
    case OLD_TEXT:
      return [{ path: resourcePath(base), value: ofText(data, catalog.type(base)), time: 0 }]
    case OCTET_STREAM:
      return [{ path: resourcePath(base), value: data, time: 0 }]
    default:
      throw new DecodeError('format', `content format ${format} is none of LwM2M`)
  }
}

function resourcePath(base: Path): Path {
  if (base.length < 3) throw new DecodeError('path', `${formatPath(base)} is no single resource`)
  return base
}

function senmlEntries(records: readonly PathRecord[], catalog: Catalog): Entry[] {
  return records.map(({ name, value, time }) => {
    const path = parsePath(name)
    if (!path || path.length < 3) throw new DecodeError('path', `${name.slice(0, 60)} is no path of a resource`)
    return { path, value: catalog.type(path) === 'boolean' && typeof value === 'number' ? value !== 0 : value, time }
  })
}

function tlvEntries(nodes: readonly TlvNode[], base: Path, catalog: Catalog): Entry[] {
  const entries: Entry[] = []
  const add = (path: Path, node: TlvNode) =>
    entries.push({ path, value: ofTlv(node.value, catalog.type(path)), time: 0 })
  const visit = (node: TlvNode, parent: Path) => {
    const path = [...parent, node.id]
    if (node.kind === RESOURCE || node.kind === RESOURCE_INSTANCE) add(path, node)
    else for (const child of node.children) visit(child, path)
  }
  for (const node of nodes) visit(node, parentOf(node, base))
  return entries
}

/** The path a node of the outermost list is in. @throws DecodeError `tlv` when it is not inside what was asked for */
function parentOf(node: TlvNode, base: Path): Path {
  const depth = node.kind === INSTANCE ? 1 : node.kind === RESOURCE_INSTANCE ? 3 : 2
  // A client with one instance of the object may leave its number out.
  const parent =
    base.length >= depth ? base.slice(0, depth) : depth === 2 && base.length === 1 ? [...base, 0] : undefined
  if (!parent || (base[depth] !== undefined && base[depth] !== node.id))
    throw new DecodeError('tlv', `TLV ${node.id} is not part of ${formatPath(base)}`)
  return parent
}

function ofTlv(data: Buffer, type: ValueType | undefined): Value {
  switch (type) {
    case 'integer':
    case 'time':
      return tlvInteger(data)
    case 'float':
      return tlvFloat(data)
    case 'boolean':
      return tlvBoolean(data)
    case 'text':
      return data.toString()
    case 'link':
      if (data.length !== 4) throw new DecodeError('tlv', `a link of ${data.length} bytes`)
      return `${data.readUInt16BE(0)}:${data.readUInt16BE(2)}`
    case 'opaque':
      return data
    default:
      return guessed(data)
  }
}

/** TLV does not say what a value is: text when it reads like one, else a number when it is as long as one. */
function guessed(data: Buffer): Value {
  if (isUtf8(data) && /^[\t\n\r\x20-\x7e\u00a0-\uffff]*$/.test(data.toString())) return data.toString()
  if ([1, 2, 4, 8].includes(data.length)) return tlvInteger(data)
  return data
}

/** @throws DecodeError `text` */
function ofText(data: Buffer, type: ValueType | undefined): Value {
  const text = data.toString().trim()
  switch (type) {
    case 'integer':
    case 'time':
    case 'float':
      if (!NUMBER.test(text)) throw new DecodeError('text', `no number: ${text.slice(0, 60)}`)
      return Number(text)
    case 'boolean':
      if (!/^(0|1|true|false)$/.test(text)) throw new DecodeError('text', `no boolean: ${text.slice(0, 60)}`)
      return text === '1' || text === 'true'
    case 'opaque':
      return Buffer.from(text, 'base64')
    case undefined:
      return NUMBER.test(text) ? Number(text) : data.toString()
    default:
      return data.toString()
  }
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

export interface Content {
  readonly format: number
  readonly payload: Buffer
}

/**
 * The ways to write values at a path, best first; a device that does not take one is sent the next.
 *
 * @param value of a resource; of an instance an object of resources by number; of a resource with several values an
 *   object of those by number
 * @throws DecodeError `value` when it cannot stand there
 */
export function encodings(path: Path, value: unknown, catalog: Catalog): Content[] {
  const items = itemsAt(path, value, catalog)
  const tlv = { format: LWM2M_TLV, payload: tlvOf(items, path, catalog) }
  const named = items.map(({ path: at, value: v }) => senmlItem(at, v, catalog))
  const more = [
    { format: SENML_CBOR, payload: encodeSenmlCbor(named) },
    { format: SENML_JSON, payload: encodeSenmlJson(named) },
  ]
  const single = items[0]
  if (path.length < 3 || items.length !== 1 || single?.path.length !== path.length) return [tlv, ...more]
  const plain = Buffer.isBuffer(single.value)
    ? { format: OCTET_STREAM, payload: single.value }
    : { format: TEXT_PLAIN, payload: Buffer.from(plainText(single.value)) }
  // Text says the same whatever type the device thinks of; TLV does not.
  return catalog.type(path) === undefined ? [plain, ...more, tlv] : [tlv, plain, ...more]
}

function plainText(value: Value): string {
  return typeof value === 'boolean' ? (value ? '1' : '0') : String(value)
}

function senmlItem(path: Path, value: Value, catalog: Catalog): SenmlItem {
  return { name: formatPath(path), value, link: catalog.type(path) === 'link' }
}

interface Item {
  readonly path: Path
  readonly value: Value
}

function itemsAt(path: Path, value: unknown, catalog: Catalog): Item[] {
  if (path.length >= 3 && isObject(value))
    return Object.entries(value).flatMap(([id, inner]) => itemsAt([...path, idOf(id)], inner, catalog))
  if (path.length >= 3) return [{ path, value: checkedValue(value, catalog.type(path)) }]
  if (!isObject(value)) throw new DecodeError('value', `${formatPath(path)} needs an object of values by number`)
  return Object.entries(value).flatMap(([id, inner]) => itemsAt([...path, idOf(id)], inner, catalog))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Buffer.isBuffer(value)
}

function idOf(text: string): number {
  const path = parsePath(text)
  if (path?.length !== 1) throw new DecodeError('value', `${text.slice(0, 60)} is no number of a resource`)
  return path[0] as number
}

function checkedValue(value: unknown, type: ValueType | undefined): Value {
  if (type === 'boolean' && (value === 0 || value === 1)) return value === 1
  if (type === 'opaque' && typeof value === 'string') return Buffer.from(value, 'base64')
  if ((type === 'text' || type === 'link') && typeof value === 'number') return String(value)
  if (typeof value === 'number' && Number.isFinite(value)) {
    if ((type === 'integer' || type === 'time') && !Number.isSafeInteger(value))
      throw new DecodeError('value', `${value} is no integer`)
    if (type !== 'boolean' && type !== 'opaque') return value
  }
  const numeric = type === 'integer' || type === 'time' || type === 'float'
  if (typeof value === 'boolean' && (type === 'boolean' || type === undefined)) return value
  if (typeof value === 'string' && !numeric && type !== 'boolean') return value
  throw new DecodeError('value', `a ${type ?? 'value'} cannot be ${String(JSON.stringify(value)).slice(0, 60)}`)
}

/** Grouped again by the levels below `base`. */
function tlvOf(items: readonly Item[], base: Path, catalog: Catalog): Buffer {
  const depth = Math.min(base.length, 3)
  // A single resource stands in its instance, a single resource instance in its resource's list.
  return level(items, base.length === 4 ? 3 : depth === 3 ? 2 : depth, catalog)
}

function level(items: readonly Item[], depth: number, catalog: Catalog): Buffer {
  const groups = new Map<number, Item[]>()
  for (const item of items) {
    const id = item.path[depth] as number
    groups.set(id, [...(groups.get(id) ?? []), item])
  }
  return Buffer.concat([...groups].map(([id, inside]) => nodeAt(id, inside, depth, catalog)))
}

function nodeAt(id: number, inside: readonly Item[], depth: number, catalog: Catalog): Buffer {
  const first = inside[0] as Item
  if (first.path.length === depth + 1)
    return encodeTlv(depth === 3 ? RESOURCE_INSTANCE : RESOURCE, id, tlvBytes(first.value, catalog.type(first.path)))
  return encodeTlv(depth === 1 ? INSTANCE : MULTIPLE, id, level(inside, depth + 1, catalog))
}

function tlvBytes(value: Value, type: ValueType | undefined): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0])
  if (typeof value === 'number')
    return type === 'float' || !Number.isSafeInteger(value) ? floatBytes(value) : integerBytes(value)
  if (type !== 'link') return Buffer.from(value)
  const [object, instance] = value.split(':').map(Number)
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE((object ?? 0) & 0xffff, 0)
  bytes.writeUInt16BE((instance ?? 0) & 0xffff, 2)
  return bytes
}
