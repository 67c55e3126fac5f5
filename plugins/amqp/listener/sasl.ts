/**
 * The server's side of SASL (AMQP 1.0 part 5, 5.3), PLAIN (RFC 4616) and ANONYMOUS (RFC 4505), in bytes: who is not
 * yet known reaches nothing else.
 *
 *     peer "AMQP" 3 1 0 0  ─▶  "AMQP" 3 1 0 0, mechanisms   ─▶  init  ─▶  outcome  ─▶  "AMQP" 0 1 0 0 …
 */
import { bytesOf, descriptorOf, MalformedError, openList, skip } from '../types.ts'

export const SASL_HEADER = Buffer.from('AMQP\x03\x01\x00\x00', 'latin1')
export const AMQP_HEADER = Buffer.from('AMQP\x00\x01\x00\x00', 'latin1')

/** Codes of an outcome (5.3.3.6). */
export const OK = 0
export const AUTH = 1
export const SYSTEM_TEMPORARY = 4

const INIT = 0x41

export interface Init {
  readonly mechanism: string
  readonly response: Buffer
}

export interface PlainCredentials {
  readonly user: string
  readonly password: Buffer
}

/** The frame that offers mechanisms. */
export function mechanismsFrame(mechanisms: readonly string[]): Buffer {
  const symbols = Buffer.concat(mechanisms.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`)))
  // array8 of sym8, in a list8 of one
  const array = Buffer.concat([Buffer.from([0xe0, symbols.length + 2, mechanisms.length, 0xa3]), symbols])
  return frame(0x40, Buffer.concat([Buffer.from([0xc0, array.length + 1, 1]), array]))
}

export function outcomeFrame(code: number): Buffer {
  return frame(0x44, Buffer.from([0xc0, 3, 1, 0x50, code]))
}

function frame(descriptor: number, list: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, 0, 2, 1, 0, 0, 0, 0x53, descriptor])
  head.writeUInt32BE(head.length + list.length)
  return Buffer.concat([head, list])
}

/**
 * @param bytes one whole frame
 * @throws MalformedError
 */
export function readInit(bytes: Buffer): Init {
  const end = bytes.length
  const start = 4 * (bytes[4] as number)
  if (bytes[5] !== 1 || start < 8 || descriptorOf(bytes, start, end) !== INIT)
    throw new MalformedError('not a SASL init frame')
  const value = skip(bytes, start + 1, end)
  skip(bytes, value, end)
  const list = openList(bytes, value, end)
  const mechanism = list.count > 0 ? bytesOf(bytes, list.at, end) : undefined
  if (!mechanism) throw new MalformedError('a SASL init frame without a mechanism')
  const second = skip(bytes, list.at, end)
  const response = list.count > 1 ? bytesOf(bytes, second, end) : undefined
  return { mechanism: mechanism.toString('latin1'), response: response ?? Buffer.alloc(0) }
}

/** `[authorization identity] NUL user NUL password`; undefined when it is not, or asks to act as somebody else. */
export function readPlain(response: Buffer): PlainCredentials | undefined {
  const first = response.indexOf(0)
  const second = response.indexOf(0, first + 1)
  if (first < 0 || second < 0 || response.indexOf(0, second + 1) >= 0) return undefined
  const user = response.toString('utf8', first + 1, second)
  const identity = response.toString('utf8', 0, first)
  if (user === '' || (identity !== '' && identity !== user)) return undefined
  return { user, password: Buffer.from(response.subarray(second + 1)) }
}
