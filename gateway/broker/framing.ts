/**
 * Where packets begin and end (MQTT 3.1.1 and MQTT 5, section 2).
 *
 *     type and flags | remaining length (1–4 bytes, 7 bits each, lowest first) | variable header, payload
 */
export const CONNECT = 1
export const PUBACK = 4
export const PUBREC = 5
export const PUBREL = 6
export const PUBCOMP = 7
export const SUBSCRIBE = 8
export const UNSUBSCRIBE = 10
export const PINGREQ = 12
export const DISCONNECT = 14

/** Before the CONNECT is accepted nothing larger is read. */
export const MAX_CONNECT = 64 * 1024

/** Lowest four bits of the first byte per type, -1 where a client may not send the type, -2 for PUBLISH (any). */
const FLAGS = [-1, 0, -1, -2, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, 0] as const

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
