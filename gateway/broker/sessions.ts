/**
 * What the broker remembers beyond a connection, in memory and bounded: persistent sessions with their subscriptions
 * and queues, retained messages, wills, packet ids of QoS 2 messages in flight. It is aedes' persistence.
 *
 * The calls on the way of a message answer with a value that only looks like a promise and calls back at once. aedes
 * numbers messages when they are published and takes a lower number that arrives later for a duplicate, so a QoS 1
 * message must not be overtaken by a QoS 0 message while its session look-up waits for the next microtask.
 */
import { Readable } from 'node:stream'
import type { Counters } from './counters.ts'
import type { BrokerLimits } from './options.ts'
import { type QueuedPacket, type Release, SessionQueue } from './session-queue.ts'
import type { Delivery, StoredSubscription, Subscriptions } from './subscriptions.ts'
import { matches } from './topics.ts'

interface ClientName {
  readonly id: string
}

interface Subscription {
  readonly topic: string
  readonly qos: number
}

interface Will {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: number
  readonly retain: boolean
  brokerId?: string
  clientId?: string
}

type Stored = Pick<Subscriptions<unknown>, 'addStored' | 'removeStored' | 'storedFor'>

/** What the sessions ask about clients. */
export interface SessionHost {
  isOnline(client: string): boolean
  /** aedes stores all filters of a SUBSCRIBE as soon as one of them is allowed. */
  maySubscribe(client: object, filter: string): boolean
}

interface Session {
  readonly subscriptions: Map<string, StoredSubscription>
  readonly queue: SessionQueue
  /** QoS 2 packet ids from the client: false while the journal has not got the message yet. */
  readonly received: Map<number, boolean>
}

/** Looks like a promise that is already fulfilled, but calls back within `then`. */
const THEN = 'then'

interface Settled<Value> {
  readonly [THEN]: (fulfilled: (value: Value) => void) => void
}

function settled<Value>(value: Value): Settled<Value> {
  return { [THEN]: (fulfilled) => fulfilled(value) }
}

export class Sessions {
  readonly #sessions = new Map<string, Session>()
  readonly #retained = new Map<string, Delivery>()
  readonly #wills = new Map<string, Will>()
  /** QoS 2 ids of messages that are not telemetry, per client. */
  readonly #incoming = new Map<string, Set<number>>()
  readonly #subscriptions: Stored
  readonly #limits: BrokerLimits
  readonly #counters: Counters
  readonly #host: SessionHost
  #retainedBytes = 0
  #brokerId = ''

  constructor(subscriptions: Stored, limits: BrokerLimits, counters: Counters, host: SessionHost) {
    this.#subscriptions = subscriptions
    this.#limits = limits
    this.#counters = counters
    this.#host = host
  }

  get count(): number {
    return this.#sessions.size
  }

  get retainedCount(): number {
    return this.#retained.size
  }

  /** QoS 2 packet ids of a client's telemetry, kept with its persistent session. */
  receivedOf(client: string): Map<number, boolean> {
    return this.#open(client).received
  }

  /** Forgets the session of a client that connected with a clean one. */
  forget(client: string): void {
    const session = this.#sessions.get(client)
    if (!session) return
    for (const subscription of session.subscriptions.values()) this.#removeStored(subscription)
    this.#sessions.delete(client)
  }

  // From here on: what aedes calls.

  async setup(broker: { readonly id: string }): Promise<void> {
    this.#brokerId = broker.id
  }

  async destroy(): Promise<void> {
    this.#sessions.clear()
    this.#retained.clear()
  }

  storeRetained(packet: Delivery): Settled<void> {
    const { topic } = packet
    const old = this.#retained.get(topic)
    if (old) this.#retainedBytes -= old.payload.length + topic.length
    this.#retained.delete(topic)
    const bytes = packet.payload.length + topic.length
    if (packet.payload.length > 0) {
      const full = this.#retained.size >= this.#limits.retainedMessages
      if (full || this.#retainedBytes + bytes > this.#limits.retainedBytes) this.#counters.drop('retained_full')
      else {
        this.#retained.set(topic, { ...packet, payload: own(packet.payload) })
        this.#retainedBytes += bytes
      }
    }
    return settled(undefined)
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter])
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#retainedFor(filters))
  }

  async addSubscriptions(client: ClientName, subscriptions: readonly Subscription[]): Promise<void> {
    const stored = this.#open(client.id).subscriptions
    for (const { topic, qos } of subscriptions) {
      if (!this.#host.maySubscribe(client, topic)) continue
      const old = stored.get(topic)
      if (old) this.#removeStored(old)
      const subscription = { clientId: client.id, topic, qos }
      stored.set(topic, subscription)
      if (qos > 0) this.#subscriptions.addStored(subscription)
    }
  }

  async removeSubscriptions(client: ClientName, filters: readonly string[]): Promise<void> {
    const stored = this.#sessions.get(client.id)?.subscriptions
    for (const filter of filters) {
      const subscription = stored?.get(filter)
      if (subscription) this.#removeStored(subscription)
      stored?.delete(filter)
    }
  }

  async subscriptionsByClient(client: ClientName): Promise<{ topic: string; qos: number }[]> {
    const stored = this.#sessions.get(client.id)?.subscriptions
    return stored ? [...stored.values()].map(({ topic, qos }) => ({ topic, qos })) : []
  }

  subscriptionsByTopic(topic: string): Settled<StoredSubscription[]> {
    return settled(this.#subscriptions.storedFor(topic))
  }

  async cleanSubscriptions(client: ClientName): Promise<void> {
    this.forget(client.id)
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return { subsCount: 0, clientsCount: this.#sessions.size }
  }

  outgoingEnqueue(subscription: { clientId: string; qos?: number }, packet: QueuedPacket): Settled<void> {
    const session = this.#sessions.get(subscription.clientId)
    if (session) {
      const qos = Math.min(subscription.qos ?? packet.qos, packet.qos)
      const kept = { ...packet, qos, payload: own(packet.payload), dup: false, messageId: undefined }
      const dropped = session.queue.push(kept, this.#limits.sessionMessages, this.#limits.sessionBytes)
      if (dropped > 0) this.#counters.drop('session_full', dropped)
    }
    return settled(undefined)
  }

  outgoingEnqueueCombi(subscriptions: readonly StoredSubscription[], packet: QueuedPacket): Settled<void> {
    for (const subscription of subscriptions) this.outgoingEnqueue(subscription, packet)
    return settled(undefined)
  }

  outgoingUpdate(client: ClientName, packet: QueuedPacket | Release): Settled<void> {
    const queue = this.#sessions.get(client.id)?.queue
    if (packet.cmd === 'pubrel') queue?.release(packet as Release)
    else if (packet.messageId) queue?.sent((packet as QueuedPacket).brokerCounter, packet.messageId)
    return settled(undefined)
  }

  async outgoingClearMessageId(
    client: ClientName,
    packet: { messageId?: number },
  ): Promise<QueuedPacket | Release | undefined> {
    // Without an id it is a message that was not sent after all; it stays in the queue.
    if (!packet.messageId) return undefined
    return this.#sessions.get(client.id)?.queue.acknowledge(packet.messageId)
  }

  outgoingStream(client: ClientName): Readable {
    return Readable.from(this.#sessions.get(client.id)?.queue.replay() ?? [])
  }

  async incomingStorePacket(client: ClientName, packet: { messageId: number }): Promise<void> {
    const ids = this.#incoming.get(client.id) ?? new Set()
    this.#incoming.set(client.id, ids.add(packet.messageId))
  }

  /** Rejects when there is none, as aedes expects. */
  async incomingGetPacket(client: ClientName, packet: { messageId: number }): Promise<{ messageId: number }> {
    if (!this.#incoming.get(client.id)?.has(packet.messageId)) throw new Error('no such packet')
    return packet
  }

  async incomingDelPacket(client: ClientName, packet: { messageId: number }): Promise<void> {
    const ids = this.#incoming.get(client.id)
    if (!ids?.delete(packet.messageId)) throw new Error('no such packet')
    if (ids.size === 0) this.#incoming.delete(client.id)
  }

  async cleanIncoming(client: ClientName): Promise<void> {
    this.#incoming.delete(client.id)
  }

  async putWill(client: ClientName, will: Will): Promise<void> {
    will.brokerId = this.#brokerId
    will.clientId = client.id
    this.#wills.set(client.id, will)
  }

  async getWill(client: ClientName): Promise<Will | undefined> {
    return this.#wills.get(client.id)
  }

  async delWill(client: ClientName): Promise<Will | undefined> {
    const will = this.#wills.get(client.id)
    this.#wills.delete(client.id)
    return will
  }

  streamWill(brokers: Readonly<Record<string, unknown>> = {}): Readable {
    return Readable.from([...this.#wills.values()].filter((will) => !brokers[will.brokerId ?? '']))
  }

  #open(client: string): Session {
    let session = this.#sessions.get(client)
    // Moved to the end: the first is the one that was used longest ago.
    this.#sessions.delete(client)
    session ??= { subscriptions: new Map(), queue: new SessionQueue(), received: new Map() }
    this.#sessions.set(client, session)
    if (this.#sessions.size > this.#limits.sessions) this.#evict(client)
    return session
  }

  #evict(newest: string): void {
    for (const [client, session] of this.#sessions) {
      if (client === newest || this.#host.isOnline(client)) continue
      this.#counters.drop('session_evicted', session.queue.size)
      this.forget(client)
      this.#incoming.delete(client)
      return
    }
  }

  #removeStored(subscription: StoredSubscription): void {
    if (subscription.qos > 0) this.#subscriptions.removeStored(subscription)
  }

  *#retainedFor(filters: readonly string[]): Generator<Delivery> {
    for (const filter of filters) {
      const exact = this.#retained.get(filter)
      if (exact) yield exact
      if (!/[+#]/.test(filter)) continue
      for (const packet of this.#retained.values()) if (matches(filter, packet.topic)) yield packet
    }
  }
}

/** A copy when the payload is a small view of something large, which it would keep alive. */
function own(payload: Buffer): Buffer {
  if (payload.buffer.byteLength <= 2 * payload.length + 64) return payload
  const copy = Buffer.allocUnsafeSlow(payload.length)
  payload.copy(copy)
  return copy
}
