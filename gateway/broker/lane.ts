/**
 * The fast lane: PUBLISH packets with telemetry go from the socket's bytes to the intake, and are acknowledged when
 * the journal has them. aedes sees only those copies for local subscribers that need its book-keeping.
 *
 *     PUBLISH ─▶ topic table ─▶ ACL ─▶ intake.take ─┬─▶ acknowledgements (wait for the journal)
 *                    │                              ├─▶ QoS 0 copies to local subscribers
 *                    │                              └─▶ aedes: QoS 1 and 2 copies, sessions, retained store
 *                    └─ no route: ordinary traffic ─▶ aedes
 *
 * No room in the intake: the socket is not read. After five seconds of it QoS 0 messages are dropped and counted, QoS 1
 * and 2 wait on.
 */
import type { Clock, Timer } from '../clock.ts'
import { Acknowledgements, PUBACK, PUBCOMP, PUBREC } from './acknowledgements.ts'
import { mayPublish } from './acl.ts'
import { BY_FORWARDING, BY_ROOM, BY_UNACKNOWLEDGED, type Connection, READY } from './connection.ts'
import { Copies } from './copies.ts'
import type { Counters } from './counters.ts'
import type { BrokerLimits, Identity, TelemetryIntake } from './options.ts'
import type { Interest, Subscriptions } from './subscriptions.ts'
import { isTopic, type TopicEntry, TopicTable } from './topic-table.ts'

/** What became of a packet. */
export const TAKEN = 0
/** Ordinary traffic: for aedes. */
export const PASS = 1
/** Not taken; the connection is blocked and the packet comes again. */
export const HOLD = 2
export const MALFORMED = 3
export const DENIED = 4

/** ms without room before QoS 0 messages are dropped. A cheap card may take seconds over one fsync; TCP holds the senders so long. */
const PATIENCE = 5_000
/** Rough cost of a copy on its way to subscribers beside its payload, bytes. */
const OVERHEAD = 256
const MAX_VERDICTS = 1_000

export interface LaneHost<Route> {
  block(connection: Connection<Route>, reason: number): void
  unblock(connection: Connection<Route>, reason: number): void
  /** To local subscribers and the retained store. */
  publish(topic: string, payload: Buffer, qos: number, retain: boolean, done: () => void): void
}

interface LaneParts<Route> {
  readonly intake: TelemetryIntake<Route>
  readonly host: LaneHost<Route>
  readonly subscriptions: Subscriptions<Connection<Route>>
  readonly counters: Counters
  readonly clock: Clock
  readonly limits: BrokerLimits
  authorizePublish(identity: Identity, topic: string): boolean
  /** A subscriber did not get a message because too much waits for it. */
  slow(connection: Connection<Route>): void
}

export class Lane<Route> {
  readonly #parts: LaneParts<Route>
  readonly #intake: TelemetryIntake<Route>
  readonly #subscriptions: Subscriptions<Connection<Route>>
  readonly #counters: Counters
  readonly #topics: TopicTable<Route>
  readonly #copies: Copies<Connection<Route>>
  readonly #acknowledgements = new Acknowledgements<Connection<Route>>()
  readonly #waitForRoom = new Set<Connection<Route>>()
  readonly #waitForForwarding = new Set<Connection<Route>>()
  #patience: Timer | null = null
  #dropping = false
  /** Bytes with aedes. */
  #forwarding = 0
  /** QoS 0 messages with aedes: while there are any, none may overtake them (MQTT-4.6.0-6). */
  #slowCopies = 0

  constructor(parts: LaneParts<Route>) {
    this.#parts = parts
    this.#intake = parts.intake
    this.#subscriptions = parts.subscriptions
    this.#counters = parts.counters
    this.#topics = new TopicTable(parts.limits.topics, (topic) => parts.intake.route(topic))
    this.#copies = new Copies(parts.counters, parts.limits, parts.slow)
    parts.intake.onDurable((durable) => this.#acknowledgements.commit(durable, (peer) => this.#acknowledged(peer)))
    parts.intake.onRoom(() => this.#room())
  }

  /** Acknowledgements that wait for the journal. */
  get unacknowledged(): number {
    return this.#acknowledgements.length
  }

  /** The decode rules have changed: ask again for every topic. */
  forgetRoutes(connections: Iterable<Connection<Route>>): void {
    this.#topics.clear()
    for (const connection of connections) {
      connection.last = null
      connection.verdicts?.clear()
    }
  }

  /** A complete PUBLISH whose variable header begins at `at`. */
  publish(connection: Connection<Route>, bytes: Buffer, first: number, at: number, end: number): number {
    const qos = (first >> 1) & 3
    const topicStart = at + 2
    if (topicStart > end || qos === 3) return MALFORMED
    const topicEnd = topicStart + (((bytes[at] as number) << 8) | (bytes[at + 1] as number))
    const start = qos > 0 ? topicEnd + 2 : topicEnd
    if (start > end) return MALFORMED
    let entry = connection.last
    if (entry === null || !isTopic(entry.bytes, bytes, topicStart, topicEnd)) {
      entry = this.#topics.find(bytes, topicStart, topicEnd)
      if (entry === null) return MALFORMED
      connection.last = entry
    }
    const id = qos > 0 ? ((bytes[topicEnd] as number) << 8) | (bytes[topicEnd + 1] as number) : 1
    if (id === 0) return MALFORMED
    const route = entry.route
    if (route === null) {
      this.#counters.messagesIn++
      return PASS
    }
    if (connection.verdicts !== null && !this.#allows(connection, connection.verdicts, entry)) return DENIED
    if (entry.version !== this.#subscriptions.version) this.#refresh(entry)
    if (entry.interest !== null || qos === 2 || (first & 1) === 1)
      return this.#publishWide(connection, entry, route, bytes, first, at, id, start, end)
    const number = this.#intake.take(route, bytes, start, end, qos)
    if (number < 0) return this.#noRoom(connection, route, qos, end - start)
    this.#counters.messagesIn++
    if (qos === 1) this.#acknowledge(connection, PUBACK, id, number)
    return TAKEN
  }

  /** A PUBREL for QoS 2 telemetry is ours to answer; false: it is aedes'. */
  release(connection: Connection<Route>, id: number): boolean {
    const durable = connection.receivedIds?.get(id)
    if (durable === undefined) return false
    // Before its PUBREC has gone out the release means nothing; it comes again after the PUBREC.
    if (durable) {
      connection.receivedIds?.delete(id)
      this.#acknowledgements.now(connection, PUBCOMP, id)
    }
    return true
  }

  /** After the packets of a chunk: sends the acknowledgements that need not wait, and the copies. */
  flush(): void {
    this.#acknowledgements.flush()
    this.#copies.flush()
  }

  forget(connection: Connection<Route>): void {
    this.#waitForRoom.delete(connection)
    this.#waitForForwarding.delete(connection)
  }

  /** A message of the broker's own making on behalf of a client, i.e. a will. False: not telemetry, or no room. */
  takeWill(topic: string, payload: Buffer, qos: number): boolean {
    const name = Buffer.from(topic)
    const route = this.#topics.find(name, 0, name.length)?.route ?? null
    if (route === null) return false
    const taken = this.#intake.take(route, payload, 0, payload.length, qos) >= 0
    if (!taken) this.#intake.drop(route, payload.length)
    return taken
  }

  /** Retained, QoS 2, or wanted by local subscribers. */
  #publishWide(
    connection: Connection<Route>,
    entry: TopicEntry<Route>,
    route: Route,
    bytes: Buffer,
    first: number,
    at: number,
    id: number,
    start: number,
    end: number,
  ): number {
    const qos = (first >> 1) & 3
    const retain = (first & 1) === 1
    if (qos === 2 && this.#isDuplicate(connection, id)) return TAKEN
    const { interest } = entry
    const light = !retain && this.#slowCopies === 0 && (interest === null || Math.min(qos, interest.qos) === 0)
    const full = !light && this.#forwarding > this.#parts.limits.forwarding
    if (full && qos > 0) return this.#wait(connection, this.#waitForForwarding, BY_FORWARDING)
    // An empty retained message takes the retained one away (MQTT-3.3.1-10); it is not a reading.
    let number = 0
    if (!(retain && start === end)) number = this.#intake.take(route, bytes, start, end, qos)
    if (number < 0) return this.#noRoom(connection, route, qos, end - start)
    this.#counters.messagesIn++
    if (light) {
      if (interest !== null) this.#copy(connection, entry.topic, interest, bytes, at, start, end, qos)
    } else if (full && !retain) this.#counters.drop('forwarding_full')
    else if (interest !== null || retain) this.#forward(entry.topic, bytes, start, end, qos, retain)
    if (qos === 1) this.#acknowledge(connection, PUBACK, id, number)
    if (qos === 2) this.#acknowledgeReceived(connection, id, number)
    return TAKEN
  }

  /** QoS 2: a packet id is one message until it is released (MQTT-4.3.3-2). */
  #isDuplicate(connection: Connection<Route>, id: number): boolean {
    const durable = connection.receivedIds?.get(id)
    if (durable === true) this.#acknowledgements.now(connection, PUBREC, id)
    return durable !== undefined
  }

  #acknowledgeReceived(connection: Connection<Route>, id: number, entry: number): void {
    connection.receivedIds ??= new Map()
    connection.receivedIds.set(id, false)
    this.#acknowledge(connection, PUBREC, id, entry)
  }

  #acknowledge(connection: Connection<Route>, kind: number, id: number, entry: number): void {
    if (connection.unacknowledged === 0 && entry <= this.#intake.durable) {
      if (kind === PUBREC) connection.received(id)
      this.#acknowledgements.now(connection, kind, id)
      return
    }
    this.#acknowledgements.add(connection, kind, id, entry)
    if (connection.unacknowledged >= this.#parts.limits.unacknowledged)
      this.#parts.host.block(connection, BY_UNACKNOWLEDGED)
  }

  #acknowledged(connection: Connection<Route>): void {
    if ((connection.blocked & BY_UNACKNOWLEDGED) === 0) return
    if (connection.unacknowledged * 2 <= this.#parts.limits.unacknowledged)
      this.#parts.host.unblock(connection, BY_UNACKNOWLEDGED)
  }

  /** QoS 0 to whoever subscribes; needs no state, so aedes is not asked. */
  #copy(
    publisher: Connection<Route>,
    topic: string,
    interest: Interest<Connection<Route>>,
    bytes: Buffer,
    at: number,
    start: number,
    end: number,
    qos: number,
  ): void {
    for (const subscriber of interest.subscribers)
      if (subscriber.state === READY) this.#copies.add(subscriber, bytes, at, qos > 0 ? start - 2 : start, start, end)
    if (interest.local) {
      const payload = Buffer.from(bytes.subarray(start, end))
      this.#subscriptions.emitLocal({ topic, payload, clientId: publisher.identity.client })
    }
  }

  #forward(topic: string, bytes: Buffer, start: number, end: number, qos: number, retain: boolean): void {
    const size = end - start + OVERHEAD
    this.#forwarding += size
    if (qos === 0) this.#slowCopies++
    const done = () => this.#forwarded(size, qos)
    this.#parts.host.publish(topic, Buffer.from(bytes.subarray(start, end)), qos, retain, done)
  }

  #forwarded(size: number, qos: number): void {
    this.#forwarding -= size
    if (qos === 0) this.#slowCopies--
    if (this.#waitForForwarding.size === 0 || this.#forwarding * 2 > this.#parts.limits.forwarding) return
    this.#resume(this.#waitForForwarding, BY_FORWARDING)
  }

  #noRoom(connection: Connection<Route>, route: Route, qos: number, bytes: number): number {
    if (this.#dropping && qos === 0) {
      this.#intake.drop(route, bytes)
      this.#counters.messagesIn++
      this.#counters.drop('no_room')
      return TAKEN
    }
    if (!this.#dropping) this.#patience ??= this.#parts.clock.after(PATIENCE, () => this.#loosePatience())
    return this.#wait(connection, this.#waitForRoom, BY_ROOM)
  }

  #loosePatience(): void {
    this.#patience = null
    this.#dropping = true
    this.#resume(this.#waitForRoom, BY_ROOM)
  }

  #room(): void {
    this.#dropping = false
    this.#patience?.cancel()
    this.#patience = null
    this.#resume(this.#waitForRoom, BY_ROOM)
  }

  #wait(connection: Connection<Route>, waiting: Set<Connection<Route>>, reason: number): number {
    waiting.add(connection)
    this.#parts.host.block(connection, reason)
    return HOLD
  }

  /** In the order in which they began to wait; whoever has to wait again goes to the end. */
  #resume(waiting: Set<Connection<Route>>, reason: number): void {
    const list = [...waiting]
    waiting.clear()
    for (const connection of list) this.#parts.host.unblock(connection, reason)
  }

  #refresh(entry: TopicEntry<Route>): void {
    entry.version = this.#subscriptions.version
    entry.interest = this.#subscriptions.interest(entry.topic)
  }

  #allows(connection: Connection<Route>, verdicts: Map<TopicEntry<Route>, boolean>, entry: TopicEntry<Route>): boolean {
    let verdict = verdicts.get(entry)
    if (verdict === undefined) {
      const { permissions, identity } = connection
      verdict = mayPublish(permissions, entry.topic) && this.#parts.authorizePublish(identity, entry.topic)
      if (verdicts.size >= MAX_VERDICTS) verdicts.clear()
      verdicts.set(entry, verdict)
    }
    return verdict
  }
}
