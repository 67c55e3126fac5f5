/** CONNECT (MQTT 3.1.1 section 3.1, MQTT 5 section 3.1). */
import { malformed } from '../reasons.ts'
import { isTopicName } from '../topics.ts'
import {
  AUTHENTICATION_DATA,
  AUTHENTICATION_METHOD,
  CONTENT_TYPE,
  CORRELATION_DATA,
  MAXIMUM_PACKET,
  MESSAGE_EXPIRY,
  PAYLOAD_FORMAT,
  type Properties,
  RECEIVE_MAXIMUM,
  REQUEST_PROBLEM,
  REQUEST_RESPONSE,
  RESPONSE_TOPIC,
  readProperties,
  SESSION_EXPIRY,
  TOPIC_ALIAS_MAXIMUM,
  USER_PROPERTY,
  WILL_DELAY,
} from './properties.ts'
import { PacketReader } from './reader.ts'

/** Versions: 3 is MQTT 3.1, 4 is 3.1.1. */
export type Version = 3 | 4 | 5

export interface WillPacket {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Properties that go with it, encoded. */
  readonly properties: Buffer
  /** s; undefined: it does not expire. */
  readonly expiry: number | undefined
  /** Time between the loss of the connection and the will, s. */
  readonly delay: number
}

export interface Connect {
  readonly version: Version
  readonly clean: boolean
  /** s, 0: none. */
  readonly keepalive: number
  /** Empty: the gateway makes one up. */
  readonly client: string
  readonly will: WillPacket | null
  readonly user: string | undefined
  readonly password: Buffer | undefined
  /** How long the session outlives its connection, s; Infinity: for ever. */
  readonly sessionExpiry: number
  /** QoS 1 and 2 messages that may be on their way to the client. */
  readonly receiveMaximum: number
  /** Largest packet that the client takes, bytes. */
  readonly maximumPacket: number
  /** Topic aliases that the client takes. */
  readonly aliasMaximum: number
  /** It wants to log in by AUTH packets. */
  readonly enhanced: boolean
}

/** A version that is not spoken here. */
export interface UnknownVersion {
  readonly version: null
}

const CONNECT_PROPERTIES = new Set([
  SESSION_EXPIRY,
  RECEIVE_MAXIMUM,
  MAXIMUM_PACKET,
  TOPIC_ALIAS_MAXIMUM,
  REQUEST_RESPONSE,
  REQUEST_PROBLEM,
  USER_PROPERTY,
  AUTHENTICATION_METHOD,
  AUTHENTICATION_DATA,
])

const WILL_PROPERTIES = new Set([
  WILL_DELAY,
  PAYLOAD_FORMAT,
  MESSAGE_EXPIRY,
  CONTENT_TYPE,
  RESPONSE_TOPIC,
  CORRELATION_DATA,
  USER_PROPERTY,
])

const CLEAN = 0x02
const WILL = 0x04
const WILL_RETAIN = 0x20
const PASSWORD = 0x40
const USER = 0x80
/** "For ever" in a session expiry interval (section 3.1.2.11.2). */
const NEVER = 0xffff_ffff
const DEFAULT_RECEIVE_MAXIMUM = 65_535
/** MQTT 3.1.1 has no word for it; so many may be on their way to such a client. */
const RECEIVE_MAXIMUM_3 = 1_000

/** @throws MqttError when the packet is malformed */
export function parseConnect(packet: Buffer, body: number): Connect | UnknownVersion {
  const reader = new PacketReader(packet, body, packet.length)
  const protocol = reader.text()
  if (protocol !== 'MQTT' && protocol !== 'MQIsdp') throw malformed('another protocol')
  // Bridges of mosquitto set the highest bit of the version.
  const version = reader.byte() & 0x7f
  if (!isVersion(version) || (version === 3) !== (protocol === 'MQIsdp')) return { version: null }
  const flags = reader.byte()
  if (!areFlagsGood(flags, version)) throw malformed('reserved flags are set')
  const keepalive = reader.two()
  const properties = version === 5 ? readProperties(reader, CONNECT_PROPERTIES) : undefined
  const client = reader.text()
  const will = flags & WILL ? readWill(reader, flags, version) : null
  const user = flags & USER ? reader.text() : undefined
  const password = flags & PASSWORD ? reader.binary() : undefined
  reader.finish()
  const clean = (flags & CLEAN) !== 0
  return { version, clean, keepalive, client, will, user, password, ...terms(properties, clean) }
}

function isVersion(version: number): version is Version {
  return version === 3 || version === 4 || version === 5
}

function areFlagsGood(flags: number, version: Version): boolean {
  const will = (flags & WILL) !== 0
  const qos = (flags >> 3) & 3
  // Reserved bit (MQTT-3.1.2-3), will flags without a will (MQTT 3.1.1: -11, -13, -15).
  if (flags & 0x01 || qos === 3 || (!will && (qos !== 0 || flags & WILL_RETAIN))) return false
  // Password without a user: not before MQTT 5 (MQTT 3.1.1: -22).
  return version === 5 || (flags & (USER | PASSWORD)) !== PASSWORD
}

function readWill(reader: PacketReader, flags: number, version: Version): WillPacket {
  const properties = version === 5 ? readProperties(reader, WILL_PROPERTIES) : undefined
  const topic = reader.text()
  if (!isTopicName(topic)) throw malformed('the topic of the will is none')
  const payload = reader.binary()
  const qos = (flags >> 3) & 3
  return {
    topic,
    payload,
    qos: qos === 2 ? 2 : qos === 1 ? 1 : 0,
    retain: (flags & WILL_RETAIN) !== 0,
    properties: properties?.forwarded ?? Buffer.alloc(0),
    expiry: properties?.number(MESSAGE_EXPIRY),
    delay: properties?.number(WILL_DELAY) ?? 0,
  }
}

function terms(properties: Properties | undefined, clean: boolean) {
  if (!properties)
    return {
      // MQTT 3.1.1, section 3.1.2.4: a session that is not clean has no end.
      sessionExpiry: clean ? 0 : Infinity,
      receiveMaximum: RECEIVE_MAXIMUM_3,
      maximumPacket: Infinity,
      aliasMaximum: 0,
      enhanced: false,
    }
  const expiry = properties.number(SESSION_EXPIRY) ?? 0
  return {
    sessionExpiry: expiry === NEVER ? Infinity : expiry,
    receiveMaximum: properties.number(RECEIVE_MAXIMUM) ?? DEFAULT_RECEIVE_MAXIMUM,
    maximumPacket: properties.number(MAXIMUM_PACKET) ?? Infinity,
    aliasMaximum: properties.number(TOPIC_ALIAS_MAXIMUM) ?? 0,
    enhanced: properties.has(AUTHENTICATION_METHOD),
  }
}
