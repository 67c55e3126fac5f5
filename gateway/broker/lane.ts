/**
 * The lane of every PUBLISH. Telemetry goes from the socket's bytes to the intake, and is acknowledged when the journal
 * has it; an object is made only for subscribers who want more than a QoS 0 copy, and for what is retained.
 *
 *     PUBLISH ─▶ topic table ─▶ ACL ─┬─▶ telemetry: intake.take ─▶ acknowledgement when the journal has it
 *                 (or alias)         │
 *                                    └─▶ subscribers ─┬─▶ QoS 0 copies, from bytes to bytes
 *                                                     └─▶ delivery: queues, shares, properties, retained store
 */
import { PUBACK, PUBREC } from './acknowledgements.ts'
import type { Acknowledging } from './acknowledging.ts'
import { mayPublish } from './acl.ts'
import type { Connection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { FanOut, PacketBytes } from './fan-out.ts'
import type { BrokerLimits, Identity, TelemetryIntake } from './options.ts'
import { PublishProperties } from './packets/publish-properties.ts'
import { MqttError, NO_MATCHING_SUBSCRIBERS, NOT_AUTHORIZED, SUCCESS, TOPIC_ALIAS } from './reasons.ts'
import type { Room } from './room.ts'
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

const MAX_VERDICTS = 1_000

interface LaneParts<Route> {
  readonly intake: TelemetryIntake<Route>
  readonly subscriptions: Subscriptions
  readonly fanOut: FanOut
  readonly store: SessionStore
  readonly writes: Writes<Subscriber>
  readonly acknowledging: Acknowledging<Route>
  readonly room: Room<Route>
  readonly counters: Counters
  readonly limits: BrokerLimits
  /** Topic aliases that a client may use. */
  readonly aliases: number
  authorizePublish(identity: Identity, topic: string): boolean
  /** The client broke the protocol: its connection is ended. */
  broken(connection: Connection<Route>, error: MqttError): void
  /** A client of MQTT 5 published what it may not. */
  denied(connection: Connection<Route>, topic: string): void
}

export class Lane<Route> {
  readonly #parts: LaneParts<Route>
  readonly #intake: TelemetryIntake<Route>
  readonly #subscriptions: Subscriptions
  readonly #counters: Counters
  readonly #topics: TopicTable<Route>
  readonly #properties = new PublishProperties()
  readonly #packet: PacketBytes

  constructor(parts: LaneParts<Route>) {
    this.#parts = parts
    this.#intake = parts.intake
    this.#subscriptions = parts.subscriptions
    this.#counters = parts.counters
    this.#topics = new TopicTable(parts.limits.topics, (topic) => parts.intake.route(topic))
    const none = { at: 0, topicEnd: 0, start: 0, end: 0, qos: 0, retain: false }
    this.#packet = { bytes: Buffer.alloc(0), ...none, properties: null }
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
    const retain = (first & 1) === 1
    if (entry.route === null || entry.interest !== null || qos === 2 || retain) {
      const packet = this.#packet
      packet.bytes = bytes
      packet.at = at
      packet.topicEnd = topicEnd
      packet.start = start
      packet.end = end
      packet.qos = qos
      packet.retain = retain
      packet.properties = properties
      return this.#publishWide(connection, entry, packet, id)
    }
    return this.#publishFast(connection, entry.route, bytes, start, end, qos, id, properties)
  }

  /** After the packets of a chunk: sends the acknowledgements that need not wait, and what subscribers get. */
  flush(): void {
    this.#parts.acknowledging.flush()
    this.#parts.writes.flush()
  }

  forget(connection: Connection<Route>): void {
    this.#parts.room.forget(connection)
  }

  /** A message of the broker's own making on behalf of a client, i.e. a will. False: not telemetry, or no room. */
  takeWill(topic: string, payload: Buffer, qos: number): boolean {
    const route = this.#find(topic)?.route ?? null
    if (route === null) return false
    const taken = this.#intake.take(route, payload, 0, payload.length, qos) >= 0
    if (!taken) this.#intake.drop(route, payload.length)
    return taken
  }

  /** Telemetry that nobody but the intake wants. */
  #publishFast(
    connection: Connection<Route>,
    route: Route,
    bytes: Buffer,
    start: number,
    end: number,
    qos: number,
    id: number,
    properties: PublishProperties | null,
  ): number {
    const { acknowledging, room } = this.#parts
    if (qos === 1 && acknowledging.isOutOfTurn(connection, true)) return HOLD
    const type = this.#contentType(connection, bytes, properties)
    const entry = this.#intake.take(route, bytes, start, end, qos, type)
    if (entry < 0) return room.none(connection, route, qos, end - start) ? TAKEN : HOLD
    this.#counters.messagesIn++
    if (qos === 1) acknowledging.journaled(connection, PUBACK, id, entry)
    return TAKEN
  }

  /** Ordinary traffic, and telemetry that is retained, QoS 2, or wanted by local subscribers. */
  #publishWide(connection: Connection<Route>, entry: TopicEntry<Route>, packet: PacketBytes, id: number): number {
    const { acknowledging, room } = this.#parts
    const { start, end, qos } = packet
    const { route } = entry
    const session = connection.session as Session
    if (qos > 0 && acknowledging.isOutOfTurn(connection, route !== null)) return HOLD
    if (qos === 2) {
      if (acknowledging.isKnown(connection, session, id)) return TAKEN
      if (acknowledging.isOverfull(connection, session)) return MALFORMED
    }
    const number = route === null ? 0 : this.#take(connection, session, route, packet, id)
    if (number < 0) return room.none(connection, route as Route, qos, end - start) ? TAKEN : HOLD
    this.#counters.messagesIn++
    const { newest } = this.#parts.store
    const matched = this.#parts.fanOut.packet(session.client, entry.topic, entry.interest, packet)
    if (qos === 0) return TAKEN
    if (qos === 2) acknowledging.receive(connection, session, id, route !== null)
    const kind = qos === 1 ? PUBACK : PUBREC
    if (route !== null) acknowledging.journaled(connection, kind, id, number)
    else {
      const isUseless = matched === 0 && connection.version === 5
      acknowledging.kept(connection, kind, id, newest, isUseless ? NO_MATCHING_SUBSCRIBERS : SUCCESS)
    }
    return TAKEN
  }

  #take(connection: Connection<Route>, session: Session, route: Route, packet: PacketBytes, id: number): number {
    const { bytes, start, end, qos, retain, properties } = packet
    // An empty retained message takes the retained one away (MQTT-3.3.1-10); it is not a reading.
    if (retain && start === end) return 0
    const sender = qos === 2 ? { client: session.client, id } : undefined
    return this.#intake.take(route, bytes, start, end, qos, this.#contentType(connection, bytes, properties), sender)
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
  #contentType(connection: Connection<Route>, bytes: Buffer, properties: PublishProperties | null): string | undefined {
    if (properties === null || properties.typeEnd === 0) return undefined
    const { typeStart, typeEnd } = properties
    const known = connection.contentType
    if (known.length !== typeEnd - typeStart || !isAscii(known, bytes, typeStart)) {
      const text = bytes.toString('latin1', typeStart, typeEnd)
      connection.contentType = /^[\x20-\x7e]{1,255}$/.test(text) ? text : ''
    }
    return connection.contentType || undefined
  }

  #broken(connection: Connection<Route>, error: MqttError): number {
    this.#parts.broken(connection, error)
    return MALFORMED
  }

  /** Clients of MQTT 5 are told, those before it can only be disconnected. */
  #deny(connection: Connection<Route>, qos: number, id: number): number {
    if (connection.version !== 5) return DENIED
    this.#parts.denied(connection, connection.last?.topic ?? '')
    if (qos === 1) this.#parts.acknowledging.journaled(connection, PUBACK, id, 0, NOT_AUTHORIZED)
    if (qos === 2) this.#parts.acknowledging.journaled(connection, PUBREC, id, 0, NOT_AUTHORIZED)
    return TAKEN
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
