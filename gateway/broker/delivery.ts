/**
 * Brings messages to sessions, each on its own terms: QoS 0 straight to the connection, QoS 1 and 2 through the
 * session's queue, at most as many on their way as the client takes (MQTT-3.3.4-7, -9).
 *
 *     publication ─▶ interest ─┬─▶ targets ─┬─ QoS 0 ───▶ connection
 *                              ├─▶ shares ──┤
 *                              │            └─ QoS 1, 2 ─▶ queue ─▶ pump ─▶ connection
 *                              └─▶ consumers inside the gateway
 *
 * Nothing waits for a subscriber. One that does not read loses QoS 0 messages beyond its bound; when its queue is full
 * too, it is disconnected, and a persistent session keeps what the queue holds.
 */
import type { Clock } from '../clock.ts'
import type { Counters } from './counters.ts'
import type { BrokerLimits } from './options.ts'
import { type Outgoing, OutgoingQueue } from './outgoing.ts'
import { encodePubrel } from './packets/acknowledgement.ts'
import { encodePublish } from './packets/publish.ts'
import { type Publication, secondsLeft } from './publication.ts'
import type { Owed, Session, Subscriber, Subscription } from './session.ts'
import type { SessionStore } from './session-store.ts'
import { type Share, type Subscriptions, type Target, targetOf } from './subscriptions.ts'
import type { Writes } from './writes.ts'

interface DeliveryParts {
  readonly clock: Clock
  readonly counters: Counters
  readonly limits: BrokerLimits
  readonly subscriptions: Subscriptions
  readonly writes: Writes<Subscriber>
  readonly store: SessionStore
  /** A subscriber did not get a QoS 0 message because too much waits for it. */
  slow(line: Subscriber): void
  /** A subscriber has taken nothing for long, and its queue is full. */
  stalled(line: Subscriber): void
}

/** ms without an acknowledgement after which a subscriber with a full queue is not slow but stalled. */
const STALLED = 1_000
/** A session's queue is full at this many times the bound for QoS 0. */
const PATIENCE = 8
/** Retained messages come to the queue so many at a time. */
const OWED_AT_A_TIME = 100

type Message = Omit<Outgoing, 'id' | 'sent' | 'released'>

/** Bytes that several subscribers get alike, encoded once. */
interface Encoded {
  before5: Buffer | null
  since5: Buffer | null
}

export class Delivery {
  readonly #parts: DeliveryParts
  /** Bytes in all queues. */
  #queued = 0

  constructor(parts: DeliveryParts) {
    this.#parts = parts
  }

  /** Returns how many subscriptions it matched. */
  publish(publication: Publication, interest = this.#parts.subscriptions.interest(publication.topic)): number {
    if (interest === null) return 0
    const { targets, shares, local } = interest
    const encoded: Encoded = { before5: null, since5: null }
    for (let i = 0; i < targets.length; i++) this.toTarget(publication, targets[i] as Target, encoded)
    for (let i = 0; i < shares.length; i++) this.#toShare(publication, shares[i] as Share)
    if (local) this.#parts.subscriptions.emitLocal(publication)
    return targets.length + shares.length + (local ? 1 : 0)
  }

  toTarget(publication: Publication, target: Target, encoded: Encoded | null = null): void {
    const { session, subscriptions } = target
    // MQTT-3.8.3-3
    if (publication.clientId === session.client && subscriptions.some(({ noLocal }) => noLocal)) {
      const others = subscriptions.filter(({ noLocal }) => !noLocal)
      if (others.length > 0) this.#toSession(publication, targetOf(session, others), null)
    } else this.#toSession(publication, target, encoded)
  }

  /** What is retained, for a new subscription. */
  owe(session: Session, owed: readonly Owed[]): void {
    if (owed.length === 0) return
    session.owed = session.owed.length === 0 ? [...owed] : [...session.owed, ...owed]
    this.pump(session)
  }

  /** Sends what waits, as far as the client takes it. */
  pump(session: Session): void {
    const { line } = session
    if (!line?.ready) return
    this.#pumpQueue(session, line)
    while (session.owed.length > 0 && this.#pumpOwed(session, line)) this.#pumpQueue(session, line)
  }

  /** PUBACK or PUBCOMP, or a PUBREC that refuses: the subscriber is done with a message. */
  settle(session: Session, id: number): void {
    this.#progress(session)
    const { outgoing } = session
    if (outgoing && this.#done(session, outgoing, id)) this.pump(session)
  }

  /** PUBREC: the subscriber has a QoS 2 message. False: we know of none (MQTT-4.3.3-4). */
  release(session: Session, id: number): boolean {
    this.#progress(session)
    const released = session.outgoing?.release(id)
    if (released) this.#parts.store.released(session, released)
    return released !== undefined
  }

  /** The session is gone, and its queue with it. */
  forget(session: Session): void {
    this.#queued -= session.outgoing?.bytes ?? 0
    session.outgoing = null
    session.owed = []
  }

  /** Messages that a session had before a restart. */
  restored(session: Session): void {
    this.#queued += session.outgoing?.bytes ?? 0
  }

  #toSession(publication: Publication, target: Target, encoded: Encoded | null): void {
    const { session, identifiers } = target
    const qos = lesser(target.qos, publication.qos)
    // MQTT-3.3.1-12, -13
    const retain = target.retainAsPublished && publication.retain
    if (qos !== 0) this.#enqueue(session, { publication, qos, retain, identifiers })
    else if (session.line?.ready) this.#sendOnce(session.line, publication, retain, identifiers, encoded)
  }

  /** The next that is connected and reads, else the next that has a session to keep it in. */
  #toShare(publication: Publication, share: Share): void {
    const member = this.#whoseTurn(share, publication.qos)
    if (member) this.#toSession(publication, targetOf(member.session, [member]), null)
  }

  #whoseTurn(share: Share, qos: number): Subscription | undefined {
    const { members } = share
    let away: Subscription | undefined
    for (let i = 1; i <= members.length; i++) {
      const turn = (share.turn + i) % members.length
      const member = members[turn] as Subscription
      const { line } = member.session
      if (line?.ready && !this.#parts.writes.isFull(line)) {
        share.turn = turn
        return member
      }
      if (line?.ready || (qos > 0 && member.qos > 0)) away ??= member
    }
    if (away) share.turn = members.indexOf(away)
    return away
  }

  /** A QoS 0 message. */
  #sendOnce(
    line: Subscriber,
    publication: Publication,
    retain: boolean,
    identifiers: readonly number[],
    encoded: Encoded | null,
  ): void {
    if (this.#parts.writes.isFull(line)) {
      this.#parts.slow(line)
      return
    }
    const kind = line.version === 5 ? 'since5' : 'before5'
    const alike = encoded !== null && !retain && identifiers.length === 0 && line.aliases === null
    const known = alike ? encoded[kind] : null
    const packet = known ?? this.#encode(line, publication, { qos: 0, retain, dup: false, id: 0, identifiers })
    if (alike) encoded[kind] = packet
    this.#write(line, packet, publication.topic)
  }

  #enqueue(session: Session, message: Message): void {
    this.#keep(session, message)
    this.pump(session)
  }

  /** Into the session's queue. */
  #keep(session: Session, message: Message): void {
    session.outgoing ??= new OutgoingQueue()
    const { outgoing } = session
    const before = outgoing.bytes
    const queued = outgoing.push(message)
    if (!queued) {
      this.#parts.counters.drop('session_full')
      return
    }
    if (session.expiry > 0) this.#parts.store.queued(session, queued)
    this.#queued += outgoing.bytes - before
    this.#bound(session, outgoing)
  }

  #bound(session: Session, outgoing: OutgoingQueue): void {
    const { sessionMessages, sessionBytes, queuedBytes, subscriberQueue } = this.#parts.limits
    const { line } = session
    const most = line ? Math.min(sessionBytes, subscriberQueue * PATIENCE) : sessionBytes
    while (outgoing.size > sessionMessages || outgoing.bytes > most || this.#queued > queuedBytes) {
      if (line && this.#isStalled(line, outgoing)) {
        // Not from within the delivery.
        queueMicrotask(() => this.#parts.stalled(line))
        return
      }
      const before = outgoing.bytes
      const dropped = outgoing.dropOldest()
      if (!dropped) return
      this.#queued += outgoing.bytes - before
      this.#parts.counters.drop('session_full')
      this.#parts.store.settled(session, dropped)
    }
  }

  #isStalled({ progress }: Subscriber, { inFlight }: OutgoingQueue): boolean {
    return inFlight > 0 && this.#parts.clock.monotonic() - progress > STALLED
  }

  #progress({ line }: Session): void {
    if (line) line.progress = this.#parts.clock.monotonic()
  }

  #sendQueued(session: Session, line: Subscriber, outgoing: OutgoingQueue, next: Outgoing): void {
    const { id, publication, qos, retain, identifiers, sent } = next
    if (next.released) {
      this.#parts.writes.send(line, encodePubrel(id))
      return
    }
    // Until now there was nothing to acknowledge.
    if (outgoing.inFlight === 1) this.#progress(session)
    const expired = publication.expires <= this.#parts.clock.monotonic()
    if (!expired) {
      next.sent = true
      const packet = this.#encode(line, publication, { qos, retain, dup: sent, id, identifiers })
      if (this.#write(line, packet, publication.topic)) return
    } else this.#parts.counters.drop('expired')
    // MQTT-3.3.2-5; MQTT-3.1.2-25: as if it had been delivered.
    this.#done(session, outgoing, id)
  }

  #done(session: Session, outgoing: OutgoingQueue, id: number): boolean {
    const before = outgoing.bytes
    const settled = outgoing.settle(id)
    if (!settled) return false
    this.#queued += outgoing.bytes - before
    this.#parts.store.settled(session, settled)
    return true
  }

  #pumpQueue(session: Session, line: Subscriber): void {
    const { outgoing } = session
    while (outgoing && !this.#parts.writes.isFull(line)) {
      const next = outgoing.next(line.receiveMaximum)
      if (!next) return
      this.#sendQueued(session, line, outgoing, next)
    }
  }

  /** Retained messages, while there is room for them; false: there is none now. */
  #pumpOwed(session: Session, line: Subscriber): boolean {
    const { owed } = session
    const now = this.#parts.clock.monotonic()
    let at = 0
    for (; at < owed.length && !this.#parts.writes.isFull(line); at++) {
      const { publication, qos, identifiers } = owed[at] as Owed
      if (publication.expires <= now) continue
      if (qos === 0) this.#sendOnce(line, publication, true, identifiers, null)
      else if ((session.outgoing?.waiting ?? 0) >= OWED_AT_A_TIME) break
      else this.#keep(session, { publication, qos, retain: true, identifiers })
    }
    session.owed = owed.slice(at)
    return at > 0
  }

  #encode(
    line: Subscriber,
    publication: Publication,
    form: { qos: 0 | 1 | 2; retain: boolean; dup: boolean; id: number; identifiers: readonly number[] },
  ): Buffer {
    const { version, aliases } = line
    const expiry = version === 5 ? secondsLeft(publication, this.#parts.clock.monotonic()) : undefined
    const alias = aliases?.of(publication.topic) ?? 0
    const isAliasKnown = aliases?.isKnown(publication.topic) ?? false
    return encodePublish(version, publication, { ...form, expiry, alias, isAliasKnown })
  }

  /** False: it is larger than the client takes (MQTT-3.1.2-24). */
  #write(line: Subscriber, packet: Buffer, topic: string): boolean {
    if (packet.length > line.maximumPacket) {
      this.#parts.counters.drop('larger_than_client_takes')
      return false
    }
    line.aliases?.told(topic, line.aliases.of(topic))
    this.#parts.writes.send(line, packet)
    this.#parts.counters.messagesOut++
    return true
  }
}

function lesser(a: 0 | 1 | 2, b: 0 | 1 | 2): 0 | 1 | 2 {
  return a < b ? a : b
}
