/**
 * Bodies of command frames (37/ZMTP, "Commands"): a short name, then data.
 *
 *   body      length (1) │ name │ data
 *   READY     { length (1) │ name │ length (4) │ value }      properties, names in any case
 *   PING      time to live, tenths of a second (2) │ context (at most 16)
 *   PONG      context
 *   ERROR     length (1) │ reason
 */
import { ZmtpError } from './errors.ts'

export type Metadata = ReadonlyMap<string, Buffer>

const MAX_CONTEXT = 16

export function encodeCommand(name: string, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1'), data])
}

/** Whether a command's body has this name. */
export function isCommand(body: Buffer, name: string): boolean {
  return body[0] === name.length && body.length > name.length && body.toString('latin1', 1, 1 + name.length) === name
}

export function dataOf(body: Buffer): Buffer {
  return body.subarray(1 + (body[0] as number))
}

export function nameOf(body: Buffer): string {
  const name = body.toString('latin1', 1, 1 + (body[0] ?? 0))
  return /^[\x21-\x7e]{1,32}$/.test(name) ? name : 'without a name'
}

export function encodeMetadata(properties: Readonly<Record<string, Uint8Array | string>>): Buffer {
  return Buffer.concat(
    Object.entries(properties).flatMap(([name, value]) => {
      const bytes = Buffer.from(value)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [Buffer.from([name.length]), Buffer.from(name, 'latin1'), length, bytes]
    }),
  )
}

/** @throws ZmtpError */
export function decodeMetadata(bytes: Buffer): Metadata {
  const properties = new Map<string, Buffer>()
  let at = 0
  while (at < bytes.length) {
    const nameEnd = at + 1 + (bytes[at] as number)
    if (nameEnd + 4 > bytes.length) throw malformed()
    const valueStart = nameEnd + 4
    const valueEnd = valueStart + bytes.readUInt32BE(nameEnd)
    if (nameEnd === at + 1 || valueEnd > bytes.length) throw malformed()
    properties.set(bytes.toString('latin1', at + 1, nameEnd).toLowerCase(), bytes.subarray(valueStart, valueEnd))
    at = valueEnd
  }
  return properties
}

/** @param ttl ms after which the peer may take us for gone */
export function encodePing(ttl: number, context: Uint8Array = Buffer.alloc(0)): Buffer {
  const tenths = Buffer.alloc(2)
  tenths.writeUInt16BE(Math.min(65_535, Math.ceil(ttl / 100)))
  return encodeCommand('PING', Buffer.concat([tenths, context]))
}

/** The answer to a PING. @throws ZmtpError */
export function pongFor(ping: Buffer): { readonly pong: Buffer; readonly ttl: number } {
  const data = dataOf(ping)
  if (data.length < 2 || data.length > 2 + MAX_CONTEXT) throw new ZmtpError('malformed', 'a PING has no valid length')
  return { pong: encodeCommand('PONG', data.subarray(2)), ttl: data.readUInt16BE(0) * 100 }
}

export function encodeError(reason: string): Buffer {
  const text = Buffer.from(reason, 'latin1').subarray(0, 255)
  return encodeCommand('ERROR', Buffer.concat([Buffer.from([text.length]), text]))
}

/** The reason in an ERROR, fit for a log line. */
export function reasonIn(error: Buffer): string {
  return dataOf(error)
    .toString('latin1', 1)
    .replaceAll(/[^\x20-\x7e]/g, '?')
}

function malformed(): ZmtpError {
  return new ZmtpError('malformed', 'the properties of a command are cut off')
}
