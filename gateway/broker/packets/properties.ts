/**
 * Properties of MQTT 5 packets (section 2.2.2): length | id | value | id | value …
 *
 * Which may stand in which packet, and that none but the user property may come twice, is checked here (MQTT-3.1.2-28
 * and its likes). PUBLISH has a reader of its own, `publish-properties.ts`, that allocates nothing.
 */
import { protocolError } from '../reasons.ts'
import type { PacketReader } from './reader.ts'

export const PAYLOAD_FORMAT = 0x01
export const MESSAGE_EXPIRY = 0x02
export const CONTENT_TYPE = 0x03
export const RESPONSE_TOPIC = 0x08
export const CORRELATION_DATA = 0x09
export const SUBSCRIPTION_IDENTIFIER = 0x0b
export const SESSION_EXPIRY = 0x11
export const ASSIGNED_CLIENT = 0x12
export const SERVER_KEEP_ALIVE = 0x13
export const AUTHENTICATION_METHOD = 0x15
export const AUTHENTICATION_DATA = 0x16
export const REQUEST_PROBLEM = 0x17
export const WILL_DELAY = 0x18
export const REQUEST_RESPONSE = 0x19
export const REASON_STRING = 0x1f
export const RECEIVE_MAXIMUM = 0x21
export const TOPIC_ALIAS_MAXIMUM = 0x22
export const TOPIC_ALIAS = 0x23
export const USER_PROPERTY = 0x26
export const MAXIMUM_PACKET = 0x27

export type PropertyValue = number | string | Buffer

/** How the value of each property is read. */
const TYPES = new Map<number, (reader: PacketReader) => PropertyValue>([
  [PAYLOAD_FORMAT, flag],
  [MESSAGE_EXPIRY, (reader) => reader.four()],
  [CONTENT_TYPE, (reader) => reader.text()],
  [RESPONSE_TOPIC, (reader) => reader.text()],
  [CORRELATION_DATA, (reader) => reader.binary()],
  [SUBSCRIPTION_IDENTIFIER, (reader) => positive(reader.variable())],
  [SESSION_EXPIRY, (reader) => reader.four()],
  [AUTHENTICATION_METHOD, (reader) => reader.text()],
  [AUTHENTICATION_DATA, (reader) => reader.binary()],
  [REQUEST_PROBLEM, flag],
  [WILL_DELAY, (reader) => reader.four()],
  [REQUEST_RESPONSE, flag],
  [REASON_STRING, (reader) => reader.text()],
  [RECEIVE_MAXIMUM, (reader) => positive(reader.two())],
  [TOPIC_ALIAS_MAXIMUM, (reader) => reader.two()],
  [USER_PROPERTY, pair],
  [MAXIMUM_PACKET, (reader) => positive(reader.four())],
])

export class Properties {
  readonly #values = new Map<number, PropertyValue>()
  /** Bytes of those that are handed on with a message, in their order (MQTT-3.3.2-18). */
  readonly #forwarded: Buffer[] = []

  number(id: number): number | undefined {
    const value = this.#values.get(id)
    return typeof value === 'number' ? value : undefined
  }

  has(id: number): boolean {
    return this.#values.has(id)
  }

  get forwarded(): Buffer {
    return Buffer.concat(this.#forwarded)
  }

  set(id: number, value: PropertyValue, bytes: Buffer): void {
    if (this.#values.has(id) && id !== USER_PROPERTY) throw protocolError(`property ${id} comes twice`)
    this.#values.set(id, value)
    if (FORWARDED.has(id)) this.#forwarded.push(bytes)
  }
}

/** What a subscriber gets as the publisher wrote it (MQTT-3.3.2-4, -15, -16, -17, -20). */
const FORWARDED = new Set([PAYLOAD_FORMAT, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY])

/** @param allowed ids that may stand in this packet */
export function readProperties(reader: PacketReader, allowed: ReadonlySet<number>): Properties {
  const properties = new Properties()
  const length = reader.variable()
  const end = reader.at + length
  if (end > reader.end) throw protocolError('properties are longer than their packet')
  while (reader.at < end) {
    const start = reader.at
    const id = reader.byte()
    const read = TYPES.get(id)
    if (!read || !allowed.has(id)) throw protocolError(`property ${id} may not stand here`)
    const value = read(reader)
    properties.set(id, value, reader.bytes.subarray(start, reader.at))
  }
  if (reader.at !== end) throw protocolError('a property is longer than all of them')
  return properties
}

function flag(reader: PacketReader): number {
  const value = reader.byte()
  if (value > 1) throw protocolError('a flag is neither 0 nor 1')
  return value
}

function positive(value: number): number {
  if (value === 0) throw protocolError('0 is not allowed here')
  return value
}

function pair(reader: PacketReader): string {
  reader.text()
  return reader.text()
}
