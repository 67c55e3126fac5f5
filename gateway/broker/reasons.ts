/**
 * Reason codes of MQTT 5 (section 2.4) that the gateway says, their words of MQTT 3.1.1, and which of them belongs to
 * what the guard and the desk call their reasons.
 */
import { SluiceError } from '../errors.ts'

export const SUCCESS = 0x00
export const WITH_WILL = 0x04
export const NO_MATCHING_SUBSCRIBERS = 0x10
export const NO_SUBSCRIPTION = 0x11
export const UNSPECIFIED = 0x80
export const MALFORMED_PACKET = 0x81
export const PROTOCOL_ERROR = 0x82
export const UNSUPPORTED_VERSION = 0x84
export const BAD_CLIENT_ID = 0x85
export const BAD_CREDENTIALS = 0x86
export const NOT_AUTHORIZED = 0x87
export const UNAVAILABLE = 0x88
export const SHUTTING_DOWN = 0x8b
export const BAD_AUTHENTICATION_METHOD = 0x8c
export const KEEP_ALIVE = 0x8d
export const TAKEN_OVER = 0x8e
export const UNKNOWN_ID = 0x92
export const RECEIVE_MAXIMUM = 0x93
export const TOPIC_ALIAS = 0x94
export const TOO_LARGE = 0x95
export const QUOTA = 0x97
export const ADMINISTRATIVE = 0x98

/** A client broke the protocol: its connection ends with this reason. */
export class MqttError extends SluiceError {
  readonly reason: number

  constructor(reason: number, message: string) {
    super('SLUICE_MQTT_PROTOCOL', message)
    this.reason = reason
  }
}

export function malformed(message: string): MqttError {
  return new MqttError(MALFORMED_PACKET, message)
}

export function protocolError(message: string): MqttError {
  return new MqttError(PROTOCOL_ERROR, message)
}

/** Return codes of CONNACK in MQTT 3.1.1 (section 3.2.2.3). */
const RETURN_CODES = new Map([
  [SUCCESS, 0],
  [UNSUPPORTED_VERSION, 1],
  [BAD_CLIENT_ID, 2],
  [UNAVAILABLE, 3],
  [BAD_CREDENTIALS, 4],
  [NOT_AUTHORIZED, 5],
])

/** @returns undefined where MQTT 3.1.1 has no word for it: the connection is closed without one */
export function returnCode(reason: number): number | undefined {
  return RETURN_CODES.get(reason)
}

/** What a DISCONNECT says to a client that is refused, by the reason that is counted. */
const FAREWELLS: Readonly<Record<string, number>> = {
  malformed: MALFORMED_PACKET,
  protocol: PROTOCOL_ERROR,
  packet_too_large: TOO_LARGE,
  keepalive: KEEP_ALIVE,
  subscriber_too_slow: QUOTA,
  publish_denied: NOT_AUTHORIZED,
  subscription_denied: NOT_AUTHORIZED,
  user_removed: NOT_AUTHORIZED,
  disconnected: ADMINISTRATIVE,
}

export function farewellOf(reason: string): number {
  return FAREWELLS[reason] ?? UNSPECIFIED
}
