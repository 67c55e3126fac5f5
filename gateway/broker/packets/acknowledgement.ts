/** PUBACK, PUBREC, PUBREL, PUBCOMP from clients (MQTT 3.1.1 and MQTT 5 sections 3.4 to 3.7), and PUBREL to them. */
import { malformed, SUCCESS } from '../reasons.ts'
import type { Version } from './connect.ts'
import { REASON_STRING, readProperties, USER_PROPERTY } from './properties.ts'
import type { PacketReader } from './reader.ts'

const PROPERTIES = new Set([REASON_STRING, USER_PROPERTY])

export interface Acknowledgement {
  readonly id: number
  /** 0x80 and above: it went wrong. */
  readonly reason: number
}

/** @throws MqttError */
export function parseAcknowledgement(reader: PacketReader, version: Version): Acknowledgement {
  if (version !== 5 && reader.left !== 2) throw malformed('an acknowledgement is not two bytes long')
  const id = reader.two()
  // Reason and properties may be left out (MQTT 5 section 3.4.2.1).
  const reason = reader.left > 0 ? reader.byte() : SUCCESS
  if (reader.left > 0) readProperties(reader, PROPERTIES)
  reader.finish()
  return { id, reason }
}

export function encodePubrel(id: number): Buffer {
  return Buffer.from([0x62, 2, id >> 8, id & 0xff])
}
