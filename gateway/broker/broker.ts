/**
 * The embedded MQTT broker.
 *
 *     listeners ─▶ guard ─┬─ telemetry ─▶ lane ─▶ intake (journal)
 *                         │                 └─ copies for local subscribers ─┐
 *                         └─ everything else ─▶ aedes ◀──────────────────────┘
 *                                                 │ sessions, retained, wills, deliveries
 *                                                 └─▶ subscriptions ─▶ clients, local consumers
 *
 * aedes keeps the protocol of sessions, subscriptions and QoS towards subscribers; what must be fast, bounded or
 * durable is ours.
 */
import type { Timer } from '../clock.ts'
import { StartError } from '../errors.ts'
import { permissionsFor } from './acl.ts'
import { isLoopback, parseAddress } from './address.ts'
import { Admission } from './admission.ts'
import { Authentication } from './authentication.ts'
import { BY_QUIET, type Connection, LEAVING, READY } from './connection.ts'
import { Counters } from './counters.ts'
import { createDesk, type Desk } from './desk.ts'
import { Guard } from './guard.ts'
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
import { RareLog } from './rare-log.ts'
import { Sessions } from './sessions.ts'
import { Subscriptions } from './subscriptions.ts'
import { matches } from './topics.ts'

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
  readonly #subscriptions = new Subscriptions<Connection<Route>>()
  readonly #sessions: Sessions
  readonly #authentication: Authentication
  readonly #guard: Guard<Route>
  readonly #lane: Lane<Route>
  readonly #desk: Desk<Route>
  readonly #listeners: Listeners
  readonly #passwords: PasswordWatch
  #sweeper: Timer | null = null

  constructor(options: BrokerOptions, intake: TelemetryIntake<Route>, context: BrokerContext) {
    const { clock, log } = context
    const rareLog = new RareLog(clock, log)
    const counters = this.#counters
    const limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#options = options
    this.#limits = limits
    this.#context = context
    this.#authentication = new Authentication(clock, limits, undefined)
    this.#passwords = new PasswordWatch(clock, log, (users) => this.#replaceUsers(users))
    this.#sessions = new Sessions(this.#subscriptions, limits, counters, {
      isOnline: (client) => this.#desk.find(client) !== undefined,
      maySubscribe: (client, filter) => this.#desk.maySubscribe(client, filter),
    })
    this.#guard = new Guard({
      clock,
      counters,
      rareLog,
      limits,
      lane: () => this.#lane,
      connect: (connection, packet) => this.#desk.connect(connection, packet),
      closed: (connection) => this.#desk.forget(connection),
    })
    this.#lane = new Lane({
      intake,
      subscriptions: this.#subscriptions,
      counters,
      clock,
      limits,
      slow: (connection) => this.#desk.slow(connection),
      authorizePublish: (identity, topic) => this.#options.authorizePublish?.(identity, topic) ?? true,
      host: {
        block: (connection, reason) => this.#guard.block(connection, reason),
        unblock: (connection, reason) => this.#guard.unblock(connection, reason),
        publish: (topic, payload, qos, retain, done) => this.#desk.publish(topic, payload, qos, retain, done),
      },
    })
    this.#desk = createDesk({
      sessions: this.#sessions,
      subscriptions: this.#subscriptions,
      authentication: this.#authentication,
      guard: this.#guard,
      lane: this.#lane,
      counters,
      rareLog,
      log,
      limits,
      options: () => this.#options,
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
    await this.#desk.start()
    this.#sweeper = this.#context.clock.every(SWEEP, () => this.#guard.sweep())
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
    await this.#desk.close()
    await this.#guard.drained(LAST_BYTES)
  }

  publish(topic: string, payload: Uint8Array, options: { qos?: 0 | 1 | 2; retain?: boolean } = {}): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    return new Promise((resolve) => {
      this.#desk.publish(topic, bytes, options.qos ?? 0, options.retain ?? false, resolve)
    })
  }

  onPublish(filter: string, handler: PublishHandler): () => void {
    return this.#subscriptions.addLocal(filter, ({ topic, payload, clientId }) => {
      handler(topic, payload, clientId === undefined ? null : (this.#desk.find(clientId)?.identity ?? null))
    })
  }

  onSubscribe(listener: (filter: string, identity: Identity) => void): () => void {
    return this.#desk.onSubscribe(listener)
  }

  hasSubscriber(topic: string, counts: (identity: Identity, filter: string) => boolean = () => true): boolean {
    if (!this.#subscriptions.hasSubscriber(topic)) return false
    const connections = this.#subscriptions.interest(topic)?.subscribers ?? []
    return connections.some(({ identity, filters }) =>
      [...filters.keys()].some((filter) => matches(filter, topic) && counts(identity, filter)),
    )
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
      subscriptions: [...this.#guard.connections].reduce((sum, { filters }) => sum + filters.size, 0),
      sessions: this.#sessions.count,
      retained: this.#sessions.retainedCount,
      unacknowledged: this.#lane.unacknowledged,
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
        subscriptions: connection.filters.size,
        queued: connection.wire.queued,
        dropped: connection.dropped,
      }))
  }

  disconnect(client: string): boolean {
    const connection = this.#desk.find(client)
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
    connection.permissions = permissionsFor(this.#options.acl, user, client)
    this.#desk.prepareVerdicts(connection)
    for (const filter of connection.filters.keys())
      if (connection.state < LEAVING && !this.#desk.allows(connection, filter))
        this.#guard.refuse(connection, 'subscription_denied')
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
