/**
 * All sessions by client id: opened by CONNECT, kept while the client is away, ended by a clean start, by their expiry,
 * or to make room: the one that has been away longest goes first. Wills are sent from here when their time has come.
 */
import type { Clock } from '../clock.ts'
import type { Counters } from './counters.ts'
import type { Delivery } from './delivery.ts'
import type { BrokerLimits } from './options.ts'
import type { Connect } from './packets/connect.ts'
import { Session, type Subscriber, type Will } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { Subscriptions } from './subscriptions.ts'

interface SessionsParts {
  readonly clock: Clock
  readonly counters: Counters
  readonly limits: BrokerLimits
  readonly subscriptions: Subscriptions
  readonly delivery: Delivery
  readonly store: SessionStore
  sendWill(will: Will): void
  /** Packet ids of the client's telemetry with QoS 2 that the journal knows. */
  receivedFrom(client: string): readonly number[]
  /** The journal is to forget them; returns the entry that says so. */
  forget(client: string): number
}

export interface Opened {
  readonly session: Session
  /** It is the one that the client had. */
  readonly present: boolean
  /** Of the journal: the client is told when that is durable. */
  readonly entry: number
}

export class Sessions {
  readonly #parts: SessionsParts
  readonly #all = new Map<string, Session>()
  /** Those whose clients are away, longest first. */
  readonly #away = new Set<Session>()
  #persistent = 0

  constructor(parts: SessionsParts) {
    this.#parts = parts
  }

  /** Sessions that outlive their connection. */
  get count(): number {
    return this.#persistent
  }

  all(): Iterable<Session> {
    return this.#all.values()
  }

  find(client: string): Session | undefined {
    return this.#all.get(client)
  }

  /** The client's session, as it was left or a new one (MQTT-3.1.2-4, -5); `line` has taken it over from now on. */
  open(client: string, connect: Connect, line: Subscriber): Opened {
    const old = this.#all.get(client)
    const kept = connect.clean ? undefined : old
    // Packet ids that came before are not those of a new session.
    const entry = kept ? 0 : this.#parts.forget(client)
    if (old && !kept) this.#end(old)
    const session = kept ?? new Session(client)
    this.#away.delete(session)
    this.#all.set(client, session)
    // MQTT-3.1.3-9: a will that waits is not sent when the client comes back.
    session.will = connect.will ? { packet: connect.will, owner: line, due: Infinity } : null
    session.line = line
    this.#setExpiry(session, connect.sessionExpiry)
    if (!kept) this.#makeRoom()
    return { session, present: kept !== undefined, entry }
  }

  /** The connection has ended; without a DISCONNECT the will follows. */
  leave(session: Session, line: Subscriber): void {
    if (session.line !== line) return
    const now = this.#parts.clock.monotonic()
    session.line = null
    session.since = now
    session.outgoing?.rewind()
    if (session.will) session.will.due = now + session.will.packet.delay * 1000
    if (session.expiry === 0) this.#end(session)
    else {
      this.#away.add(session)
      this.#parts.store.opened(session)
      if (session.will && session.will.due <= now) this.#sendWill(session)
    }
  }

  /** As the DISCONNECT says (section 3.14.2.2.2). */
  changeExpiry(session: Session, expiry: number): void {
    this.#setExpiry(session, expiry)
  }

  /** A session as it was before a restart. */
  restore(session: Session): void {
    const { client } = session
    this.#all.set(client, session)
    this.#away.add(session)
    this.#persistent++
    for (const id of this.#parts.receivedFrom(client)) {
      session.received ??= new Map()
      session.received.set(id, { waiting: null, telemetry: true })
    }
    this.#parts.delivery.restored(session)
    this.#makeRoom()
  }

  /** Once a second: what has expired, and wills whose time has come. */
  sweep(): void {
    const now = this.#parts.clock.monotonic()
    for (const session of this.#away) {
      if (session.will && session.will.due <= now) this.#sendWill(session)
      if (session.since + session.expiry * 1000 <= now) this.#end(session)
    }
  }

  #setExpiry(session: Session, expiry: number): void {
    const was = session.expiry > 0
    session.expiry = expiry
    if (expiry > 0 && !was) this.#persistent++
    if (expiry === 0 && was) this.#persistent--
    if (expiry > 0) this.#parts.store.opened(session)
    else if (was) this.#parts.store.ended(session)
  }

  /** MQTT-3.1.2-8: at the latest now the will is sent. */
  #end(session: Session): void {
    this.#all.delete(session.client)
    this.#away.delete(session)
    if (session.expiry > 0) {
      this.#persistent--
      this.#parts.store.ended(session)
    }
    session.expiry = 0
    if (session.received) this.#parts.forget(session.client)
    this.#parts.subscriptions.removeAll(session)
    this.#parts.delivery.forget(session)
    if (session.will) this.#sendWill(session)
  }

  #sendWill(session: Session): void {
    const { will } = session
    session.will = null
    if (will) this.#parts.sendWill(will)
  }

  #makeRoom(): void {
    if (this.#persistent <= this.#parts.limits.sessions) return
    const [longest] = this.#away
    if (!longest) return
    this.#parts.counters.drop('session_evicted', longest.outgoing?.size ?? 0)
    this.#end(longest)
  }
}
