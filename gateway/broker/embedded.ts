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
import { maySubscribe, permissionsFor } from './acl.ts'
import type { Authentication } from './authentication.ts'
import type { Broker, BrokerStatus, ConnectionInfo, PublishHandler } from './broker.ts'
import type { SubscribeListener } from './clients.ts'
import { BY_QUIET, CLOSING, type Connection, READY } from './connection.ts'
import type { BrokerContext } from './context.ts'
import { restoreSessions } from './kept/restore.ts'
import type { BrokerPorts } from './listeners.ts'
import { refuseOpenDoor } from './open-door.ts'
import {
  type BrokerLimits,
  type BrokerOptions,
  DEFAULT_LIMITS,
  type Identity,
  type TelemetryIntake,
} from './options.ts'
import { putTogether } from './parts.ts'
import { PasswordWatch } from './password-watch.ts'
import { NO_PROPERTIES } from './publication.ts'

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
  readonly #intake: TelemetryIntake<Route>
  readonly #parts: ReturnType<typeof putTogether<Route>>
  readonly #passwords: PasswordWatch
  #sweeper: Timer | null = null

  constructor(options: BrokerOptions, intake: TelemetryIntake<Route>, context: BrokerContext) {
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#context = context
    this.#intake = intake
    this.#parts = putTogether(() => this.#options, this.#limits, intake, context)
    this.#passwords = new PasswordWatch(context.clock, context.log, (users) => this.#replaceUsers(users))
  }

  async listen(): Promise<BrokerPorts> {
    refuseOpenDoor(this.#options)
    await this.#passwords.start(this.#options.passwordFile)
    await this.#restore()
    this.#sweeper = this.#context.clock.every(SWEEP, () => this.#sweep())
    try {
      return await this.#parts.listeners.open()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async quiesce(): Promise<void> {
    await this.#parts.listeners.close()
    for (const connection of this.#parts.guard.connections) this.#parts.guard.block(connection, BY_QUIET)
  }

  async close(): Promise<void> {
    await this.#parts.listeners.close()
    this.#sweeper?.cancel()
    this.#passwords.stop()
    await this.#parts.guard.drained(LAST_BYTES)
    this.#parts.store.flush()
  }

  async publish(
    topic: string,
    payload: Uint8Array,
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {},
  ): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const { qos = 0, retain = false } = options
    const never = { properties: NO_PROPERTIES, expires: Infinity }
    this.#parts.fanOut.publish({ topic, payload: bytes, qos, retain, clientId: undefined, ...never })
  }

  onPublish(filter: string, handler: PublishHandler): () => void {
    return this.#parts.subscriptions.addLocal(filter, ({ topic, payload, clientId }) => {
      handler(topic, payload, clientId === undefined ? null : (this.#parts.clients.find(clientId)?.identity ?? null))
    })
  }

  onSubscribe(listener: SubscribeListener): () => void {
    return this.#parts.clients.onSubscribe(listener)
  }

  hasSubscriber(topic: string, counts: (identity: Identity, filter: string) => boolean = () => true): boolean {
    const matching = this.#parts.subscriptions.to(topic)
    return matching.some(({ session: { line }, topics }) => line?.ready && counts(line.identity, topics))
  }

  async reload(options: BrokerOptions): Promise<void> {
    refuseOpenDoor(options)
    await this.#parts.listeners.reload(options.tls)
    await this.#passwords.start(options.passwordFile)
    this.#options = options
    Object.assign(this.#limits, DEFAULT_LIMITS, options.limits)
    for (const connection of this.#parts.guard.connections) if (connection.state === READY) this.#judgeAgain(connection)
  }

  forgetRoutes(): void {
    this.#parts.lane.forgetRoutes(this.#parts.guard.connections)
  }

  status(): BrokerStatus {
    const { connects, messagesIn, messagesOut, bytesIn, bytesOut, refused, dropped } = this.#parts.counters
    return {
      connections: this.#parts.guard.connections.size,
      connects,
      messagesIn,
      messagesOut,
      bytesIn,
      bytesOut,
      refused: Object.fromEntries(refused),
      dropped: Object.fromEntries(dropped),
      subscriptions: this.#parts.clients.subscriptions,
      sessions: this.#parts.sessions.count,
      retained: this.#parts.retained.count,
      unacknowledged: this.#parts.acknowledging.waiting,
    }
  }

  connections(): ConnectionInfo[] {
    const { clock } = this.#context
    const start = clock.now() - clock.monotonic()
    return [...this.#parts.guard.connections]
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
    const connection = this.#parts.clients.find(client)
    if (connection) this.#parts.guard.refuse(connection, 'disconnected')
    return connection !== undefined
  }

  #replaceUsers(users: Parameters<Authentication['replaceUsers']>[0]): void {
    this.#parts.authentication.replaceUsers(users)
    for (const connection of this.#parts.guard.connections) {
      const { user } = connection.identity
      if (user === undefined || connection.arrival.certificateUser !== undefined) continue
      if (!this.#parts.authentication.isUser(user)) this.#parts.guard.refuse(connection, 'user_removed')
    }
  }

  /** New rules for an old connection: one that subscribes to what it no longer may has to come again. */
  #judgeAgain(connection: Connection<Route>): void {
    const { user, client } = connection.identity
    connection.judge(permissionsFor(this.#options.acl, user, client), this.#options)
    for (const { topics } of connection.session?.subscriptions.values() ?? [])
      if (connection.state < CLOSING && !maySubscribe(connection.permissions, topics))
        this.#parts.guard.refuse(connection, 'subscription_denied')
  }

  #sweep(): void {
    this.#parts.guard.sweep()
    this.#parts.sessions.sweep()
    this.#parts.store.sweep()
  }

  async #restore(): Promise<void> {
    const { sessions: log, clock } = this.#context
    if (!log) return
    const { sessions, subscriptions, retained } = this.#parts
    const skipped = await restoreSessions(log, { sessions, subscriptions, retained, clock })
    this.#intake.forgetOthers(Array.from(sessions.all(), ({ client }) => client))
    if (skipped > 0) this.#context.log.error({ skipped }, 'records of sessions make no sense and are left out')
  }
}
