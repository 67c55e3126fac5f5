/**
 * Stands between the sockets and aedes: cuts the byte stream into packets without an object per packet, gives
 * telemetry to the fast lane and everything else to aedes, and ends connections that break the protocol or the limits.
 *
 *     chunk:  ┌─ rest of a split packet ─┬ PUBLISH ┬ PUBLISH ┬ SUBSCRIBE ┬ PINGREQ ┬ begin of a split packet ─┐
 *               carry                      lane      lane      aedes       answered   carry
 *
 * aedes never sees a keepalive, since it does not see most packets; the guard enforces it.
 */
import type { Clock } from '../clock.ts'
import {
  type Arrival,
  BY_HANDSHAKE,
  BY_INBOX,
  CLOSED,
  CLOSING,
  Connection,
  HANDSHAKE,
  LEAVING,
  OPENING,
  READY,
  type Wire,
} from './connection.ts'
import type { Counters } from './counters.ts'
import {
  areFiltersGood,
  bodyStart,
  CONNECT,
  type ConnectFacts,
  DISCONNECT,
  isClientHeader,
  MAX_CONNECT,
  PINGREQ,
  PUBREL,
  packetLength,
  readConnect,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from './framing.ts'
import { DENIED, HOLD, type Lane, MALFORMED, PASS, TAKEN } from './lane.ts'
import type { BrokerLimits } from './options.ts'
import type { RareLog } from './rare-log.ts'

const PINGRESP = Buffer.from([0xd0, 0])
/** CONNACK with return code 2, identifier rejected. */
const IDENTIFIER_REJECTED = Buffer.from([0x20, 2, 0, 2])
/** CONNACK of MQTT 5 with reason 0x84, unsupported protocol version: its clients understand no other. */
const UNSUPPORTED_VERSION_5 = Buffer.from([0x20, 3, 0, 0x84, 0])
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
  /** A CONNECT has come: give it to aedes. */
  connect(connection: Connection<Route>, packet: Buffer): void
  /** The connection is gone. */
  closed(connection: Connection<Route>): void
}

export class Guard<Route> {
  readonly connections = new Set<Connection<Route>>()
  readonly #parts: GuardParts<Route>
  readonly #clock: Clock
  readonly #counters: Counters
  #empty: (() => void) | null = null

  constructor(parts: GuardParts<Route>) {
    this.#parts = parts
    this.#clock = parts.clock
    this.#counters = parts.counters
  }

  open(wire: Wire, arrival: Arrival): Connection<Route> {
    const time = { since: this.#clock.now(), seen: this.#clock.monotonic() }
    const connection = new Connection<Route>(this, wire, arrival, this.#counters, time)
    this.#counters.connects++
    this.connections.add(connection)
    return connection
  }

  /** Bytes from the socket. */
  data(connection: Connection<Route>, chunk: Buffer): void {
    this.#counters.bytesIn += chunk.length
    if (connection.state >= LEAVING) return
    if (connection.state === READY) connection.seen = this.#clock.monotonic()
    if (connection.blocked !== 0 || connection.pending !== null) {
      connection.pending ??= []
      connection.pending.push(chunk)
      return
    }
    this.#feed(connection, chunk)
    this.#parts.lane().flush()
  }

  /** The peer sends nothing more; what is written may still reach it. */
  hungUp(connection: Connection<Route>): void {
    if (connection.state >= CLOSING || this.#hasMore(connection, (then) => this.hungUp(then))) return
    this.#close(connection, CLOSING)
    connection.pipe?.destroy()
    this.#finish(connection)
  }

  /** The socket is gone. */
  gone(connection: Connection<Route>): void {
    if (connection.state === CLOSED || this.#hasMore(connection, (then) => this.gone(then))) return
    this.#close(connection, CLOSED)
    this.connections.delete(connection)
    connection.pipe?.destroy()
    this.#parts.closed(connection)
    if (this.connections.size === 0) this.#empty?.()
  }

  /** aedes has accepted the client. */
  ready(connection: Connection<Route>): void {
    if (connection.state !== HANDSHAKE) return
    connection.state = READY
    connection.seen = this.#clock.monotonic()
    this.unblock(connection, BY_HANDSHAKE)
  }

  /** Ends a connection that did what it may not. */
  refuse(connection: Connection<Route>, reason: string, detail: object = {}): void {
    if (connection.state >= CLOSING) return
    this.#counters.refuse(reason)
    const { client, user, address } = connection.identity
    const fields = { reason, address, ...(client && { client }), ...(user && { user }), ...detail }
    this.#parts.rareLog.warn(`${reason} ${address}`, fields, 'mqtt client disconnected')
    this.#close(connection, CLOSING)
    connection.pipe?.destroy(new Error(reason))
    connection.wire.destroy()
  }

  /** aedes has ended the connection. */
  ended(connection: Connection<Route>, error: Error | null): void {
    if (connection.state >= CLOSING) return
    if (error) {
      this.refuse(connection, 'protocol', { error: error.message })
      return
    }
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
    if (connection.blocked !== 0 || connection.state >= LEAVING) return
    this.#feedPending(connection)
    this.#parts.lane().flush()
    if (connection.blocked !== 0) return
    const { afterwards } = connection
    connection.afterwards = null
    if (afterwards !== null) {
      afterwards(connection)
      return
    }
    if (connection.state >= LEAVING) return
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
      if (connection.state >= LEAVING) {
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
    for (const connection of this.connections) {
      if (connection.state >= CLOSING) continue
      this.#close(connection, CLOSING)
      this.#finish(connection)
    }
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
    else if (stop < chunk.length && connection.state < LEAVING) this.#startCarry(connection, chunk, stop)
  }

  #feedPending(connection: Connection<Route>): void {
    const list = connection.pending
    if (list === null) return
    connection.pending = null
    for (let i = 0; i < list.length; i++) {
      this.#feed(connection, list[i] as Buffer)
      if (connection.state >= LEAVING) return
      if (connection.blocked !== 0) {
        for (const chunk of list.slice(i + 1)) this.#stash(connection, chunk, 0)
        return
      }
    }
  }

  #stash(connection: Connection<Route>, bytes: Buffer, from: number): void {
    if (from >= bytes.length || connection.state >= LEAVING) return
    connection.pending ??= []
    connection.pending.push(bytes.subarray(from))
  }

  /** Takes the complete packets from `from` on; returns where it stopped. */
  #consume(connection: Connection<Route>, bytes: Buffer, from: number): number {
    if (connection.state === OPENING) return this.#consumeConnect(connection, bytes, from)
    const lane = this.#parts.lane()
    const end = bytes.length
    let at = from
    // Begin of a run of packets that aedes gets in one piece.
    let passed = -1
    while (at < end) {
      const length = this.#completeLength(connection, bytes, at)
      if (length === 0) break
      const stop = at + length
      const body = bodyStart(bytes, at)
      const first = bytes[at] as number
      const verdict =
        (first & 0xf0) === 0x30
          ? lane.publish(connection, bytes, first, body, stop)
          : this.#other(connection, bytes, at, body, stop)
      if (verdict === PASS || verdict === LEAVE) {
        if (passed < 0) passed = at
      } else if (passed >= 0) {
        this.#pass(connection, bytes, passed, at)
        passed = -1
      }
      if (verdict > PASS) return this.#stop(connection, verdict, bytes, passed, at, stop)
      at = stop
      if (connection.blocked !== 0) break
    }
    if (passed >= 0) this.#pass(connection, bytes, passed, at)
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

  #stop(
    connection: Connection<Route>,
    verdict: number,
    bytes: Buffer,
    passed: number,
    at: number,
    stop: number,
  ): number {
    if (verdict === HOLD) return at
    if (verdict === MALFORMED) this.refuse(connection, 'malformed')
    if (verdict === DENIED) this.refuse(connection, 'publish_denied', { topic: connection.last?.topic })
    if (verdict === LEAVE) {
      this.#pass(connection, bytes, passed, stop)
      connection.state = LEAVING
      connection.seen = this.#clock.monotonic()
    }
    return bytes.length
  }

  /** Any packet but PUBLISH; its length is complete. */
  #other(connection: Connection<Route>, bytes: Buffer, at: number, body: number, end: number): number {
    const first = bytes[at] as number
    if (!isClientHeader(first)) return MALFORMED
    switch (first >> 4) {
      case CONNECT: // MQTT-3.1.0-2
        return MALFORMED
      case PINGREQ:
        if (end !== body) return MALFORMED
        connection.write(PINGRESP)
        return TAKEN
      case DISCONNECT:
        return end === body ? LEAVE : MALFORMED
      case SUBSCRIBE:
      case UNSUBSCRIBE:
        return areFiltersGood(bytes, at, end) ? PASS : MALFORMED
      default: {
        if (end - body !== 2) return MALFORMED
        const id = ((bytes[body] as number) << 8) | (bytes[body + 1] as number)
        return first >> 4 === PUBREL && this.#parts.lane().release(connection, id) ? TAKEN : PASS
      }
    }
  }

  #pass(connection: Connection<Route>, bytes: Buffer, from: number, to: number): void {
    // A copy: aedes keeps views, and a view of a chunk keeps all of it.
    if (connection.pipe && !connection.pipe.give(Buffer.from(bytes.subarray(from, to))))
      this.block(connection, BY_INBOX)
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
    const facts = readConnect(packet)
    if (!facts) this.refuse(connection, 'malformed')
    else if (facts.version === 5) this.#turnAway(connection, 'protocol_version', UNSUPPORTED_VERSION_5)
    // An empty id is for clean sessions only (MQTT-3.1.3-8).
    else if (facts.client === '' && !facts.clean) this.#turnAway(connection, 'client_id', IDENTIFIER_REJECTED)
    else this.#accept(connection, packet, facts)
  }

  #accept(connection: Connection<Route>, packet: Buffer, facts: ConnectFacts): void {
    connection.keepalive = facts.keepalive * 1000
    packet.writeUInt16BE(0, facts.keepaliveAt)
    connection.clean = facts.clean
    connection.state = HANDSHAKE
    this.block(connection, BY_HANDSHAKE)
    this.#parts.connect(connection, packet)
  }

  #turnAway(connection: Connection<Route>, reason: string, answer: Buffer): void {
    this.#counters.refuse(reason)
    const { address } = connection.identity
    this.#parts.rareLog.warn(`${reason} ${address}`, { reason, address }, 'mqtt client refused')
    connection.write(answer)
    this.#close(connection, CLOSING)
    this.#finish(connection)
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
    connection.wire.end()
    connection.wire.resume()
  }

  #close(connection: Connection<Route>, state: number): void {
    connection.state = state
    connection.seen = this.#clock.monotonic()
    connection.pending = null
    connection.carry = null
    this.#parts.lane().forget(connection)
    // What was still to be looked at is given up, so its socket's end counts now.
    if (connection.afterwards !== null) queueMicrotask(() => this.gone(connection))
    connection.afterwards = null
  }
}
