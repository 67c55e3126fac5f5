/**
 * The embedded MQTT broker: 3.1, 3.1.1 and 5.
 *
 *     listeners ─▶ guard ─┬─ CONNECT ─▶ handshake ─▶ sessions
 *                         ├─ PUBLISH ─▶ lane ─┬─▶ intake (journal)
 *                         │                   └─▶ fan-out ─▶ delivery ─▶ sessions ─▶ clients
 *                         │                          └─▶ retained, consumers inside the gateway
 *                         └─ the rest ─▶ desk ─▶ subscriptions, delivery
 */
import type { Timer } from '../clock.ts'
import { StartError } from '../errors.ts'
import { Acknowledging } from './acknowledging.ts'
import { mayPublish, maySubscribe, permissionsFor } from './acl.ts'
import { isLoopback, parseAddress } from './address.ts'
import { Admission } from './admission.ts'
import { Authentication } from './authentication.ts'
import { BY_QUIET, CLOSING, type Connection, READY } from './connection.ts'
import { Counters } from './counters.ts'
import { Delivery } from './delivery.ts'
import { Desk } from './desk.ts'
import { FanOut } from './fan-out.ts'
import { Guard } from './guard.ts'
import { CLIENT_ALIASES, Handshake } from './handshake.ts'
import { Promises } from './kept/promises.ts'
import { restoreSessions } from './kept/restore.ts'
import { Lane } from './lane.ts'
import { type BrokerPorts, Listeners } from './listeners.ts'
import {
  type BrokerContext,
  type BrokerLimits,
  type BrokerOptions,
  DEFAULT_LIMITS,
  type Identity,
  type TelemetryIntake,
} from './options.ts'
import { PasswordWatch } from './password-watch.ts'
import { NO_PROPERTIES } from './publication.ts'
import { RareLog } from './rare-log.ts'
import { Retained } from './retained.ts'
import { Room } from './room.ts'
import type { Subscriber, Will } from './session.ts'
import { FORGETFUL, type SessionStore } from './session-store.ts'
import { Sessions } from './sessions.ts'
import { Subscriptions } from './subscriptions.ts'
import { Writes } from './writes.ts'

export type { BrokerPorts } from './listeners.ts'

export interface ConnectionInfo extends Identity {
  /** Wall clock, ms. */
  readonly since: number
  readonly seen: number
  readonly subscriptions: number
  /** Bytes waiting for it. */
  readonly queued: number
  /** Messages it did not get because too much was waiting. */
  readonly dropped: number
}

export interface BrokerStatus {
  readonly connections: number
  readonly connects: number
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly refused: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
  readonly subscriptions: number
  readonly sessions: number
  readonly retained: number
  /** PUBLISH packets whose acknowledgement waits for the journal. */
  readonly unacknowledged: number
}

/** A message as a consumer inside the gateway gets it; `publisher` is null when the gateway itself published. */
export type PublishHandler = (topic: string, payload: Buffer, publisher: Identity | null) => void

export interface Broker {
  /** @throws StartError port in use, unreadable certificate or password file, open to others without credentials */
  listen(): Promise<BrokerPorts>
  /** Lets nobody in and reads nothing more; acknowledgements still go out. */
  quiesce(): Promise<void>
  close(): Promise<void>
  /** To local subscribers; resolves when it has been handed to all of them. Not ingested. */
  publish(topic: string, payload: Uint8Array, options?: { qos?: 0 | 1 | 2; retain?: boolean }): Promise<void>
  /** Consumes messages inside the gateway. Returns a function that ends it. */
  onPublish(filter: string, handler: PublishHandler): () => void
  /** A connected client has subscribed to `filter`. Returns a function that ends it. */
  onSubscribe(listener: (filter: string, identity: Identity) => void): () => void
  /** Whether a connected client that counts subscribes to this topic now; `counts` sees its filter that matches. */
  hasSubscriber(topic: string, counts?: (identity: Identity, filter: string) => boolean): boolean
  /** ACL, limits, anonymous, password file and certificates can change; addresses cannot. @throws StartError and changes nothing */
  reload(options: BrokerOptions): Promise<void>
  /** The decode rules have changed: `intake.route` is asked again for every topic. */
  forgetRoutes(): void
  status(): BrokerStatus
  connections(): ConnectionInfo[]
  /** Ends a client's connection. False: there is none. */
  disconnect(client: string): boolean
}

/** ms between looks at time-outs. */
const SWEEP = 1_000
/** ms that connections have for their last bytes when the broker closes. */
const LAST_BYTES = 1_000

export function createBroker<Route>(
  options: BrokerOptions,
  intake: TelemetryIntake<Route>,
  context: BrokerContext,
): Broker {
  return new EmbeddedBroker(options, intake, context)
}

class EmbeddedBroker<Route> implements Broker {
  #options: BrokerOptions
  /** Shared by all parts; changed in place by a reload. */
  readonly #limits: BrokerLimits
  readonly #context: BrokerContext
  readonly #counters = new Counters()
  readonly #rareLog: RareLog
  readonly #subscriptions = new Subscriptions()
  readonly #retained: Retained
  readonly #delivery: Delivery
  readonly #fanOut: FanOut
  readonly #sessions: Sessions
  readonly #store: SessionStore
  readonly #authentication: Authentication
  readonly #guard: Guard<Route>
  readonly #acknowledging: Acknowledging<Route>
  readonly #lane: Lane<Route>
  readonly #listeners: Listeners
  readonly #passwords: PasswordWatch
  /** Connected clients by client id. */
  readonly #clients = new Map<string, Connection<Route>>()
  readonly #subscribeListeners = new Set<(filter: string, identity: Identity) => void>()
  #sweeper: Timer | null = null

  constructor(options: BrokerOptions, intake: TelemetryIntake<Route>, context: BrokerContext) {
    const { clock, log } = context
    const rareLog = new RareLog(clock, log)
    const counters = this.#counters
    const limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#options = options
    this.#limits = limits
    this.#context = context
    this.#rareLog = rareLog
    this.#authentication = new Authentication(clock, limits, undefined)
    this.#passwords = new PasswordWatch(clock, log, (users) => this.#replaceUsers(users))
    const subscriptions = this.#subscriptions
    const store = context.sessions ?? FORGETFUL
    this.#store = store
    const promises = new Promises(intake, store)
    const writes = new Writes<Subscriber>(limits)
    const slow = (line: Subscriber) => this.#slow(line)
    this.#retained = new Retained(limits, counters, clock)
    this.#delivery = new Delivery({
      clock,
      counters,
      limits,
      subscriptions,
      writes,
      store,
      slow,
      stalled: (line) => this.#stalled(line),
    })
    const shared = { clock, counters, limits, subscriptions, store, delivery: this.#delivery, retained: this.#retained }
    this.#fanOut = new FanOut({ ...shared, writes, slow })
    this.#sessions = new Sessions({
      ...shared,
      sendWill: (will) => this.#sendWill(will),
      receivedFrom: (client) => intake.receivedFrom(client),
      forget: (client) => intake.forget(client),
    })
    this.#guard = new Guard({
      clock,
      counters,
      rareLog,
      limits,
      lane: () => this.#lane,
      connect: (connection, connect) => handshake.begin(connection, connect),
      packet: (connection, type, reader) => desk.packet(connection, type, reader),
      disconnect: (connection, reader) => desk.disconnect(connection, reader),
      closed: (connection) => this.#closed(connection),
    })
    const host = this.#guard
    const room = new Room<Route>({ ...shared, intake, host })
    this.#acknowledging = new Acknowledging<Route>({
      ...shared,
      intake,
      host,
      noRoom: (connection) => room.wait(connection),
    })
    const acknowledging = this.#acknowledging
    this.#lane = new Lane({
      ...shared,
      intake,
      acknowledging,
      room,
      fanOut: this.#fanOut,
      writes,
      aliases: CLIENT_ALIASES,
      authorizePublish: (identity, topic) => this.#options.authorizePublish?.(identity, topic) ?? true,
      denied: (connection, topic) => this.#denied(connection, topic),
      broken: (connection, error) => host.broken(connection, error),
    })
    const desk = new Desk({
      ...shared,
      sessions: this.#sessions,
      acknowledging,
      rareLog,
      subscribed: (filter, identity) => this.#announce(filter, identity),
    })
    const handshake = new Handshake<Route>({
      ...shared,
      sessions: this.#sessions,
      authentication: this.#authentication,
      guard: this.#guard,
      rareLog,
      log,
      options: () => this.#options,
      find: (client) => this.#clients.get(client),
      whenKept: (entry, session, callback) => promises.when(entry, session ? store.flush() : 0, callback),
      welcomed: (connection) => this.#welcomed(connection),
      resumed: (connection) => this.#resumed(connection),
    })
    this.#listeners = new Listeners({
      options: () => this.#options,
      limits,
      admission: new Admission(clock, limits, counters, rareLog),
      counters,
      receive: (wire, arrival) => this.#receive(wire, arrival),
    })
  }

  async listen(): Promise<BrokerPorts> {
    refuseOpenDoor(this.#options)
    await this.#passwords.start(this.#options.passwordFile)
    await this.#restore()
    this.#sweeper = this.#context.clock.every(SWEEP, () => this.#sweep())
    try {
      return await this.#listeners.open()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async quiesce(): Promise<void> {
    await this.#listeners.close()
    for (const connection of this.#guard.connections) this.#guard.block(connection, BY_QUIET)
  }

  async close(): Promise<void> {
    await this.#listeners.close()
    this.#sweeper?.cancel()
    this.#passwords.stop()
    await this.#guard.drained(LAST_BYTES)
    this.#store.flush()
  }

  async publish(
    topic: string,
    payload: Uint8Array,
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {},
  ): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const { qos = 0, retain = false } = options
    const never = { properties: NO_PROPERTIES, expires: Infinity }
    this.#fanOut.publish({ topic, payload: bytes, qos, retain, clientId: undefined, ...never })
  }

  onPublish(filter: string, handler: PublishHandler): () => void {
    return this.#subscriptions.addLocal(filter, ({ topic, payload, clientId }) => {
      handler(topic, payload, clientId === undefined ? null : (this.#clients.get(clientId)?.identity ?? null))
    })
  }

  onSubscribe(listener: (filter: string, identity: Identity) => void): () => void {
    this.#subscribeListeners.add(listener)
    return () => this.#subscribeListeners.delete(listener)
  }

  hasSubscriber(topic: string, counts: (identity: Identity, filter: string) => boolean = () => true): boolean {
    const matching = this.#subscriptions.to(topic)
    return matching.some(({ session: { line }, topics }) => line?.ready && counts(line.identity, topics))
  }

  async reload(options: BrokerOptions): Promise<void> {
    refuseOpenDoor(options)
    await this.#listeners.reload(options.tls)
    await this.#passwords.start(options.passwordFile)
    this.#options = options
    Object.assign(this.#limits, DEFAULT_LIMITS, options.limits)
    for (const connection of this.#guard.connections) if (connection.state === READY) this.#judgeAgain(connection)
  }

  forgetRoutes(): void {
    this.#lane.forgetRoutes(this.#guard.connections)
  }

  status(): BrokerStatus {
    const { connects, messagesIn, messagesOut, bytesIn, bytesOut, refused, dropped } = this.#counters
    return {
      connections: this.#guard.connections.size,
      connects,
      messagesIn,
      messagesOut,
      bytesIn,
      bytesOut,
      refused: Object.fromEntries(refused),
      dropped: Object.fromEntries(dropped),
      subscriptions: [...this.#clients.values()].reduce(
        (sum, { session }) => sum + (session?.subscriptions.size ?? 0),
        0,
      ),
      sessions: this.#sessions.count,
      retained: this.#retained.count,
      unacknowledged: this.#acknowledging.waiting,
    }
  }

  connections(): ConnectionInfo[] {
    const { clock } = this.#context
    const start = clock.now() - clock.monotonic()
    return [...this.#guard.connections]
      .filter(({ state }) => state === READY)
      .map((connection) => ({
        ...connection.identity,
        since: connection.since,
        seen: start + connection.seen,
        subscriptions: connection.session?.subscriptions.size ?? 0,
        queued: connection.wire.queued,
        dropped: connection.dropped,
      }))
  }

  disconnect(client: string): boolean {
    const connection = this.#clients.get(client)
    if (connection) this.#guard.refuse(connection, 'disconnected')
    return connection !== undefined
  }

  #receive(...[wire, arrival]: Parameters<Guard<Route>['open']>) {
    const connection = this.#guard.open(wire, arrival)
    return {
      data: (chunk: Buffer) => this.#guard.data(connection, chunk),
      hungUp: () => this.#guard.hungUp(connection),
      gone: () => this.#guard.gone(connection),
    }
  }

  #replaceUsers(users: Parameters<Authentication['replaceUsers']>[0]): void {
    this.#authentication.replaceUsers(users)
    for (const connection of this.#guard.connections) {
      const { user } = connection.identity
      if (user === undefined || connection.arrival.certificateUser !== undefined) continue
      if (!this.#authentication.isUser(user)) this.#guard.refuse(connection, 'user_removed')
    }
  }

  /** New rules for an old connection: one that subscribes to what it no longer may has to come again. */
  #judgeAgain(connection: Connection<Route>): void {
    const { user, client } = connection.identity
    connection.judge(permissionsFor(this.#options.acl, user, client), this.#options)
    for (const { topics } of connection.session?.subscriptions.values() ?? [])
      if (connection.state < CLOSING && !maySubscribe(connection.permissions, topics))
        this.#guard.refuse(connection, 'subscription_denied')
  }

  #sweep(): void {
    this.#guard.sweep()
    this.#sessions.sweep()
    this.#store.sweep()
  }

  async #restore(): Promise<void> {
    const { sessions: log, clock } = this.#context
    if (!log) return
    const [sessions, subscriptions, retained] = [this.#sessions, this.#subscriptions, this.#retained]
    const skipped = await restoreSessions(log, { sessions, subscriptions, retained, clock })
    if (skipped > 0) this.#context.log.error({ skipped }, 'records of sessions make no sense and are left out')
  }

  #welcomed(connection: Connection<Route>): void {
    const { identity, session, wire } = connection
    if (!session) return
    this.#clients.set(identity.client, connection)
    wire.drained = () => this.#delivery.pump(session)
  }

  #resumed(connection: Connection<Route>): void {
    const { identity, session } = connection
    if (!session || !connection.ready) return
    // Those of a session that was kept; a new one has none yet.
    for (const { topics } of session.subscriptions.values()) this.#announce(topics, identity)
    this.#delivery.pump(session)
  }

  #closed(connection: Connection<Route>): void {
    const { identity, session } = connection
    connection.wire.drained = null
    if (this.#clients.get(identity.client) === connection) this.#clients.delete(identity.client)
    if (session) this.#sessions.leave(session, connection)
  }

  #announce(filter: string, identity: Identity): void {
    for (const listener of this.#subscribeListeners) listener(filter, identity)
  }

  /** In the name of the client that left it, as far as that may. */
  #sendWill({ packet, owner }: Will): void {
    const { topic, payload, qos, retain, properties, expiry } = packet
    const { identity, permissions } = owner
    if (!mayPublish(permissions, topic) || this.#options.authorizePublish?.(identity, topic) === false) {
      this.#counters.drop('will_denied')
      this.#rareLog.warn(`will_denied ${identity.client}`, { ...identity, topic }, 'mqtt will is not allowed')
      return
    }
    this.#lane.takeWill(topic, payload, qos)
    const expires = expiry === undefined ? Infinity : this.#context.clock.monotonic() + expiry * 1000
    this.#fanOut.publish({ topic, payload, qos, retain, properties, expires, clientId: identity.client })
  }

  #denied({ identity }: Connection<Route>, topic: string): void {
    this.#counters.refuse('publish_denied')
    this.#rareLog.warn(`publish_denied ${identity.client}`, { ...identity, topic }, 'mqtt message is not allowed')
  }

  #slow(line: Subscriber): void {
    const { identity } = line
    line.dropped++
    this.#counters.drop('subscriber_queue')
    this.#rareLog.warn(
      `slow ${identity.client}`,
      { ...identity },
      'mqtt subscriber is too slow, QoS 0 messages to it are dropped',
    )
  }

  #stalled({ identity }: Subscriber): void {
    const connection = this.#clients.get(identity.client)
    if (connection) this.#guard.refuse(connection, 'subscriber_too_slow')
  }
}

/** @throws StartError when others than this machine could come in without credentials and nobody said they may */
function refuseOpenDoor(options: BrokerOptions): void {
  if (options.anonymous !== undefined || options.passwordFile !== undefined) return
  const certificates = options.tls?.clientCertificates === 'required'
  const plain = [...options.listen, ...(options.listenWebSocket ?? [])]
  const secure = certificates ? [] : [...(options.listenTls ?? []), ...(options.listenWebSocketTls ?? [])]
  const open = [...plain, ...secure].find((text) => !isLoopback(parseAddress(text).host))
  if (open !== undefined)
    throw new StartError(
      'SLUICE_MQTT_OPEN',
      `mqtt listens on ${open}, which other machines reach: configure users, or set anonymous: true`,
    )
}
