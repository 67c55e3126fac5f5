/**
 * One client. Its life:
 *
 *     OPENING ──CONNECT──▶ HANDSHAKE ──CONNACK──▶ READY ──DISCONNECT──▶ LEAVING ──▶ CLOSING ──▶ CLOSED
 *     nothing but a         the socket is          │                     │            what was written
 *     CONNECT is read       not read               └ not read            └ nothing    may still flow out
 *                                                    while `blocked`       more is read
 */
import type { Acknowledged } from './acknowledgements.ts'
import type { Permissions } from './acl.ts'
import type { Counters } from './counters.ts'
import type { Identity } from './options.ts'
import type { Pipe, PipeEnd } from './pipe.ts'
import type { OnlineSubscription } from './subscriptions.ts'
import type { TopicEntry } from './topic-table.ts'

export const OPENING = 0
export const HANDSHAKE = 1
export const READY = 2
export const LEAVING = 3
export const CLOSING = 4
export const CLOSED = 5

/** Why the socket is not read; bits of `blocked`. */
export const BY_HANDSHAKE = 1
export const BY_ROOM = 2
export const BY_UNACKNOWLEDGED = 4
export const BY_INBOX = 8
export const BY_FORWARDING = 16
export const BY_QUIET = 32

/** A TCP, TLS or WebSocket connection. */
export interface Wire {
  /** Bytes written and not yet taken by the kernel. */
  readonly queued: number
  write(bytes: Uint8Array): void
  pause(): void
  resume(): void
  /** Closes after what was written has gone out. */
  end(): void
  destroy(): void
}

/** What the listener knows of a new connection. */
export interface Arrival {
  readonly address: string
  /** Common name of the client's certificate. */
  readonly certificateUser: string | undefined
  readonly mayBeAnonymous: boolean
}

/** Where a connection's events go. */
export interface ConnectionHost<Route> {
  ended(connection: Connection<Route>, error: Error | null): void
  unblock(connection: Connection<Route>, reason: number): void
}

export class Connection<Route> implements Acknowledged, PipeEnd {
  readonly wire: Wire
  readonly arrival: Arrival
  readonly #host: ConnectionHost<Route>
  readonly #counters: Counters
  state: number = OPENING
  blocked = 0
  /** Bytes read and not yet looked at, while blocked. */
  pending: Buffer[] | null = null
  /** What the end of the socket means, while `pending` is still to be looked at. */
  afterwards: ((connection: Connection<Route>) => void) | null = null
  /** A packet that began in an earlier chunk: its bytes so far, and its whole length, 0 while unknown. */
  carry: Buffer | null = null
  carried = 0
  carryLength = 0

  pipe: Pipe<Connection<Route>> | null = null
  identity: Identity
  clean = true
  /** ms, 0: none. */
  keepalive = 0
  /** Wall clock, ms. */
  readonly since: number
  /** Monotonic, ms: begin of the present state before READY and after it; last packet while READY. */
  seen: number

  /** Topic of the last PUBLISH: most sensors have one. */
  last: TopicEntry<Route> | null = null
  permissions: Permissions | null = null
  /** Answers of the ACL per topic; null: everything is allowed. */
  verdicts: Map<TopicEntry<Route>, boolean> | null = null
  /** Packet ids of QoS 2 telemetry; true when it is durable. */
  receivedIds: Map<number, boolean> | null = null
  unacknowledged = 0
  acks: Buffer | null = null
  ackLength = 0
  /** Subscriptions by filter. */
  readonly filters = new Map<string, OnlineSubscription<Connection<Route>>>()
  /** Copies of telemetry for this subscriber, written at the end of a chunk. */
  out: Buffer | null = null
  outLength = 0
  /** Messages not sent to this subscriber because too much was waiting. */
  dropped = 0

  constructor(
    host: ConnectionHost<Route>,
    wire: Wire,
    arrival: Arrival,
    counters: Counters,
    time: { since: number; seen: number },
  ) {
    this.#host = host
    this.wire = wire
    this.arrival = arrival
    this.#counters = counters
    this.identity = { client: '', user: undefined, address: arrival.address }
    this.since = time.since
    this.seen = time.seen
  }

  get open(): boolean {
    return this.state < CLOSING
  }

  write(bytes: Uint8Array): void {
    if (this.state === CLOSED) return
    this.#counters.bytesOut += bytes.length
    this.wire.write(bytes)
  }

  received(id: number): void {
    if (this.receivedIds?.has(id)) this.receivedIds.set(id, true)
  }

  ended(error: Error | null): void {
    this.#host.ended(this, error)
  }

  caughtUp(): void {
    this.#host.unblock(this, BY_INBOX)
  }
}
