/** ClientHello, ServerHello and HelloVerifyRequest (RFC 5246 §7.4.1, RFC 6347 §4.2.1), and the extensions used here. */
import { DTLS_1_0, DTLS_1_2 } from './record.ts'

export const EXTENDED_MASTER_SECRET = 23
export const CONNECTION_ID = 54
export const RENEGOTIATION_INFO = 0xff01
/** Stands for an empty renegotiation_info in the list of suites (RFC 5746 §3.3). */
export const RENEGOTIATION_SCSV = 0x00ff

export const RANDOM = 32

export interface HelloStart {
  readonly version: number
  readonly random: Buffer
  readonly cookie: Buffer
}

export interface ClientHello extends HelloStart {
  readonly suites: readonly number[]
  readonly compressions: Buffer
  readonly extensions: ReadonlyMap<number, Buffer>
}

export interface ServerHello {
  readonly version: number
  readonly random: Buffer
  readonly suite: number
  readonly compression: number
  readonly extensions: ReadonlyMap<number, Buffer>
}

/** Reads along a body; `undefined` once something was missing. */
function cursor(body: Buffer) {
  let at = 0
  let broken = false
  const take = (length: number): Buffer => {
    if (at + length > body.length) {
      broken = true
      return Buffer.alloc(length)
    }
    at += length
    return body.subarray(at - length, at)
  }
  return {
    take,
    uint: (bytes: number) => take(bytes).readUIntBE(0, bytes),
    vector(lengthBytes: number) {
      const length = take(lengthBytes).readUIntBE(0, lengthBytes)
      return take(Math.min(length, body.length + 1))
    },
    get left() {
      return body.length - at
    },
    get broken() {
      return broken
    },
  }
}

/** What a cookie is checked by: the beginning of a ClientHello, which its first fragment must hold. */
export function readHelloStart(body: Buffer): HelloStart | undefined {
  const read = cursor(body)
  const version = read.uint(2)
  const random = read.take(RANDOM)
  read.vector(1)
  const cookie = read.vector(1)
  return read.broken ? undefined : { version, random, cookie }
}

export function readClientHello(body: Buffer): ClientHello | undefined {
  const read = cursor(body)
  const version = read.uint(2)
  const random = read.take(RANDOM)
  read.vector(1)
  const cookie = read.vector(1)
  const list = read.vector(2)
  const compressions = read.vector(1)
  const extensions = read.left === 0 ? new Map<number, Buffer>() : readExtensions(read.vector(2))
  if (read.broken || read.left > 0 || !extensions || list.length % 2 === 1) return undefined
  const suites = Array.from({ length: list.length / 2 }, (_, i) => list.readUInt16BE(2 * i))
  return { version, random, cookie, suites, compressions, extensions }
}

export function readServerHello(body: Buffer): ServerHello | undefined {
  const read = cursor(body)
  const version = read.uint(2)
  const random = read.take(RANDOM)
  read.vector(1)
  const suite = read.uint(2)
  const compression = read.uint(1)
  const extensions = read.left === 0 ? new Map<number, Buffer>() : readExtensions(read.vector(2))
  if (read.broken || read.left > 0 || !extensions) return undefined
  return { version, random, suite, compression, extensions }
}

function readExtensions(list: Buffer): Map<number, Buffer> | undefined {
  const extensions = new Map<number, Buffer>()
  const read = cursor(list)
  while (read.left > 0) {
    const type = read.uint(2)
    const data = read.vector(2)
    if (read.broken || extensions.has(type)) return undefined
    extensions.set(type, data)
  }
  return extensions
}

function vector(lengthBytes: number, data: Uint8Array): Buffer {
  const buffer = Buffer.allocUnsafe(lengthBytes + data.length)
  buffer.writeUIntBE(data.length, 0, lengthBytes)
  buffer.set(data, lengthBytes)
  return buffer
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

export type Extension = readonly [type: number, data: Uint8Array]

function writeExtensions(extensions: readonly Extension[]): Buffer {
  if (extensions.length === 0) return Buffer.alloc(0)
  return vector(2, Buffer.concat(extensions.flatMap(([type, data]) => [uint16(type), vector(2, data)])))
}

export function writeClientHello(
  random: Buffer,
  cookie: Buffer,
  suites: readonly number[],
  extensions: readonly Extension[],
): Buffer {
  return Buffer.concat([
    uint16(DTLS_1_2),
    random,
    vector(1, Buffer.alloc(0)),
    vector(1, cookie),
    vector(2, Buffer.concat(suites.map(uint16))),
    vector(1, Buffer.from([0])),
    writeExtensions(extensions),
  ])
}

export function writeServerHello(random: Buffer, suite: number, extensions: readonly Extension[]): Buffer {
  return Buffer.concat([
    uint16(DTLS_1_2),
    random,
    vector(1, Buffer.alloc(0)),
    uint16(suite),
    Buffer.from([0]),
    writeExtensions(extensions),
  ])
}

/** Its version says 1.0 whatever will be agreed (RFC 6347 §4.2.1). */
export function writeHelloVerifyRequest(cookie: Buffer): Buffer {
  return Buffer.concat([uint16(DTLS_1_0), vector(1, cookie)])
}

export function readHelloVerifyRequest(body: Buffer): Buffer | undefined {
  const read = cursor(body)
  read.take(2)
  const cookie = read.vector(1)
  return read.broken ? undefined : cookie
}

/** A Connection ID as it stands in its extension (RFC 9146 §3). */
export function writeConnectionId(cid: Uint8Array): Buffer {
  return vector(1, cid)
}

export function readConnectionId(data: Buffer): Buffer | undefined {
  return data.length === 0 || data.length !== 1 + (data[0] as number) ? undefined : data.subarray(1)
}
