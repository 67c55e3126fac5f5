/** SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (sections 3.8 to 3.11). */
import { malformed, protocolError, UNSPECIFIED } from '../reasons.ts'
import { isTopicFilter } from '../topics.ts'
import type { Version } from './connect.ts'
import { readProperties, SUBSCRIPTION_IDENTIFIER, USER_PROPERTY } from './properties.ts'
import type { PacketReader } from './reader.ts'
import { PacketWriter } from './writer.ts'

const SUBACK = 0x90
const UNSUBACK = 0xb0

export interface SubscribeRequest {
  /** As the client wrote it, `$share/…` and all. */
  readonly filter: string
  readonly share: string | null
  /** Without the share. */
  readonly topics: string
  readonly qos: 0 | 1 | 2
  /** Not what the client itself publishes. */
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** Retained messages: 0 always, 1 only when the subscription is new, 2 never. */
  readonly retainHandling: number
}

export interface Subscribe {
  readonly id: number
  /** 0: none. */
  readonly identifier: number
  readonly requests: readonly SubscribeRequest[]
}

export interface Unsubscribe {
  readonly id: number
  readonly filters: readonly string[]
}

const SUBSCRIBE_PROPERTIES = new Set([SUBSCRIPTION_IDENTIFIER, USER_PROPERTY])
const UNSUBSCRIBE_PROPERTIES = new Set([USER_PROPERTY])

/** @throws MqttError */
export function parseSubscribe(reader: PacketReader, version: Version): Subscribe {
  const id = reader.id()
  const properties = version === 5 ? readProperties(reader, SUBSCRIBE_PROPERTIES) : undefined
  const requests: SubscribeRequest[] = []
  while (reader.left > 0) requests.push(readRequest(reader, version))
  // MQTT-3.8.3-2 (3.1.1: -3)
  if (requests.length === 0) throw malformed('a SUBSCRIBE without a filter')
  return { id, identifier: properties?.number(SUBSCRIPTION_IDENTIFIER) ?? 0, requests }
}

function readRequest(reader: PacketReader, version: Version): SubscribeRequest {
  const filter = reader.text()
  const options = reader.byte()
  const qos = options & 3
  const retainHandling = (options >> 4) & 3
  // Reserved bits (MQTT-3.8.3-5; 3.1.1: MQTT-3.8.3-4)
  if (qos === 3 || retainHandling === 3 || options & (version === 5 ? 0xc0 : 0xfc))
    throw malformed('reserved bits of a subscription are set')
  const { share, topics } = splitShare(filter)
  const noLocal = (options & 4) !== 0
  // MQTT-3.8.3-4
  if (share !== null && noLocal) throw protocolError('a shared subscription cannot be "no local"')
  return {
    filter,
    share,
    topics,
    qos: qos === 2 ? 2 : qos === 1 ? 1 : 0,
    noLocal,
    retainAsPublished: (options & 8) !== 0,
    retainHandling,
  }
}

/** `$share/{name}/{filter}`: one of those who share the name gets each message (MQTT 5 section 4.8.2). */
export function splitShare(filter: string): { share: string | null; topics: string } {
  if (!filter.startsWith('$share/')) {
    if (!isTopicFilter(filter)) throw malformed('a topic filter is none')
    return { share: null, topics: filter }
  }
  const end = filter.indexOf('/', 7)
  const share = filter.slice(7, end)
  const topics = filter.slice(end + 1)
  // MQTT-4.8.2-1, -2
  if (end < 8 || /[+#]/.test(share) || !isTopicFilter(topics)) throw malformed('a shared topic filter is none')
  return { share, topics }
}

/** @throws MqttError */
export function parseUnsubscribe(reader: PacketReader, version: Version): Unsubscribe {
  const id = reader.id()
  if (version === 5) readProperties(reader, UNSUBSCRIBE_PROPERTIES)
  const filters: string[] = []
  while (reader.left > 0) {
    const filter = reader.text()
    splitShare(filter)
    filters.push(filter)
  }
  // MQTT-3.10.3-2
  if (filters.length === 0) throw malformed('an UNSUBSCRIBE without a filter')
  return { id, filters }
}

/** One code per filter, in their order (MQTT-3.8.4-5); MQTT 3.1.1 has one word for all that goes wrong. */
export function encodeSuback(version: Version, id: number, codes: readonly number[]): Buffer {
  const said = version === 5 ? codes : codes.map((code) => Math.min(code, UNSPECIFIED))
  return acknowledged(SUBACK, version, id, said)
}

export function encodeUnsuback(version: Version, id: number, codes: readonly number[]): Buffer {
  return acknowledged(UNSUBACK, version, id, version === 5 ? codes : [])
}

function acknowledged(first: number, version: Version, id: number, codes: readonly number[]): Buffer {
  const packet = new PacketWriter().two(id)
  if (version === 5) packet.byte(0)
  return packet.bytes(Buffer.from(codes)).packet(first)
}
