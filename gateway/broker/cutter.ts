/**
 * Cuts the bytes of a connection into packets without an object per packet, gives PUBLISH to the lane and everything else
 * to the desk. What it cannot take now, because the connection is blocked meanwhile, waits in `pending`.
 *
 *     chunk:  ┌─ rest of a split packet ─┬ PUBLISH ┬ PUBLISH ┬ SUBSCRIBE ┬ PINGREQ ┬ begin of a split packet ─┐
 *               carry                      lane      lane      desk        answered   carry
 */
import { BY_HANDSHAKE, CLOSING, type Connection, HANDSHAKE, OPENING, READY } from './connection.ts'
import { bodyStart, CONNECT, DISCONNECT, isClientHeader, MAX_CONNECT, PINGREQ, packetLength } from './framing.ts'
import { DENIED, HOLD, type Lane, MALFORMED, TAKEN } from './lane.ts'
import type { BrokerLimits } from './options.ts'
import { encodeRefusal } from './packets/connack.ts'
import { type Connect, parseConnect } from './packets/connect.ts'
import { PacketReader } from './packets/reader.ts'
import { MqttError, UNSUPPORTED_VERSION } from './reasons.ts'

const PINGRESP = Buffer.from([0xd0, 0])
/** The last packet: what follows is not read. */
const LEAVE = 5
const FIRST_CARRY = 4 * 1024

/** Who takes the packets. */
export interface Takers<Route> {
  readonly limits: BrokerLimits
  /** Late: the lane needs the guard too. */
  readonly lane: () => Lane<Route>
  /** A CONNECT has come. */
  connect(connection: Connection<Route>, connect: Connect): void
  /** Another packet but PUBLISH, PINGREQ and DISCONNECT; false: not now, it comes again. @throws MqttError */
  packet(connection: Connection<Route>, type: number, reader: PacketReader): boolean
  /** @throws MqttError */
  disconnect(connection: Connection<Route>, reader: PacketReader): void
}

/** Who ends or stops a connection. */
export interface Doorkeeper<Route> {
  refuse(connection: Connection<Route>, reason: string, detail?: object): void
  turnAway(connection: Connection<Route>, reason: string, answer: Buffer | null): void
  broken(connection: Connection<Route>, error: MqttError): void
  /** The client has said that it leaves. */
  left(connection: Connection<Route>): void
  block(connection: Connection<Route>, reason: number): void
}

export class Cutter<Route> {
  readonly #takers: Takers<Route>
  readonly #door: Doorkeeper<Route>

  constructor(takers: Takers<Route>, door: Doorkeeper<Route>) {
    this.#takers = takers
    this.#door = door
  }

  feed(connection: Connection<Route>, chunk: Buffer): void {
    let at = 0
    if (connection.carry !== null) {
      at = this.#fillCarry(connection, chunk)
      if (connection.carryLength === 0 || connection.carried < connection.carryLength) return
      const packet = connection.carry.subarray(0, connection.carried)
      connection.carry = null
      const stop = this.#consume(connection, packet, 0)
      if (connection.blocked !== 0) {
        this.#stash(connection, packet, stop)
        this.#stash(connection, chunk, at)
        return
      }
    }
    const stop = this.#consume(connection, chunk, at)
    if (connection.blocked !== 0) this.#stash(connection, chunk, stop)
    else if (stop < chunk.length && connection.state < CLOSING) this.#startCarry(connection, chunk, stop)
  }

  /** What waits since the connection was blocked. */
  feedPending(connection: Connection<Route>): void {
    const list = connection.pending
    if (list === null) return
    connection.pending = null
    for (let i = 0; i < list.length; i++) {
      this.feed(connection, list[i] as Buffer)
      if (connection.state >= CLOSING) return
      if (connection.blocked !== 0) {
        for (const chunk of list.slice(i + 1)) this.#stash(connection, chunk, 0)
        return
      }
    }
  }

  #stash(connection: Connection<Route>, bytes: Buffer, from: number): void {
    if (from >= bytes.length || connection.state >= CLOSING) return
    connection.pending ??= []
    connection.pending.push(bytes.subarray(from))
  }

  /** Takes the complete packets from `from` on; returns where it stopped. */
  #consume(connection: Connection<Route>, bytes: Buffer, from: number): number {
    if (connection.state === OPENING) return this.#consumeConnect(connection, bytes, from)
    const lane = this.#takers.lane()
    const end = bytes.length
    let at = from
    while (at < end) {
      const length = this.#completeLength(connection, bytes, at)
      if (length === 0) break
      const stop = at + length
      const body = bodyStart(bytes, at)
      const first = bytes[at] as number
      const verdict =
        (first & 0xf0) === 0x30
          ? lane.publish(connection, bytes, first, body, stop)
          : this.#other(connection, bytes, first, body, stop)
      if (verdict !== TAKEN) return this.#stop(connection, verdict, bytes, at)
      at = stop
      if (connection.blocked !== 0 || connection.state >= CLOSING) break
    }
    return at
  }

  /** Length of the packet at `at`, or 0 when it is not all there or not acceptable. */
  #completeLength(connection: Connection<Route>, bytes: Buffer, at: number): number {
    const length = packetLength(bytes, at, bytes.length)
    if (length < 0) this.#door.refuse(connection, 'malformed')
    else if (length > this.#takers.limits.packet) this.#door.refuse(connection, 'packet_too_large', { bytes: length })
    else if (at + length <= bytes.length) return length
    return 0
  }

  #stop(connection: Connection<Route>, verdict: number, bytes: Buffer, at: number): number {
    if (verdict === HOLD) return at
    if (verdict === MALFORMED) this.#door.refuse(connection, 'malformed')
    if (verdict === DENIED) this.#door.refuse(connection, 'publish_denied', { topic: connection.last?.topic })
    if (verdict === LEAVE) this.#door.left(connection)
    return bytes.length
  }

  /** Any packet but PUBLISH; its length is complete. */
  #other(connection: Connection<Route>, bytes: Buffer, first: number, body: number, end: number): number {
    if (!isClientHeader(first)) return MALFORMED
    const type = first >> 4
    // MQTT-3.1.0-2
    if (type === CONNECT) return MALFORMED
    if (type === PINGREQ) {
      if (end !== body) return MALFORMED
      connection.write(PINGRESP)
      return TAKEN
    }
    try {
      const reader = new PacketReader(bytes, body, end)
      if (type === DISCONNECT) {
        this.#takers.disconnect(connection, reader)
        return LEAVE
      }
      return this.#takers.packet(connection, type, reader) ? TAKEN : HOLD
    } catch (error) {
      if (!(error instanceof MqttError)) throw error
      this.#door.broken(connection, error)
      return MALFORMED
    }
  }

  /** Nothing but one CONNECT of moderate size, and nothing after it until it is accepted. */
  #consumeConnect(connection: Connection<Route>, bytes: Buffer, from: number): number {
    if (from >= bytes.length) return from
    if (bytes[from] !== CONNECT << 4) {
      this.#door.refuse(connection, 'not_connect')
      return bytes.length
    }
    const length = packetLength(bytes, from, bytes.length)
    if (length < 0 || length > Math.min(MAX_CONNECT, this.#takers.limits.packet)) {
      this.#door.refuse(connection, length < 0 ? 'malformed' : 'packet_too_large', { bytes: length })
      return bytes.length
    }
    if (length === 0 || from + length > bytes.length) return from
    const packet = Buffer.from(bytes.subarray(from, from + length))
    this.#connect(connection, packet)
    return from + length
  }

  #connect(connection: Connection<Route>, packet: Buffer): void {
    try {
      const connect = parseConnect(packet, bodyStart(packet, 0))
      if (connect.version === null) {
        // MQTT-3.1.2-2 of 3.1.1; its clients and those of 5 understand it.
        this.#door.turnAway(connection, 'protocol_version', encodeRefusal(4, UNSUPPORTED_VERSION))
        return
      }
      connection.version = connect.version
      connection.state = HANDSHAKE
      this.#door.block(connection, BY_HANDSHAKE)
      this.#takers.connect(connection, connect)
    } catch (error) {
      if (!(error instanceof MqttError)) throw error
      this.#door.broken(connection, error)
    }
  }

  #startCarry(connection: Connection<Route>, bytes: Buffer, from: number): void {
    if (connection.state === READY && !isClientHeader(bytes[from] as number)) {
      this.#door.refuse(connection, 'malformed')
      return
    }
    const length = packetLength(bytes, from, bytes.length)
    const rest = bytes.length - from
    connection.carryLength = length
    connection.carry = Buffer.allocUnsafe(Math.min(length || 5, Math.max(FIRST_CARRY, 2 * rest)))
    connection.carried = bytes.copy(connection.carry, 0, from)
  }

  /** Adds what the split packet lacks; returns how far into the chunk that went. */
  #fillCarry(connection: Connection<Route>, chunk: Buffer): number {
    let at = 0
    while (connection.carryLength === 0 && at < chunk.length) {
      const carry = connection.carry as Buffer
      carry[connection.carried++] = chunk[at++] as number
      connection.carryLength = packetLength(carry, 0, connection.carried)
    }
    const length = connection.carryLength
    const limit =
      connection.state === OPENING ? Math.min(MAX_CONNECT, this.#takers.limits.packet) : this.#takers.limits.packet
    if (length < 0 || length > limit) {
      this.#door.refuse(connection, length < 0 ? 'malformed' : 'packet_too_large', { bytes: length })
      connection.carryLength = 0
      return chunk.length
    }
    const part = Math.min(length - connection.carried, chunk.length - at)
    if (part <= 0) return at
    this.#growCarry(connection, connection.carried + part)
    connection.carried += chunk.copy(connection.carry as Buffer, connection.carried, at, at + part)
    return at + part
  }

  /** By doubling: a claimed length alone costs no memory. */
  #growCarry(connection: Connection<Route>, needed: number): void {
    const carry = connection.carry as Buffer
    if (needed <= carry.length) return
    const larger = Buffer.allocUnsafe(Math.min(connection.carryLength, Math.max(needed, FIRST_CARRY, 2 * carry.length)))
    carry.copy(larger, 0, 0, connection.carried)
    connection.carry = larger
  }
}
