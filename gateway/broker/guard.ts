/**
 * The states of connections and what ends them: breaches of the protocol and the limits, time-outs, the peer. What they send
 * is read in turns, and not while they are blocked; `cutter.ts` cuts it into packets.
 *
 *     opening ─ CONNECT ─▶ handshake ─ let in ─▶ ready ─ refused, dismissed, left ─▶ closing ─ socket gone ─▶ closed
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
  READY,
  type Wire,
} from './connection.ts'
import type { Counters } from './counters.ts'
import { Cutter, type Doorkeeper, type Takers } from './cutter.ts'
import { encodeDisconnect } from './packets/disconnect.ts'
import type { RareLog } from './rare-log.ts'
import { farewellOf, MALFORMED_PACKET, type MqttError, SHUTTING_DOWN } from './reasons.ts'
import { Turns } from './turns.ts'
import { writeOut } from './writes.ts'

/** ms that a closing connection has for what is still to be written. */
const CLOSE_TIMEOUT = 5_000

interface GuardParts<Route> extends Takers<Route> {
  readonly clock: Clock
  readonly counters: Counters
  readonly rareLog: RareLog
  /** The connection has ended, whatever may still flow out. */
  closed(connection: Connection<Route>): void
}

export class Guard<Route> implements Doorkeeper<Route> {
  readonly connections = new Set<Connection<Route>>()
  readonly #parts: GuardParts<Route>
  readonly #clock: Clock
  readonly #counters: Counters
  #empty: (() => void) | null = null
  readonly #turns: Turns<Connection<Route>>
  readonly #cutter: Cutter<Route>

  constructor(parts: GuardParts<Route>) {
    this.#parts = parts
    this.#clock = parts.clock
    this.#counters = parts.counters
    this.#turns = new Turns(parts.clock, (connection) => this.unblock(connection, BY_TURN))
    this.#cutter = new Cutter(parts, this)
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
    this.#cutter.feed(connection, chunk)
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

  left(connection: Connection<Route>): void {
    this.#parts.lane().flush()
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
    this.#cutter.feedPending(connection)
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

  /** The client broke the protocol. */
  broken(connection: Connection<Route>, { reason, message }: MqttError): void {
    this.refuse(connection, reason === MALFORMED_PACKET ? 'malformed' : 'protocol', { error: message }, reason)
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
