/**
 * The lane of every PUBLISH. Telemetry goes from the socket's bytes to the intake, and is acknowledged when the journal
 * has it; an object is made only for subscribers who want more than a QoS 0 copy, and for what is retained.
 *
 *     PUBLISH ─▶ topic table ─▶ ACL ─┬─▶ telemetry: intake.take ─▶ acknowledgement when the journal has it
 *                 (or alias)         │
 *                                    └─▶ subscribers ─┬─▶ QoS 0 copies, from bytes to bytes
 *                                                     └─▶ delivery: queues, shares, properties, retained store
 *
 * No room in the intake: the socket is not read. After five seconds of it QoS 0 messages are dropped and counted, QoS 1
 * and 2 wait on.
 */
import type { Clock, Timer } from '../clock.ts'
import { Acknowledgements, PUBACK, PUBCOMP, PUBREC } from './acknowledgements.ts'
import { mayPublish } from './acl.ts'
import { BY_ROOM, BY_UNACKNOWLEDGED, type Connection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { FanOut, PacketBytes } from './fan-out.ts'
import type { BrokerLimits, Identity, TelemetryIntake } from './options.ts'
import { PublishProperties } from './packets/publish-properties.ts'
import {
  MqttError,
  NO_MATCHING_SUBSCRIBERS,
  NOT_AUTHORIZED,
  RECEIVE_MAXIMUM,
  SUCCESS,
  TOPIC_ALIAS,
  UNKNOWN_ID,
} from './reasons.ts'
import type { Session, Subscriber } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { Subscriptions } from './subscriptions.ts'
import { isTopic, type TopicEntry, TopicTable } from './topic-table.ts'
import type { Writes } from './writes.ts'

/** What became of a packet. */
export const TAKEN = 0
/** Not taken; the connection is blocked and the packet comes again. */
export const HOLD = 1
export const MALFORMED = 2
export const DENIED = 3

/** ms without room before QoS 0 messages are dropped. A cheap card may take seconds over one fsync; TCP holds the senders so long. */
const PATIENCE = 5_000
const MAX_VERDICTS = 1_000

export interface LaneHost<Route> {
  block(connection: Connection<Route>, reason: number): void
  unblock(connection: Connection<Route>, reason: number): void
  /** The client broke the protocol: its connection is ended. */
  broken(connection: Connection<Route>, error: MqttError): void
}

interface LaneParts<Route> {
  readonly intake: TelemetryIntake<Route>
  readonly host: LaneHost<Route>
  readonly subscriptions: Subscriptions
  readonly fanOut: FanOut
  readonly store: SessionStore
  readonly writes: Writes<Subscriber>
  readonly counters: Counters
  readonly clock: Clock
  readonly limits: BrokerLimits
  /** Topic aliases that a client may use. */
  readonly aliases: number
  authorizePublish(identity: Identity, topic: string): boolean
  /** A client of MQTT 5 published what it may not. */
  denied(connection: Connection<Route>, topic: string): void
}

export class Lane<Route> {
  readonly #parts: LaneParts<Route>
  readonly #intake: TelemetryIntake<Route>
  readonly #subscriptions: Subscriptions
  readonly #counters: Counters
  readonly #topics: TopicTable<Route>
  readonly #acknowledgements = new Acknowledgements<Connection<Route>>()
  /** Of ordinary messages: they wait for the log of sessions. */
  readonly #kept = new Acknowledgements<Connection<Route>>()
  readonly #waitForRoom = new Set<Connection<Route>>()
  readonly #properties = new PublishProperties()
  readonly #packet: PacketBytes
  #patience: Timer | null = null
  #dropping = false

  constructor(parts: LaneParts<Route>) {
    this.#parts = parts
    this.#intake = parts.intake
    this.#subscriptions = parts.subscriptions
    this.#counters = parts.counters
    this.#topics = new TopicTable(parts.limits.topics, (topic) => parts.intake.route(topic))
    const none = { at: 0, topicEnd: 0, start: 0, end: 0, qos: 0, retain: false }
    this.#packet = { bytes: Buffer.alloc(0), ...none, properties: null }
    parts.intake.onDurable((durable) => this.#acknowledgements.commit(durable, (peer) => this.#acknowledged(peer)))
    parts.intake.onRoom(() => this.#room())
    parts.store.onDurable((durable) => this.#kept.commit(durable, (peer) => this.#acknowledged(peer)))
  }

  /** Acknowledgements that wait for a disk. */
  get unacknowledged(): number {
    return this.#acknowledgements.length + this.#kept.length
  }

  /** The decode rules have changed: ask again for every topic. */
  forgetRoutes(connections: Iterable<Connection<Route>>): void {
    this.#topics.clear()
    for (const connection of connections) {
      connection.last = null
      connection.verdicts?.clear()
      const { topics } = connection
      if (topics) connection.topics = topics.map((entry) => entry && this.#find(entry.topic))
    }
  }

  /** A complete PUBLISH whose variable header begins at `at`. */
  publish(connection: Connection<Route>, bytes: Buffer, first: number, at: number, end: number): number {
    const qos = (first >> 1) & 3
    const topicStart = at + 2
    if (topicStart > end || qos === 3) return MALFORMED
    const topicEnd = topicStart + (((bytes[at] as number) << 8) | (bytes[at + 1] as number))
    let start = qos > 0 ? topicEnd + 2 : topicEnd
    if (start > end) return MALFORMED
    const properties = connection.version === 5 ? this.#properties : null
    if (properties !== null) {
      start = properties.read(bytes, start, end)
      if (start < 0) return this.#broken(connection, new MqttError(-start, 'the properties of a PUBLISH are not good'))
    }
    let entry = connection.last
    if (entry === null || (properties?.alias ?? -1) >= 0 || !isTopic(entry.bytes, bytes, topicStart, topicEnd)) {
      entry = this.#topicOf(connection, bytes, topicStart, topicEnd, properties?.alias ?? -1)
      if (entry === null) return MALFORMED
      connection.last = entry
    }
    const id = qos > 0 ? ((bytes[topicEnd] as number) << 8) | (bytes[topicEnd + 1] as number) : 1
    if (id === 0) return MALFORMED
    if (!this.#allows(connection, entry)) return this.#deny(connection, qos, id)
    if (entry.version !== this.#subscriptions.version) this.#refresh(entry)
    const { route } = entry
    if (route === null || entry.interest !== null || qos === 2 || (first & 1) === 1) {
      const packet = this.#packet
      packet.bytes = bytes
      packet.at = at
      packet.topicEnd = topicEnd
      packet.start = start
      packet.end = end
      packet.qos = qos
      packet.retain = (first & 1) === 1
      packet.properties = properties
      return this.#publishWide(connection, entry, packet, id)
    }
    if (qos === 1 && this.#isOutOfTurn(connection, true)) return HOLD
    const type = properties !== null && properties.typeEnd > 0 ? this.#contentType(connection, bytes) : undefined
    const number = this.#intake.take(route, bytes, start, end, qos, type)
    if (number < 0) return this.#noRoom(connection, route, qos, end - start)
    this.#counters.messagesIn++
    if (qos === 1) this.#acknowledge(connection, PUBACK, id, number)
    return TAKEN
  }

  /** A PUBREL: the client may use the packet id again (MQTT-4.3.3-11). False: not now, it comes again. */
  release(connection: Connection<Route>, session: Session, id: number): boolean {
    const receipt = session.received?.get(id)
    // Before its PUBREC has gone out the release means nothing; it comes again after the PUBREC.
    if (receipt?.waiting) return true
    if (receipt === undefined) {
      this.#acknowledge(connection, PUBCOMP, id, 0, connection.version === 5 ? UNKNOWN_ID : SUCCESS)
      return true
    }
    // Free again only when that is durable too: after a crash a new message must not pass for the old one.
    if (receipt.telemetry) {
      const entry = this.#intake.release(session.client, id)
      if (entry < 0) {
        this.#waitsForRoom(connection)
        return false
      }
      this.#acknowledge(connection, PUBCOMP, id, entry)
    } else {
      const before = this.#parts.store.newest
      this.#parts.store.forgotten(session, id)
      this.#acknowledgeKept(connection, PUBCOMP, id, before, SUCCESS)
    }
    session.received?.delete(id)
    return true
  }

  /** After the packets of a chunk: sends the acknowledgements that need not wait, and what subscribers get. */
  flush(): void {
    this.#acknowledgements.flush()
    this.#parts.writes.flush()
  }

  forget(connection: Connection<Route>): void {
    this.#waitForRoom.delete(connection)
  }

  /** A message of the broker's own making on behalf of a client, i.e. a will. False: not telemetry, or no room. */
  takeWill(topic: string, payload: Buffer, qos: number): boolean {
    const route = this.#find(topic)?.route ?? null
    if (route === null) return false
    const taken = this.#intake.take(route, payload, 0, payload.length, qos) >= 0
    if (!taken) this.#intake.drop(route, payload.length)
    return taken
  }

  /** Ordinary traffic, and telemetry that is retained, QoS 2, or wanted by local subscribers. */
  #publishWide(connection: Connection<Route>, entry: TopicEntry<Route>, packet: PacketBytes, id: number): number {
    const { bytes, start, end, qos, retain, properties } = packet
    const { route } = entry
    const session = connection.session as Session
    if (qos > 0 && this.#isOutOfTurn(connection, route !== null)) return HOLD
    if (qos === 2) {
      if (this.#isDuplicate(connection, session, id)) return TAKEN
      if (this.#isTooMuch(connection, session.received?.size ?? 0)) return MALFORMED
    }
    // An empty retained message takes the retained one away (MQTT-3.3.1-10); it is not a reading.
    let number = 0
    if (route !== null && !(retain && start === end)) {
      const type = properties !== null && properties.typeEnd > 0 ? this.#contentType(connection, bytes) : undefined
      const sender = qos === 2 ? { client: session.client, id } : undefined
      number = this.#intake.take(route, bytes, start, end, qos, type, sender)
      if (number < 0) return this.#noRoom(connection, route, qos, end - start)
    }
    this.#counters.messagesIn++
    const newest = this.#parts.store.newest
    const matched = this.#parts.fanOut.packet(session.client, entry.topic, entry.interest, packet)
    const reason = matched === 0 && route === null && connection.version === 5 ? NO_MATCHING_SUBSCRIBERS : SUCCESS
    if (qos === 2) {
      session.received ??= new Map()
      session.received.set(id, { waiting: connection, telemetry: route !== null })
      if (route === null && session.expiry > 0) this.#parts.store.received(session, id)
    }
    const kind = qos === 1 ? PUBACK : PUBREC
    if (qos > 0 && route === null) this.#acknowledgeKept(connection, kind, id, newest, reason)
    else if (qos > 0) this.#acknowledge(connection, kind, id, number)
    return TAKEN
  }

  /**
   * Acknowledgements of telemetry wait for the journal, others for the log of sessions; so that they go out in the order
   * of their messages (MQTT-4.6.0-2), a connection waits for one of them at a time.
   */
  #isOutOfTurn(connection: Connection<Route>, telemetry: boolean): boolean {
    if (connection.unacknowledged === 0 || connection.waitsForJournal === telemetry) return false
    this.#parts.host.block(connection, BY_UNACKNOWLEDGED)
    return true
  }

  /** The client has sent more than it was told that it may (MQTT 5 section 3.3.4). */
  #isTooMuch(connection: Connection<Route>, waiting: number): boolean {
    if (connection.version !== 5 || waiting < this.#parts.limits.receiveMaximum) return false
    this.#broken(connection, new MqttError(RECEIVE_MAXIMUM, 'more QoS 1 and 2 messages at a time than it may send'))
    return true
  }

  /** By its name, or by an alias that stands for it, or does so from now on (MQTT 5 section 3.3.2.3.4). */
  #topicOf(
    connection: Connection<Route>,
    bytes: Buffer,
    topicStart: number,
    topicEnd: number,
    alias: number,
  ): TopicEntry<Route> | null {
    if (alias < 0) return this.#topics.find(bytes, topicStart, topicEnd)
    // MQTT-3.3.2-8, -9
    const good = alias > 0 && alias <= this.#parts.aliases
    const isNew = topicEnd > topicStart
    const known = isNew ? undefined : connection.topics?.[alias]
    if (!good || (!isNew && !known)) {
      this.#broken(connection, new MqttError(TOPIC_ALIAS, `topic alias ${alias} stands for nothing`))
      return null
    }
    if (known) return known
    const entry = this.#topics.find(bytes, topicStart, topicEnd)
    if (entry === null) return null
    connection.topics ??= []
    connection.topics[alias] = entry
    return entry
  }

  /** Media type of the payload, when it is one that the journal can keep. */
  #contentType(connection: Connection<Route>, bytes: Buffer): string | undefined {
    const { typeStart, typeEnd } = this.#properties
    const known = connection.contentType
    if (known.length !== typeEnd - typeStart || !isAscii(known, bytes, typeStart)) {
      const text = bytes.toString('latin1', typeStart, typeEnd)
      connection.contentType = /^[\x20-\x7e]{1,255}$/.test(text) ? text : ''
    }
    return connection.contentType || undefined
  }

  #broken(connection: Connection<Route>, error: MqttError): number {
    this.#parts.host.broken(connection, error)
    return MALFORMED
  }

  /** Clients of MQTT 5 are told, those before it can only be disconnected. */
  #deny(connection: Connection<Route>, qos: number, id: number): number {
    if (connection.version !== 5) return DENIED
    this.#parts.denied(connection, connection.last?.topic ?? '')
    if (qos === 1) this.#acknowledge(connection, PUBACK, id, 0, NOT_AUTHORIZED)
    if (qos === 2) this.#acknowledge(connection, PUBREC, id, 0, NOT_AUTHORIZED)
    return TAKEN
  }

  /** QoS 2: a packet id is one message until it is released (MQTT-4.3.3-10). */
  #isDuplicate(connection: Connection<Route>, session: Session, id: number): boolean {
    const receipt = session.received?.get(id)
    if (receipt === undefined) return false
    const { waiting, telemetry } = receipt
    if (waiting === null) this.#acknowledge(connection, PUBREC, id, 0)
    // It came over an earlier connection and is not durable yet: this one is told too.
    else if (waiting !== connection) (telemetry ? this.#acknowledgements : this.#kept).add(connection, PUBREC, id, 0)
    return true
  }

  #acknowledge(connection: Connection<Route>, kind: number, id: number, entry: number, reason = SUCCESS): void {
    if (connection.unacknowledged === 0 && entry <= this.#intake.durable) {
      if (kind === PUBREC) connection.received(id)
      this.#acknowledgements.now(connection, kind, id, 64, reason)
      return
    }
    connection.waitsForJournal = true
    this.#acknowledgements.add(connection, kind, id, entry, reason)
    if (this.#isTooMuch(connection, connection.unacknowledged - 1)) return
    if (connection.unacknowledged >= this.#parts.limits.unacknowledged)
      this.#parts.host.block(connection, BY_UNACKNOWLEDGED)
  }

  /** An ordinary message: when what it changed since `newest` is kept. */
  #acknowledgeKept(connection: Connection<Route>, kind: number, id: number, newest: number, reason: number): void {
    const { store } = this.#parts
    const number = store.flush()
    if (connection.unacknowledged === 0 && (number === newest || number <= store.durable)) {
      if (kind === PUBREC) connection.received(id)
      this.#acknowledgements.now(connection, kind, id, 64, reason)
      return
    }
    connection.waitsForJournal = false
    this.#kept.add(connection, kind, id, number === newest ? 0 : number, reason)
  }

  #acknowledged(connection: Connection<Route>): void {
    if ((connection.blocked & BY_UNACKNOWLEDGED) === 0) return
    // All of them, when it waits for the other kind of acknowledgement.
    if (connection.unacknowledged === 0 || connection.unacknowledged * 2 <= this.#parts.limits.unacknowledged)
      this.#parts.host.unblock(connection, BY_UNACKNOWLEDGED)
  }

  #noRoom(connection: Connection<Route>, route: Route, qos: number, bytes: number): number {
    if (this.#dropping && qos === 0) {
      this.#intake.drop(route, bytes)
      this.#counters.messagesIn++
      this.#counters.drop('no_room')
      return TAKEN
    }
    if (!this.#dropping) this.#patience ??= this.#parts.clock.after(PATIENCE, () => this.#loosePatience())
    this.#waitsForRoom(connection)
    return HOLD
  }

  #waitsForRoom(connection: Connection<Route>): void {
    this.#waitForRoom.add(connection)
    this.#parts.host.block(connection, BY_ROOM)
  }

  #loosePatience(): void {
    this.#patience = null
    this.#dropping = true
    this.#resume()
  }

  #room(): void {
    this.#dropping = false
    this.#patience?.cancel()
    this.#patience = null
    this.#resume()
  }

  /** In the order in which they began to wait; whoever has to wait again goes to the end. */
  #resume(): void {
    const list = [...this.#waitForRoom]
    this.#waitForRoom.clear()
    for (const connection of list) this.#parts.host.unblock(connection, BY_ROOM)
  }

  #find(topic: string): TopicEntry<Route> | undefined {
    const name = Buffer.from(topic)
    return this.#topics.find(name, 0, name.length) ?? undefined
  }

  #refresh(entry: TopicEntry<Route>): void {
    entry.version = this.#subscriptions.version
    entry.interest = this.#subscriptions.interest(entry.topic)
  }

  #allows(connection: Connection<Route>, entry: TopicEntry<Route>): boolean {
    const { verdicts } = connection
    if (verdicts === null) return !entry.reserved
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

function isAscii(text: string, bytes: Buffer, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[at + i]) return false
  return true
}
