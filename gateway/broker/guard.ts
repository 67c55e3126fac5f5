/**
 * Stands before everything else: cuts the byte stream into packets without an object per packet, gives PUBLISH to the
 * lane and everything else to the desk, and ends connections that break the protocol or the limits.
 *
 *     chunk:  ┌─ rest of a split packet ─┬ PUBLISH ┬ PUBLISH ┬ SUBSCRIBE ┬ PINGREQ ┬ begin of a split packet ─┐
 *               carry                      lane      lane      desk        answered   carry
 */
import type { Clock } from '../clock.ts'
import {
  type Arrival,
  BY_HANDSHAKE,
  BY_TURN,
  CLOSED,
  CLOSING,
  Connection,
  HANDSHAKE,
  OPENING,
  READY,
  type Wire,
} from './connection.ts'
import type { Counters } from './counters.ts'
import { bodyStart, CONNECT, DISCONNECT, isClientHeader, MAX_CONNECT, PINGREQ, packetLength } from './framing.ts'
import { DENIED, HOLD, type Lane, MALFORMED, TAKEN } from './lane.ts'
import type { BrokerLimits } from './options.ts'
import { encodeRefusal } from './packets/connack.ts'
import { type Connect, parseConnect } from './packets/connect.ts'
import { encodeDisconnect } from './packets/disconnect.ts'
import { PacketReader } from './packets/reader.ts'
import type { RareLog } from './rare-log.ts'
import { farewellOf, MALFORMED_PACKET, MqttError, SHUTTING_DOWN, UNSUPPORTED_VERSION } from './reasons.ts'
import { Turns } from './turns.ts'
import { writeOut } from './writes.ts'

const PINGRESP = Buffer.from([0xd0, 0])
/** The last packet: what follows is not read. */
const LEAVE = 5
/** ms that a closing connection has for what is still to be written. */
const CLOSE_TIMEOUT = 5_000
const FIRST_CARRY = 4 * 1024

interface GuardParts<Route> {
  readonly clock: Clock
  readonly counters: Counters
  readonly rareLog: RareLog
  readonly limits: BrokerLimits
  /** Late: the lane needs the guard too. */
  readonly lane: () => Lane<Route>
  /** A CONNECT has come. */
  connect(connection: Connection<Route>, connect: Connect): void
  /** Another packet but PUBLISH, PINGREQ and DISCONNECT; false: not now, it comes again. @throws MqttError */
  packet(connection: Connection<Route>, type: number, reader: PacketReader): boolean
  /** @throws MqttError */
  disconnect(connection: Connection<Route>, reader: PacketReader): void
  /** The connection has ended, whatever may still flow out. */
  closed(connection: Connection<Route>): void
}

export class Guard<Route> {
  readonly connections = new Set<Connection<Route>>()
  readonly #parts: GuardParts<Route>
  readonly #clock: Clock
  readonly #counters: Counters
  #empty: (() => void) | null = null
  readonly #turns: Turns<Connection<Route>>

  constructor(parts: GuardParts<Route>) {
    this.#parts = parts
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#turns = new Turns(parts.clock, (connection) => this.unblock(connection, BY_TURN))
  }

  open(wire: Wire, arrival: Arrival): Connection<Route> {
    const time = { since: this.#clock.now(), seen: this.#clock.monotonic() }
    const connection = new Connection<Route>(wire, arrival, this.#counters, time)
    this.#counters.connects++
    this.connections.add(connection)
    return connection
  }

  /** Bytes from the socket. */
  data(connection: Connection<Route>, chunk: Buffer): void {
    this.#counters.bytesIn += chunk.length
    if (connection.state >= CLOSING) return
    const now = this.#clock.monotonic()
    if (connection.state === READY) connection.seen = now
    if (connection.blocked !== 0 || connection.pending !== null || this.#mustWait(connection, chunk.length, now)) {
      connection.pending ??= []
      connection.pending.push(chunk)
      return
    }
    this.#feed(connection, chunk)
    this.#parts.lane().flush()
  }

  #mustWait(connection: Connection<Route>, bytes: number, now: number): boolean {
    if (!this.#turns.mustWait(connection, bytes, now)) return false
    this.block(connection, BY_TURN)
    return true
  }

  /** The peer sends nothing more; what is written may still reach it. */
  hungUp(connection: Connection<Route>): void {
    if (connection.state >= CLOSING || this.#hasMore(connection, (then) => this.hungUp(then))) return
    this.#close(connection, CLOSING)
    this.#finish(connection)
  }

  /** The socket is gone. */
  gone(connection: Connection<Route>): void {
    if (connection.state === CLOSED || this.#hasMore(connection, (then) => this.gone(then))) return
    this.#close(connection, CLOSED)
    this.connections.delete(connection)
    if (this.connections.size === 0) this.#empty?.()
  }

  /** The client is let in. */
  ready(connection: Connection<Route>): void {
    if (connection.state !== HANDSHAKE) return
    connection.state = READY
    connection.seen = this.#clock.monotonic()
    this.unblock(connection, BY_HANDSHAKE)
  }

  /** Ends a connection that did what it may not. */
  refuse(connection: Connection<Route>, reason: string, detail: object = {}, code = farewellOf(reason)): void {
    if (connection.state >= CLOSING) return
    this.#counters.refuse(reason)
    const { client, user, address } = connection.identity
    const fields = { reason, address, ...(client && { client }), ...(user && { user }), ...detail }
    this.#parts.rareLog.warn(`${reason} ${address}`, fields, 'mqtt client disconnected')
    if (connection.version === 5 && connection.ready) this.dismiss(connection, code)
    else {
      this.#close(connection, CLOSING)
      connection.wire.destroy()
    }
  }

  /** Ends a connection; a client of MQTT 5 is told why (MQTT-4.13.1-1). */
  dismiss(connection: Connection<Route>, code: number): void {
    if (connection.state >= CLOSING) return
    // What it did before is acknowledged first.
    this.#parts.lane().flush()
    if (connection.version === 5 && connection.ready) connection.write(encodeDisconnect(code))
    this.#close(connection, CLOSING)
    this.#finish(connection)
  }

  /** A CONNECT is not accepted. `answer` null: there is no word for it. */
  turnAway(connection: Connection<Route>, reason: string, answer: Buffer | null, detail: object = {}): void {
    if (connection.state >= CLOSING) return
    this.#counters.refuse(reason)
    const { address } = connection.identity
    this.#parts.rareLog.warn(`${reason} ${address}`, { reason, address, ...detail }, 'mqtt client refused')
    if (answer) connection.write(answer)
    this.#close(connection, CLOSING)
    this.#finish(connection)
  }

  block(connection: Connection<Route>, reason: number): void {
    if (connection.blocked === 0) connection.wire.pause()
    connection.blocked |= reason
  }

  unblock(connection: Connection<Route>, reason: number): void {
    if ((connection.blocked & reason) === 0) return
    connection.blocked &= ~reason
    if (connection.blocked !== 0 || connection.state >= CLOSING) return
    this.#feedPending(connection)
    this.#parts.lane().flush()
    if (connection.blocked !== 0) return
    const { afterwards } = connection
    connection.afterwards = null
    if (afterwards !== null) {
      afterwards(connection)
      return
    }
    if (connection.state >= CLOSING) return
    connection.seen = this.#clock.monotonic()
    connection.wire.resume()
  }

  /**
   * Node says that a socket has ended as soon as nothing is left in the kernel, though it is paused and we still hold
   * what was read: that is looked at first.
   */
  #hasMore(connection: Connection<Route>, then: (connection: Connection<Route>) => void): boolean {
    if (connection.pending === null || connection.state !== READY) return false
    connection.afterwards = then
    return true
  }

  /** Once per second: time-outs. */
  sweep(): void {
    const now = this.#clock.monotonic()
    for (const connection of this.connections) {
      const silent = now - connection.seen
      if (connection.state >= CLOSING) {
        if (silent > CLOSE_TIMEOUT) connection.wire.destroy()
      } else if (connection.state !== READY) {
        if (silent > this.#parts.limits.connectTimeout) this.refuse(connection, 'connect_timeout')
      } else if (connection.keepalive > 0 && connection.blocked === 0 && silent > connection.keepalive * 1.5) {
        // MQTT-3.1.2-24. While we do not read, the silence is ours.
        this.refuse(connection, 'keepalive')
      }
    }
  }

  /** Ends what is left once its last bytes are out, or after `patience` ms. */
  async drained(patience: number): Promise<void> {
    for (const connection of this.connections) this.dismiss(connection, SHUTTING_DOWN)
    if (this.connections.size === 0) return
    await new Promise<void>((resolve) => {
      this.#empty = resolve
      this.#clock.after(patience, resolve)
    })
    for (const connection of this.connections) connection.wire.destroy()
  }

  #feed(connection: Connection<Route>, chunk: Buffer): void {
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

  #feedPending(connection: Connection<Route>): void {
    const list = connection.pending
    if (list === null) return
    connection.pending = null
    for (let i = 0; i < list.length; i++) {
      this.#feed(connection, list[i] as Buffer)
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
    const lane = this.#parts.lane()
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
    if (length < 0) this.refuse(connection, 'malformed')
    else if (length > this.#parts.limits.packet) this.refuse(connection, 'packet_too_large', { bytes: length })
    else if (at + length <= bytes.length) return length
    return 0
  }

  #stop(connection: Connection<Route>, verdict: number, bytes: Buffer, at: number): number {
    if (verdict === HOLD) return at
    if (verdict === MALFORMED) this.refuse(connection, 'malformed')
    if (verdict === DENIED) this.refuse(connection, 'publish_denied', { topic: connection.last?.topic })
    if (verdict === LEAVE) {
      this.#parts.lane().flush()
      this.#close(connection, CLOSING)
      this.#finish(connection)
    }
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
        this.#parts.disconnect(connection, reader)
        return LEAVE
      }
      return this.#parts.packet(connection, type, reader) ? TAKEN : HOLD
    } catch (error) {
      if (!(error instanceof MqttError)) throw error
      this.broken(connection, error)
      return MALFORMED
    }
  }

  /** The client broke the protocol. */
  broken(connection: Connection<Route>, { reason, message }: MqttError): void {
    this.refuse(connection, reason === MALFORMED_PACKET ? 'malformed' : 'protocol', { error: message }, reason)
  }

  /** Nothing but one CONNECT of moderate size, and nothing after it until it is accepted. */
  #consumeConnect(connection: Connection<Route>, bytes: Buffer, from: number): number {
    if (from >= bytes.length) return from
    if (bytes[from] !== CONNECT << 4) {
      this.refuse(connection, 'not_connect')
      return bytes.length
    }
    const length = packetLength(bytes, from, bytes.length)
    if (length < 0 || length > Math.min(MAX_CONNECT, this.#parts.limits.packet)) {
      this.refuse(connection, length < 0 ? 'malformed' : 'packet_too_large', { bytes: length })
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
        this.turnAway(connection, 'protocol_version', encodeRefusal(4, UNSUPPORTED_VERSION))
        return
      }
      connection.version = connect.version
      connection.state = HANDSHAKE
      this.block(connection, BY_HANDSHAKE)
      this.#parts.connect(connection, connect)
    } catch (error) {
      if (!(error instanceof MqttError)) throw error
      this.broken(connection, error)
    }
  }

  #startCarry(connection: Connection<Route>, bytes: Buffer, from: number): void {
    if (connection.state === READY && !isClientHeader(bytes[from] as number)) {
      this.refuse(connection, 'malformed')
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
      connection.state === OPENING ? Math.min(MAX_CONNECT, this.#parts.limits.packet) : this.#parts.limits.packet
    if (length < 0 || length > limit) {
      this.refuse(connection, length < 0 ? 'malformed' : 'packet_too_large', { bytes: length })
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

  /** Lets what was written flow out, and discards what still comes in. */
  #finish(connection: Connection<Route>): void {
    if (connection.outLength > 0) writeOut(connection)
    connection.wire.end()
    connection.wire.resume()
  }

  #close(connection: Connection<Route>, state: number): void {
    connection.state = state
    connection.seen = this.#clock.monotonic()
    connection.pending = null
    connection.carry = null
    this.#parts.lane().forget(connection)
    this.#parts.closed(connection)
    // What was still to be looked at is given up, so its socket's end counts now.
    if (connection.afterwards !== null) queueMicrotask(() => this.gone(connection))
    connection.afterwards = null
  }
}
