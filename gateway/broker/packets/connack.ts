/** CONNACK (MQTT 3.1.1 section 3.2, MQTT 5 section 3.2). */
import { returnCode } from '../reasons.ts'
import type { Version } from './connect.ts'
import {
  ASSIGNED_CLIENT,
  MAXIMUM_PACKET,
  RECEIVE_MAXIMUM,
  SERVER_KEEP_ALIVE,
  SESSION_EXPIRY,
  TOPIC_ALIAS_MAXIMUM,
} from './properties.ts'
import { PacketWriter } from './writer.ts'

const CONNACK = 0x20

/** What a client of MQTT 5 is told when it is let in. */
export interface Welcome {
  readonly sessionPresent: boolean
  /** A client id of our making. */
  readonly assigned: string | undefined
  /** s, when it is not what the client asked for. */
  readonly sessionExpiry: number | undefined
  readonly keepalive: number | undefined
  readonly receiveMaximum: number
  readonly maximumPacket: number
  readonly aliasMaximum: number
}

export function encodeWelcome(version: Version, welcome: Welcome): Buffer {
  const present = welcome.sessionPresent ? 1 : 0
  if (version !== 5) return Buffer.from([CONNACK, 2, version === 4 ? present : 0, 0])
  const properties = new PacketWriter()
  if (welcome.sessionExpiry !== undefined) properties.byte(SESSION_EXPIRY).four(welcome.sessionExpiry)
  properties.byte(RECEIVE_MAXIMUM).two(welcome.receiveMaximum)
  properties.byte(MAXIMUM_PACKET).four(welcome.maximumPacket)
  properties.byte(TOPIC_ALIAS_MAXIMUM).two(welcome.aliasMaximum)
  if (welcome.assigned !== undefined) properties.byte(ASSIGNED_CLIENT).text(welcome.assigned)
  if (welcome.keepalive !== undefined) properties.byte(SERVER_KEEP_ALIVE).two(welcome.keepalive)
  return new PacketWriter().byte(present).byte(0).bytes(properties.measured()).packet(CONNACK)
}

/** @returns null where MQTT 3.1.1 has no word for the reason */
export function encodeRefusal(version: Version, reason: number): Buffer | null {
  if (version === 5) return Buffer.from([CONNACK, 3, 0, reason, 0])
  const code = returnCode(reason)
  return code === undefined ? null : Buffer.from([CONNACK, 2, 0, code])
}
