/**
 * The properties of a PUBLISH (MQTT 5 section 3.3.2.3), read in place: one object serves all packets, and nothing is
 * allocated unless somebody wants them. Subscribers get them as the publisher wrote them, but for the topic alias,
 * which is between the publisher and us, and the expiry, which is counted down.
 */
import { isUtf8 } from 'node:buffer'
import { MALFORMED_PACKET, PROTOCOL_ERROR } from '../reasons.ts'
import {
  CONTENT_TYPE,
  CORRELATION_DATA,
  MESSAGE_EXPIRY,
  PAYLOAD_FORMAT,
  RESPONSE_TOPIC,
  TOPIC_ALIAS,
  USER_PROPERTY,
} from './properties.ts'

const NONE = Buffer.alloc(0)
const PLUS = 43
const HASH = 35

export class PublishProperties {
  /** -1: none. 0 is for the caller to refuse. */
  alias = -1
  /** s, -1: none. */
  expiry = -1
  /** The content type is bytes[typeStart, typeEnd); empty: none. */
  typeStart = 0
  typeEnd = 0
  /** Bytes that are handed on. */
  forwardedLength = 0
  #start = 0
  #end = 0

  clear(): void {
    this.alias = -1
    this.expiry = -1
    this.typeStart = 0
    this.typeEnd = 0
    this.forwardedLength = 0
    this.#start = 0
    this.#end = 0
  }

  /**
   * Reads the properties that begin at `at`.
   *
   * @returns where the payload begins, or a reason code, negative, when they are not good
   */
  read(bytes: Buffer, at: number, end: number): number {
    this.clear()
    if (at < end && bytes[at] === 0) return at + 1
    let length = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 21) return -MALFORMED_PACKET
      const byte = bytes[at++] as number
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    this.#start = at
    this.#end = at + length
    if (this.#end > end) return -PROTOCOL_ERROR
    let seen = 0
    while (at < this.#end) {
      const id = bytes[at] as number
      const next = this.#valueEnd(bytes, id, at + 1)
      if (next < 0 || next > this.#end) return -PROTOCOL_ERROR
      // MQTT-3.3.2-19 and its likes: only user properties may repeat.
      if (id !== USER_PROPERTY) {
        if (seen & (1 << (id & 31))) return -PROTOCOL_ERROR
        seen |= 1 << (id & 31)
      }
      if (!this.#take(bytes, id, at + 1, next)) return -PROTOCOL_ERROR
      if (id !== TOPIC_ALIAS && id !== MESSAGE_EXPIRY) this.forwardedLength += next - at
      at = next
    }
    return at
  }

  /** A copy of what is handed on. */
  forwarded(bytes: Buffer): Buffer {
    if (this.forwardedLength === 0) return NONE
    const copy = Buffer.allocUnsafe(this.forwardedLength)
    let to = 0
    for (let at = this.#start; at < this.#end; ) {
      const id = bytes[at] as number
      const next = this.#valueEnd(bytes, id, at + 1)
      if (id !== TOPIC_ALIAS && id !== MESSAGE_EXPIRY) to += bytes.copy(copy, to, at, next)
      at = next
    }
    return copy
  }

  /** Where a value ends, -1 when the property may not stand here or is cut short. */
  #valueEnd(bytes: Buffer, id: number, at: number): number {
    switch (id) {
      case PAYLOAD_FORMAT:
        return at + 1
      case MESSAGE_EXPIRY:
        return at + 4
      case TOPIC_ALIAS:
        return at + 2
      case CONTENT_TYPE:
      case RESPONSE_TOPIC:
      case CORRELATION_DATA:
        return this.#textEnd(bytes, at)
      case USER_PROPERTY: {
        const value = this.#textEnd(bytes, at)
        return value < 0 ? -1 : this.#textEnd(bytes, value)
      }
      default:
        return -1
    }
  }

  #textEnd(bytes: Buffer, at: number): number {
    if (at + 2 > this.#end) return -1
    return at + 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] as number))
  }

  /** False: the value is not allowed. */
  #take(bytes: Buffer, id: number, start: number, end: number): boolean {
    switch (id) {
      case TOPIC_ALIAS:
        this.alias = bytes.readUInt16BE(start)
        return true
      case MESSAGE_EXPIRY:
        this.expiry = bytes.readUInt32BE(start)
        return true
      case PAYLOAD_FORMAT:
        return (bytes[start] as number) <= 1
      case CONTENT_TYPE:
        this.typeStart = start + 2
        this.typeEnd = end
        return isText(bytes, start + 2, end)
      case RESPONSE_TOPIC:
        return isText(bytes, start + 2, end) && !hasWildcard(bytes, start + 2, end)
      case USER_PROPERTY: {
        const value = this.#textEnd(bytes, start)
        return isText(bytes, start + 2, value) && isText(bytes, value + 2, end)
      }
      default:
        return true
    }
  }
}

/** UTF-8 without NUL (MQTT-1.5.4-1, -2). */
function isText(bytes: Buffer, start: number, end: number): boolean {
  let ascii = true
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte === 0) return false
    if (byte > 127) ascii = false
  }
  return ascii || isUtf8(bytes.subarray(start, end))
}

/** MQTT-3.3.2-14 */
function hasWildcard(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] === PLUS || bytes[i] === HASH) return true
  return false
}
