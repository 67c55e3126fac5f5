/** A client that speaks in bytes, and the packets of MQTT 3.1.1 that it may say. */
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { openWire, type Wire } from './wire.ts'

export class RawClient {
  readonly socket: Socket
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  /** Bytes that have come. */
  total = 0
  /** True: they are only counted. */
  discards = false
  readonly #wire: Wire
  #received = Buffer.alloc(0)

  constructor(t: TestContext, port: number) {
    this.#wire = openWire(t, port, (chunk) => {
      this.total += chunk.length
      if (!this.discards) this.#received = Buffer.concat([this.#received, chunk])
    })
    this.socket = this.#wire.socket
    this.closed = this.#wire.closed
  }

  /** Connected and welcomed. */
  static async open(t: TestContext, port: number, options: ConnectOptions = {}): Promise<RawClient> {
    const client = new RawClient(t, port)
    client.send(connectPacket(options))
    const connack = await client.read(4)
    if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error(`refused: ${connack.toString('hex')}`)
    return client
  }

  send(...parts: Uint8Array[]): this {
    this.socket.write(Buffer.concat(parts))
    return this
  }

  /** The next `length` bytes. */
  async read(length: number): Promise<Buffer> {
    const got = () => `${length} bytes, got ${this.#received.toString('hex')}`
    await this.#wire.until(() => this.#received.length >= length, got)
    const bytes = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return bytes
  }

  /** Bytes that have come and were not read. */
  get unread(): Buffer {
    return this.#received
  }

  /** Resolves when the broker has answered all that was sent before. */
  async ping(): Promise<void> {
    this.send(PINGREQ)
    const pong = await this.read(2)
    if (pong[0] !== 0xd0) throw new Error(`not a ping response: ${pong.toString('hex')}`)
  }
}

export const PINGREQ = Buffer.from([0xc0, 0])
export const DISCONNECT = Buffer.from([0xe0, 0])

export interface ConnectOptions {
  readonly client?: string
  readonly clean?: boolean
  /** s */
  readonly keepalive?: number
  readonly user?: string
  readonly password?: string
  readonly will?: { readonly topic: string; readonly payload: string; readonly qos?: number; readonly retain?: boolean }
}

let unnamed = 0

export function connectPacket(options: ConnectOptions = {}): Buffer {
  const { clean = true, keepalive = 0, user, password, will } = options
  const client = options.client ?? `raw-${++unnamed}`
  const flags =
    (clean ? 2 : 0) |
    (user === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0)
  const parts = [text('MQTT'), Buffer.from([4, flags, keepalive >> 8, keepalive & 255]), text(client)]
  if (will) parts.push(text(will.topic), text(will.payload))
  if (user !== undefined) parts.push(text(user))
  if (password !== undefined) parts.push(text(password))
  return packet(0x10, ...parts)
}

export interface PublishOptions {
  readonly qos?: number
  readonly id?: number
  readonly retain?: boolean
  readonly dup?: boolean
}

export function publishPacket(topic: string | Uint8Array, payload: string | Uint8Array, options: PublishOptions = {}) {
  const { qos = 0, id = 1, retain = false, dup = false } = options
  const first = 0x30 | (qos << 1) | (retain ? 1 : 0) | (dup ? 8 : 0)
  const name = typeof topic === 'string' ? Buffer.from(topic) : topic
  return packet(first, text(name), qos > 0 ? two(id) : Buffer.alloc(0), Buffer.from(payload))
}

export function subscribePacket(id: number, ...filters: (readonly [string, number])[]): Buffer {
  return packet(0x82, two(id), ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.from([qos])]))
}

/** Any packet with this first byte. */
export function packet(first: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let rest = body.length
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0))
    rest >>= 7
  } while (rest > 0)
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([two(bytes.length), bytes])
}

export function two(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255])
}

export function ack(kind: number, id: number): Buffer {
  return Buffer.from([kind, 2, id >> 8, id & 255])
}
