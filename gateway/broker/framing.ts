/**
 * The parts of MQTT 3.1.1 packets (section 2) that the guard looks at before aedes sees them.
 *
 *     type and flags | remaining length (1–4 bytes, 7 bits each, lowest first) | variable header, payload
 */
import { isTopicFilter, isTopicName, textOf } from './topics.ts'

export const CONNECT = 1
export const PUBLISH = 3
export const PUBREL = 6
export const SUBSCRIBE = 8
export const UNSUBSCRIBE = 10
export const PINGREQ = 12
export const DISCONNECT = 14

/** Before the CONNECT is accepted nothing larger is read. */
export const MAX_CONNECT = 64 * 1024

/** Lowest four bits of the first byte per type, -1 where a client may not send the type, -2 for PUBLISH (any). */
const FLAGS = [-1, 0, -1, -2, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, -1] as const

/** Whether a client may send a packet with this first byte (MQTT-2.2.2-1, MQTT-2.2.2-2). */
export function isClientHeader(first: number): boolean {
  const flags = FLAGS[first >> 4]
  return flags === -2 ? (first & 0x06) !== 0x06 : flags === (first & 0x0f)
}

/** Length of the packet at `start`, header included; 0: not known yet; -1: malformed. */
export function packetLength(bytes: Uint8Array, start: number, end: number): number {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const at = start + 1 + i
    if (at >= end) return 0
    const byte = bytes[at] as number
    length |= (byte & 0x7f) << (7 * i)
    if (byte < 128) return at + 1 - start + length
  }
  return -1
}

/** Where the variable header of a complete packet begins. */
export function bodyStart(bytes: Uint8Array, start: number): number {
  let at = start + 1
  while ((bytes[at] as number) > 127) at++
  return at + 1
}

/** What the guard needs to know of a CONNECT (section 3.1). */
export interface ConnectFacts {
  /** 3 for 3.1, 4 for 3.1.1, 5. */
  readonly version: number
  /** s, 0: none. */
  readonly keepalive: number
  /** Where the two bytes of the keepalive are. */
  readonly keepaliveAt: number
  readonly clean: boolean
  readonly client: string
}

/** @returns null when the packet is malformed */
export function readConnect(packet: Uint8Array): ConnectFacts | null {
  const cursor: Cursor = { bytes: packet, at: bodyStart(packet, 0) }
  const protocol = readText(cursor)
  if (cursor.at + 4 > packet.length || (protocol !== 'MQTT' && protocol !== 'MQIsdp')) return null
  // Bridges of mosquitto set the highest bit of the version.
  const version = (packet[cursor.at] as number) & 0x7f
  const flags = packet[cursor.at + 1] as number
  const keepaliveAt = cursor.at + 2
  const keepalive = ((packet[keepaliveAt] as number) << 8) | (packet[keepaliveAt + 1] as number)
  cursor.at += 4
  const facts = { version, keepalive, keepaliveAt, clean: (flags & 0x02) !== 0 }
  // Refused by its version alone; its properties are not ours to read.
  if (version !== 3 && version !== 4) return { ...facts, client: '' }
  const client = readText(cursor)
  if (client === null || !areConnectFlags(flags) || !readWill(cursor, flags)) return null
  if (flags & 0x80 && readText(cursor) === null) return null
  if (flags & 0x40 && !skipBinary(cursor)) return null
  return cursor.at === packet.length ? { ...facts, client } : null
}

function areConnectFlags(flags: number): boolean {
  const will = (flags & 0x04) !== 0
  const qos = (flags >> 3) & 3
  // Reserved bit (MQTT-3.1.2-3), will flags without a will (-11, -13, -15), password without a user (-22).
  if (flags & 0x01 || qos === 3 || (!will && (qos !== 0 || flags & 0x20))) return false
  return (flags & 0xc0) !== 0x40
}

function readWill(cursor: Cursor, flags: number): boolean {
  if (!(flags & 0x04)) return true
  const topic = readText(cursor)
  return topic !== null && isTopicName(topic) && skipBinary(cursor)
}

/** Whether a SUBSCRIBE or UNSUBSCRIBE has an id and only good filters, at least one (sections 3.8, 3.10). */
export function areFiltersGood(packet: Uint8Array, start: number, end: number): boolean {
  const qos = (packet[start] as number) >> 4 === SUBSCRIBE ? 1 : 0
  const cursor: Cursor = { bytes: packet.subarray(0, end), at: bodyStart(packet, start) + 2 }
  if (cursor.at >= end || ((packet[cursor.at - 2] as number) | (packet[cursor.at - 1] as number)) === 0) return false
  while (cursor.at < end) {
    const filter = readText(cursor)
    if (filter === null || !isTopicFilter(filter)) return false
    // Upper bits of the requested QoS are reserved (MQTT-3.8.3-4).
    if (qos && (cursor.at >= end || (packet[cursor.at] as number) > 2)) return false
    cursor.at += qos
  }
  return true
}

interface Cursor {
  readonly bytes: Uint8Array
  at: number
}

function readText(cursor: Cursor): string | null {
  const start = cursor.at + 2
  return skipBinary(cursor) ? textOf(cursor.bytes, start, cursor.at) : null
}

function skipBinary(cursor: Cursor): boolean {
  const { bytes, at } = cursor
  if (at + 2 > bytes.length) return false
  cursor.at = at + 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] as number))
  return cursor.at <= bytes.length
}
