/** DISCONNECT (MQTT 3.1.1 and MQTT 5 section 3.14). */
import { malformed, SUCCESS } from '../reasons.ts'
import type { Version } from './connect.ts'
import { REASON_STRING, readProperties, SESSION_EXPIRY, USER_PROPERTY } from './properties.ts'
import type { PacketReader } from './reader.ts'

const PROPERTIES = new Set([SESSION_EXPIRY, REASON_STRING, USER_PROPERTY])
const NEVER = 0xffff_ffff

export interface Disconnect {
  readonly reason: number
  /** s; undefined: as the CONNECT said. */
  readonly sessionExpiry: number | undefined
}

/** @throws MqttError */
export function parseDisconnect(reader: PacketReader, version: Version): Disconnect {
  if (version !== 5 && reader.left > 0) throw malformed('a DISCONNECT with a body')
  const reason = reader.left > 0 ? reader.byte() : SUCCESS
  const expiry = reader.left > 0 ? readProperties(reader, PROPERTIES).number(SESSION_EXPIRY) : undefined
  reader.finish()
  return { reason, sessionExpiry: expiry === NEVER ? Infinity : expiry }
}

/** To clients of MQTT 5; those before it know no such packet from a server. */
export function encodeDisconnect(reason: number): Buffer {
  return Buffer.from([0xe0, 2, reason, 0])
}
