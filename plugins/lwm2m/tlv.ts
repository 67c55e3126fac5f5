/**
 * OMA TLV (LwM2M Core 1.1 §7.4.3): a list of
 *
 *     | kind(2) wide id(1) length of length(2) length(3) | id (1 or 2 bytes) | length (0–3 bytes) | value |
 *
 *   kind   0 object instance    holds 2 and 3          2 multiple resource   holds 1
 *          1 resource instance  holds a value          3 resource            holds a value
 *
 * Numbers are big-endian two's complement of 1, 2, 4 or 8 bytes, floats have 4 or 8, a boolean is 0 or 1, a link is two
 * numbers of 16 bits. Reading is strict: what is cut off, or stands where it may not, makes the whole wrong.
 */
import { DecodeError } from '../../gateway/errors.ts'

export const INSTANCE = 0
export const RESOURCE_INSTANCE = 1
export const MULTIPLE = 2
export const RESOURCE = 3
export type TlvKind = typeof INSTANCE | typeof RESOURCE_INSTANCE | typeof MULTIPLE | typeof RESOURCE

export interface TlvNode {
  readonly kind: TlvKind
  readonly id: number
  /** Of kinds 1 and 3; a view of what was read. */
  readonly value: Buffer
  /** Of kinds 0 and 2. */
  readonly children: readonly TlvNode[]
}

const EMPTY = Buffer.alloc(0)

/** @throws DecodeError `tlv` */
export function decodeTlv(data: Buffer): TlvNode[] {
  return readList(data, undefined)
}

function readList(data: Buffer, parent: TlvKind | undefined): TlvNode[] {
  const nodes: TlvNode[] = []
  let at = 0
  while (at < data.length) {
    const head = data[at] as number
    const idBytes = head & 0x20 ? 2 : 1
    const lengthBytes = (head >> 3) & 3
    const start = at + 1 + idBytes + lengthBytes
    if (start > data.length) throw new DecodeError('tlv', 'the head of a TLV is cut off')
    const id = data.readUIntBE(at + 1, idBytes)
    const length = lengthBytes === 0 ? head & 7 : data.readUIntBE(at + 1 + idBytes, lengthBytes)
    if (start + length > data.length) throw new DecodeError('tlv', `the value of TLV ${id} is cut off`)
    nodes.push(nodeOf((head >> 6) as TlvKind, id, data.subarray(start, start + length), parent))
    at = start + length
  }
  return nodes
}

function nodeOf(kind: TlvKind, id: number, value: Buffer, parent: TlvKind | undefined): TlvNode {
  if (!mayStandIn(kind, parent)) throw new DecodeError('tlv', `TLV ${id} stands where it may not`)
  const nested = kind === INSTANCE || kind === MULTIPLE
  return nested ? { kind, id, value: EMPTY, children: readList(value, kind) } : { kind, id, value, children: [] }
}

function mayStandIn(kind: TlvKind, parent: TlvKind | undefined): boolean {
  if (parent === undefined) return true
  if (parent === INSTANCE) return kind === MULTIPLE || kind === RESOURCE
  return kind === RESOURCE_INSTANCE
}

/** @param content a value's bytes, or what `encodeTlv` gave for the nodes inside */
export function encodeTlv(kind: TlvKind, id: number, content: Uint8Array): Buffer {
  const { length } = content
  const idBytes = id > 255 ? 2 : 1
  const lengthBytes = length < 8 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3
  const data = Buffer.allocUnsafe(1 + idBytes + lengthBytes + length)
  data[0] = (kind << 6) | (idBytes === 2 ? 0x20 : 0) | (lengthBytes << 3) | (lengthBytes === 0 ? length : 0)
  data.writeUIntBE(id, 1, idBytes)
  if (lengthBytes > 0) data.writeUIntBE(length, 1 + idBytes, lengthBytes)
  data.set(content, 1 + idBytes + lengthBytes)
  return data
}

/** @throws DecodeError `tlv` when the length is none of 1, 2, 4 and 8 */
export function tlvInteger(value: Buffer): number {
  if (value.length === 8) return Number(value.readBigInt64BE())
  if (value.length !== 1 && value.length !== 2 && value.length !== 4)
    throw new DecodeError('tlv', `an integer of ${value.length} bytes`)
  return value.readIntBE(0, value.length)
}

/** @throws DecodeError `tlv` when the length is neither 4 nor 8 */
export function tlvFloat(value: Buffer): number {
  if (value.length === 4) return shortest(value.readFloatBE())
  if (value.length === 8) return value.readDoubleBE()
  throw new DecodeError('tlv', `a float of ${value.length} bytes`)
}

/** The shortest decimal that is this float of 32 bits: 21.1, not 21.100000381469727. */
function shortest(float: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(float.toPrecision(digits))
    if (Math.fround(decimal) === float) return decimal
  }
  return float
}

/** @throws DecodeError `tlv` */
export function tlvBoolean(value: Buffer): boolean {
  if (value.length !== 1 || (value[0] as number) > 1) throw new DecodeError('tlv', 'a boolean is neither 0 nor 1')
  return value[0] === 1
}

/** In as few bytes as it needs. */
export function integerBytes(number: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(Math.trunc(number)))
  if (number >= -0x80 && number < 0x80) return bytes.subarray(7)
  if (number >= -0x8000 && number < 0x8000) return bytes.subarray(6)
  return number >= -0x80000000 && number < 0x80000000 ? bytes.subarray(4) : bytes
}

export function floatBytes(number: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleBE(number)
  return bytes
}
