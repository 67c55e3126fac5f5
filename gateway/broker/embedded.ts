/** The broker's parts, put together; `broker.ts` says what they make. */
import type { Timer } from '../clock.ts'
import { StartError } from '../errors.ts'
import { Acknowledging } from './acknowledging.ts'
import { maySubscribe, permissionsFor } from './acl.ts'
import { isLoopback, parseAddress } from './address.ts'
import { Admission } from './admission.ts'
import { Authentication } from './authentication.ts'
import type { Broker, BrokerStatus, ConnectionInfo, PublishHandler } from './broker.ts'
import { Clients, type SubscribeListener } from './clients.ts'
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
import { sendWill } from './last-will.ts'
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
import type { Subscriber } from './session.ts'
import { FORGETFUL, type SessionStore } from './session-store.ts'
import { Sessions } from './sessions.ts'
import { Subscriptions } from './subscriptions.ts'
import { Writes } from './writes.ts'

/** ms between looks at time-outs. */
const SWEEP = 1_000
/** ms that connections have for their last bytes when the broker closes. */
const LAST_BYTES = 1_000

export class EmbeddedBroker<Route> implements Broker {
  #options: BrokerOptions
  /** Shared by all parts; changed in place by a reload. */
  readonly #limits: BrokerLimits
  readonly #context: BrokerContext
  readonly #intake: TelemetryIntake<Route>
  readonly #counters = new Counters()
  readonly #subscriptions = new Subscriptions()
  readonly #retained: Retained
  readonly #fanOut: FanOut
  readonly #sessions: Sessions
  readonly #store: SessionStore
  readonly #authentication: Authentication
  readonly #guard: Guard<Route>
  readonly #acknowledging: Acknowledging<Route>
  readonly #lane: Lane<Route>
  readonly #listeners: Listeners
  readonly #passwords: PasswordWatch
  readonly #clients: Clients<Route>
  #sweeper: Timer | null = null

  constructor(options: BrokerOptions, intake: TelemetryIntake<Route>, context: BrokerContext) {
    const { clock, log } = context
    const rareLog = new RareLog(clock, log)
    const counters = this.#counters
    const limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#options = options
    this.#limits = limits
    this.#context = context
    this.#intake = intake
    this.#authentication = new Authentication(clock, limits, undefined)
    this.#passwords = new PasswordWatch(clock, log, (users) => this.#replaceUsers(users))
    const subscriptions = this.#subscriptions
    const store = context.sessions ?? FORGETFUL
    this.#store = store
    const promises = new Promises(intake, store)
    const writes = new Writes<Subscriber>(limits)
    const clients = new Clients<Route>({
      counters,
      rareLog,
      guard: () => this.#guard,
      sessions: () => this.#sessions,
      delivery: () => delivery,
    })
    this.#clients = clients
    const slow = (line: Subscriber) => clients.slow(line)
    this.#retained = new Retained(limits, counters, clock)
    const common = { clock, counters, limits, subscriptions, writes, store, slow }
    const delivery = new Delivery({ ...common, stalled: (line) => clients.stalled(line) })
    const shared = { ...common, delivery, retained: this.#retained, rareLog, options: () => this.#options }
    this.#fanOut = new FanOut(shared)
    this.#sessions = new Sessions({
      ...shared,
      sendWill: (will) =>
        sendWill(will, {
          ...shared,
          fanOut: this.#fanOut,
          take: (topic, payload, qos) => this.#lane.takeWill(topic, payload, qos),
        }),
      receivedFrom: (client) => intake.receivedFrom(client),
      forget: (client) => intake.forget(client),
    })
    this.#guard = new Guard({
      ...shared,
      lane: () => this.#lane,
      connect: (connection, connect) => handshake.begin(connection, connect),
      packet: (connection, type, reader) => desk.packet(connection, type, reader),
      disconnect: (connection, reader) => desk.disconnect(connection, reader),
      closed: (connection) => clients.closed(connection),
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
      aliases: CLIENT_ALIASES,
      authorizePublish: (identity, topic) => this.#options.authorizePublish?.(identity, topic) ?? true,
      denied: (connection, topic) => clients.denied(connection, topic),
      broken: (connection, error) => host.broken(connection, error),
    })
    const desk = new Desk({
      ...shared,
      sessions: this.#sessions,
      acknowledging,
      subscribed: (filter, identity) => clients.subscribed(filter, identity),
    })
    const handshake = new Handshake<Route>({
      ...shared,
      sessions: this.#sessions,
      authentication: this.#authentication,
      guard: this.#guard,
      log,
      find: (client) => clients.find(client),
      whenKept: (entry, session, callback) => promises.when(entry, session ? store.flush() : 0, callback),
      welcomed: (connection) => clients.welcomed(connection),
      resumed: (connection) => clients.resumed(connection),
    })
    this.#listeners = new Listeners({
      ...shared,
      admission: new Admission(clock, limits, counters, rareLog),
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
      handler(topic, payload, clientId === undefined ? null : (this.#clients.find(clientId)?.identity ?? null))
    })
  }

  onSubscribe(listener: SubscribeListener): () => void {
    return this.#clients.onSubscribe(listener)
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
      subscriptions: this.#clients.subscriptions,
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
    const connection = this.#clients.find(client)
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
    this.#intake.forgetOthers(Array.from(sessions.all(), ({ client }) => client))
    if (skipped > 0) this.#context.log.error({ skipped }, 'records of sessions make no sense and are left out')
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
