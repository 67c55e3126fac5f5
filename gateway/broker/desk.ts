/**
 * aedes behind its counter: it is handed connections whose CONNECT has come, asks who may do what, and delivers to
 * subscribers. Nothing outside this file knows aedes.
 */
import type { EventEmitter } from 'node:events'
import { Aedes, type AedesPublishPacket, type Client, type Subscription } from 'aedes'
import mqttPacket from 'mqtt-packet'
import { reasonOf } from '../errors.ts'
import type { PluginLog } from '../plugin.ts'
import { mayPublish, maySubscribe, permissionsFor } from './acl.ts'
import { type Authentication, UNAVAILABLE, type Verdict } from './authentication.ts'
import { CLOSING, type Connection, LEAVING } from './connection.ts'
import type { Counters } from './counters.ts'
import type { Guard } from './guard.ts'
import type { Lane } from './lane.ts'
import type { BrokerLimits, BrokerOptions, Identity } from './options.ts'
import { Pipe } from './pipe.ts'
import type { RareLog } from './rare-log.ts'
import type { Sessions } from './sessions.ts'
import type { Subscriptions } from './subscriptions.ts'
import { matches } from './topics.ts'

interface DeskParts<Route> {
  readonly sessions: Sessions
  readonly subscriptions: Subscriptions<Connection<Route>>
  readonly authentication: Authentication
  readonly guard: Guard<Route>
  readonly lane: Lane<Route>
  readonly counters: Counters
  readonly rareLog: RareLog
  readonly log: PluginLog
  readonly limits: BrokerLimits
  options(): BrokerOptions
}

type SubscribeListener = (filter: string, identity: Identity) => void

/** A subscriber with QoS 1 or 2 is disconnected when this many times the limit waits for it. */
const PATIENCE = 8

export function createDesk<Route>(parts: DeskParts<Route>): Desk<Route> {
  return new Desk(parts)
}

export class Desk<Route> {
  readonly #parts: DeskParts<Route>
  readonly #aedes: Aedes
  readonly #clients = new Map<string, Connection<Route>>()
  readonly #listeners = new Set<SubscribeListener>()
  #started = false

  constructor(parts: DeskParts<Route>) {
    this.#parts = parts
    // 65,536 prepared buffers, 12 MB, for packet ids that aedes seldom writes here.
    mqttPacket.writeToStream.cacheNumbers = false
    this.#aedes = new Aedes({
      mq: parts.subscriptions,
      persistence: parts.sessions,
      connectTimeout: parts.limits.connectTimeout,
      // Never waited for: the pipe takes every write at once.
      drainTimeout: 0,
      // Ids only; there are 65,535 of them.
      maxInflightInbound: 0,
      authenticate: (client, user, password, done) => {
        this.#authenticate(client, user, password).then(
          (verdict) => (verdict.ok ? done(null, true) : done(refusal(verdict.code), null)),
          (error: unknown) => {
            parts.log.error({ reason: reasonOf(error) }, 'log-in could not be checked')
            done(refusal(UNAVAILABLE), null)
          },
        )
      },
      authorizePublish: (client, packet, done) => done(client ? this.#refusePublish(client, packet) : null),
      authorizeSubscribe: (client, subscription, done) =>
        done(null, this.#maySubscribe(client, subscription) ? subscription : null),
      authorizeForward: (client, packet) => this.#forward(client, packet),
    })
    this.#aedes.on('clientReady', (client) => this.#ready(client))
    this.#aedes.on('clientDisconnect', (client) => this.#gone(client))
    this.#aedes.on('subscribe', (subscriptions, client) => this.#subscribed(subscriptions, client))
    this.#aedes.on('unsubscribe', (filters, client) => {
      if (client) for (const filter of filters) this.#unsubscribe(this.#of(client), filter)
    })
    this.#aedes.on('clientError', () => {})
    this.#aedes.on('connectionError', () => {})
    const events: EventEmitter = this.#aedes
    events.on('error', (error) => parts.log.error({ reason: reasonOf(error) }, 'mqtt broker'))
  }

  async start(): Promise<void> {
    await this.#aedes.listen()
    this.#started = true
  }

  async close(): Promise<void> {
    if (this.#started) await new Promise<void>((resolve) => this.#aedes.close(() => resolve()))
  }

  /** A CONNECT has come. */
  connect(connection: Connection<Route>, packet: Buffer): void {
    const pipe = new Pipe(connection)
    connection.pipe = pipe
    this.#aedes.handle(pipe)
    pipe.give(packet)
  }

  find(client: string): Connection<Route> | undefined {
    return this.#clients.get(client)
  }

  publish(topic: string, payload: Buffer, qos: number, retain: boolean, done: () => void): void {
    const level = qos === 2 ? 2 : qos === 1 ? 1 : 0
    this.#aedes.publish({ cmd: 'publish', topic, payload, qos: level, retain, dup: false }, () => done())
  }

  onSubscribe(listener: SubscribeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  maySubscribe(client: object, filter: string): boolean {
    return this.allows(this.#of(client as Client), filter)
  }

  /** Whether the connection may subscribe to this filter. */
  allows(connection: Connection<Route>, filter: string): boolean {
    return maySubscribe(connection.permissions, filter)
  }

  /** Called when the permissions have been set. */
  prepareVerdicts(connection: Connection<Route>): void {
    const restricted = connection.permissions !== null || this.#parts.options().authorizePublish !== undefined
    connection.verdicts = restricted ? new Map() : null
  }

  #of(client: Client): Connection<Route> {
    return (client.conn as Pipe<Connection<Route>>).peer
  }

  async #authenticate(client: Client, user: string | undefined, password: Buffer | undefined): Promise<Verdict> {
    const connection = this.#of(client)
    const { address } = connection.arrival
    const verdict = await this.#parts.authentication.verify(connection.arrival, user, password)
    if (!verdict.ok) {
      const { reason } = verdict
      this.#parts.counters.refuse(reason)
      this.#parts.rareLog.warn(
        `${reason} ${address}`,
        { reason, address, user, client: client.id },
        'mqtt log-in refused',
      )
      return verdict
    }
    connection.identity = { client: client.id, user: verdict.user, address }
    connection.permissions = permissionsFor(this.#parts.options().acl, verdict.user, client.id)
    this.prepareVerdicts(connection)
    this.#takeOver(connection)
    return verdict
  }

  /** A second connection with a client id ends the first (MQTT-3.1.4-2); aedes does it, we stop reading and say so. */
  #takeOver(connection: Connection<Route>): void {
    const { client, address } = connection.identity
    const old = this.#clients.get(client)
    if (!old || old.state >= LEAVING) return
    old.state = LEAVING
    this.#parts.counters.refuse('taken_over')
    const fields = { client, address, previous: old.identity.address }
    this.#parts.rareLog.warn(`taken_over ${client}`, fields, 'mqtt client id taken over by another connection')
  }

  #ready(client: Client): void {
    const connection = this.#of(client)
    this.#clients.set(client.id, connection)
    if (!connection.clean) connection.receivedIds = this.#parts.sessions.receivedOf(client.id)
    this.#parts.guard.ready(connection)
    // Those of a restored session; a new one has none yet.
    for (const filter of connection.filters.keys()) this.#announce(filter, connection)
  }

  #gone(client: Client): void {
    if (this.#clients.get(client.id) === this.#of(client)) this.#clients.delete(client.id)
  }

  #subscribed(subscriptions: readonly Subscription[], client: Client | null): void {
    if (!client) return
    const connection = this.#of(client)
    for (const { topic } of subscriptions) if (connection.filters.has(topic)) this.#announce(topic, connection)
  }

  #announce(filter: string, connection: Connection<Route>): void {
    for (const listener of this.#listeners) listener(filter, connection.identity)
  }

  /** Ordinary traffic, and wills; telemetry was judged in the lane. */
  #refusePublish(client: Client, packet: { topic: string; payload: Buffer | string; qos: number }): Error | null {
    const connection = this.#of(client)
    const { topic } = packet
    const hook = this.#parts.options().authorizePublish
    if (!mayPublish(connection.permissions, topic) || (hook && !hook(connection.identity, topic))) {
      // Of a connection that is closing it is the will.
      if (connection.state >= CLOSING) this.#parts.counters.drop('will_denied')
      this.#parts.guard.refuse(connection, 'publish_denied', { topic })
      return new Error(`not allowed to publish to ${topic}`)
    }
    this.#parts.lane.takeWill(topic, Buffer.from(packet.payload), packet.qos)
    return null
  }

  #maySubscribe(client: Client, { topic, qos }: Subscription): boolean {
    const connection = this.#of(client)
    const full = connection.filters.size >= this.#parts.limits.subscriptionsPerClient
    const allowed = this.allows(connection, topic)
    if (allowed && (!full || connection.filters.has(topic))) {
      // Between the request and this answer the connection may have gone.
      if (connection.state < LEAVING) this.#subscribe(connection, topic, qos)
      return true
    }
    const reason = allowed ? 'too_many_subscriptions' : 'subscribe_denied'
    const { address } = connection.arrival
    this.#parts.counters.refuse(reason)
    this.#parts.rareLog.warn(
      `${reason} ${address}`,
      { reason, ...connection.identity, filter: topic },
      'subscription refused',
    )
    return false
  }

  #subscribe(connection: Connection<Route>, filter: string, qos: number): void {
    this.#unsubscribe(connection, filter)
    const subscription = { subscriber: connection, qos }
    connection.filters.set(filter, subscription)
    this.#parts.subscriptions.addOnline(filter, subscription)
  }

  #unsubscribe(connection: Connection<Route>, filter: string): void {
    const subscription = connection.filters.get(filter)
    if (!subscription) return
    connection.filters.delete(filter)
    this.#parts.subscriptions.removeOnline(filter, subscription)
  }

  /** The connection is gone: nothing more is copied to it. */
  forget(connection: Connection<Route>): void {
    for (const filter of [...connection.filters.keys()]) this.#unsubscribe(connection, filter)
  }

  /** A message on its way to one subscriber; null keeps it from there. */
  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    const connection = this.#of(client)
    const waiting = connection.wire.queued
    const limit = this.#parts.limits.subscriberQueue
    if (waiting > limit && this.#isTooSlow(connection, packet.qos, waiting > limit * PATIENCE)) return null
    // aedes keeps the publisher's QoS for wildcards and retained messages; it must not exceed what was granted (MQTT-3.8.4-6).
    if (packet.qos === 2 || (packet.retain && packet.qos > 0))
      packet.qos = lesser(packet.qos, grantedQos(connection.filters, packet.topic))
    this.#parts.counters.messagesOut++
    return packet
  }

  #isTooSlow(connection: Connection<Route>, qos: number, isFarTooSlow: boolean): boolean {
    const { guard } = this.#parts
    if (qos > 0 && !isFarTooSlow) return false
    if (qos > 0) {
      // Not from within the delivery. What a persistent session has not got stays in its queue.
      queueMicrotask(() => guard.refuse(connection, 'subscriber_too_slow'))
      return true
    }
    this.slow(connection)
    return true
  }

  /** A subscriber did not get a QoS 0 message because too much waits for it. */
  slow(connection: Connection<Route>): void {
    const { counters, rareLog } = this.#parts
    connection.dropped++
    counters.drop('subscriber_queue')
    const { identity } = connection
    rareLog.warn(
      `slow ${identity.client}`,
      { ...identity },
      'mqtt subscriber is too slow, QoS 0 messages to it are dropped',
    )
  }
}

function lesser(a: 0 | 1 | 2, b: 0 | 1 | 2): 0 | 1 | 2 {
  return a < b ? a : b
}

function grantedQos(filters: ReadonlyMap<string, { readonly qos: number }>, topic: string): 0 | 1 | 2 {
  let granted = 0
  for (const [filter, { qos }] of filters) if (qos > granted && matches(filter, topic)) granted = qos
  return granted === 2 ? 2 : granted === 1 ? 1 : 0
}

function refusal(code: number): Error & { returnCode: number } {
  return Object.assign(new Error('log-in refused'), { returnCode: code })
}
