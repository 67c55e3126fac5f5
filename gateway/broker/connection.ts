/**
 * One client. Its life:
 *
 *     OPENING ──CONNECT──▶ HANDSHAKE ──CONNACK──▶ READY ──DISCONNECT──▶ CLOSING ──▶ CLOSED
 *     nothing but a         the socket is          │                     │ nothing more is read; what
 *     CONNECT is read       not read               └ not read            └ was written may still flow out
 *                                                    while `blocked`
 */
import type { Acknowledged } from './acknowledgements.ts'
import type { Permissions } from './acl.ts'
import type { Counters } from './counters.ts'
import type { BrokerOptions, Identity } from './options.ts'
import type { Version } from './packets/connect.ts'
import type { Aliases, Session, Subscriber } from './session.ts'
import type { TopicEntry } from './topic-table.ts'
import { writeOut } from './writes.ts'

export const OPENING = 0
export const HANDSHAKE = 1
export const READY = 2
export const CLOSING = 3
export const CLOSED = 4

/** Why the socket is not read; bits of `blocked`. */
export const BY_HANDSHAKE = 1
export const BY_ROOM = 2
export const BY_UNACKNOWLEDGED = 4
export const BY_QUIET = 8
export const BY_TURN = 16

/** A TCP, TLS or WebSocket connection. */
export interface Wire {
  /** Bytes written and not yet taken by the kernel. */
  readonly queued: number
  /** Called when the kernel has taken all that waited. */
  drained: (() => void) | null
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

export class Connection<Route> implements Acknowledged, Subscriber {
  readonly wire: Wire
  readonly arrival: Arrival
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

  version: Version = 4
  identity: Identity
  /** Null until the client is let in. */
  session: Session | null = null
  receiveMaximum = 0
  maximumPacket = Infinity
  /** Topic aliases towards the client. */
  aliases: Aliases | null = null
  /** Topic aliases of the client. */
  topics: (TopicEntry<Route> | undefined)[] | null = null
  /** Content type of its last PUBLISH that had one: most sensors have one. */
  contentType = ''
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
  unacknowledged = 0
  /** What its unacknowledged messages wait for: the journal, or the log of sessions. */
  waitsForJournal = true
  acks: Buffer | null = null
  ackLength = 0
  /** Messages for this subscriber, written at the end of a chunk. */
  out: Buffer | null = null
  outLength = 0
  /** Messages not sent to this subscriber because too much was waiting. */
  dropped = 0
  /** Monotonic ms when it last acknowledged a message. */
  progress: number

  constructor(wire: Wire, arrival: Arrival, counters: Counters, time: { since: number; seen: number }) {
    this.wire = wire
    this.arrival = arrival
    this.#counters = counters
    this.identity = { client: '', user: undefined, address: arrival.address }
    this.since = time.since
    this.seen = time.seen
    this.progress = time.seen
  }

  get ready(): boolean {
    return this.state === READY
  }

  get open(): boolean {
    return this.state < CLOSING
  }

  write(bytes: Uint8Array): void {
    if (this.state === CLOSED) return
    if (this.outLength > 0) writeOut(this)
    this.#counters.bytesOut += bytes.length
    this.wire.write(bytes)
  }

  received(id: number): void {
    const receipt = this.session?.received?.get(id)
    if (receipt) receipt.waiting = null
  }

  /** What this connection may do from now on. */
  judge(permissions: Permissions | null, { authorizePublish }: BrokerOptions): void {
    this.permissions = permissions
    this.verdicts = permissions !== null || authorizePublish !== undefined ? new Map() : null
  }
}
