/** The connected clients by client id: who is told as they come, subscribe and go, and what is said of them in the log. */
import type { Connection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { Delivery } from './delivery.ts'
import type { Guard } from './guard.ts'
import type { Identity } from './options.ts'
import type { RareLog } from './rare-log.ts'
import type { Subscriber } from './session.ts'
import type { Sessions } from './sessions.ts'

interface ClientsParts<Route> {
  readonly counters: Counters
  readonly rareLog: RareLog
  /** Late: they need the clients too. */
  readonly guard: () => Guard<Route>
  readonly sessions: () => Sessions
  readonly delivery: () => Delivery
}

export type SubscribeListener = (filter: string, identity: Identity) => void

export class Clients<Route> {
  readonly #parts: ClientsParts<Route>
  readonly #connections = new Map<string, Connection<Route>>()
  readonly #listeners = new Set<SubscribeListener>()

  constructor(parts: ClientsParts<Route>) {
    this.#parts = parts
  }

  find(client: string): Connection<Route> | undefined {
    return this.#connections.get(client)
  }

  get subscriptions(): number {
    let sum = 0
    for (const { session } of this.#connections.values()) sum += session?.subscriptions.size ?? 0
    return sum
  }

  onSubscribe(listener: SubscribeListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  subscribed(filter: string, identity: Identity): void {
    for (const listener of this.#listeners) listener(filter, identity)
  }

  /** It has its session, and is not read yet. */
  welcomed(connection: Connection<Route>): void {
    const { identity, session, wire } = connection
    if (!session) return
    this.#connections.set(identity.client, connection)
    wire.drained = () => this.#parts.delivery().pump(session)
  }

  /** It is read, and may be sent what waits for it. */
  resumed(connection: Connection<Route>): void {
    const { identity, session } = connection
    if (!session || !connection.ready) return
    // Those of a session that was kept; a new one has none yet.
    for (const { topics } of session.subscriptions.values()) this.subscribed(topics, identity)
    this.#parts.delivery().pump(session)
  }

  closed(connection: Connection<Route>): void {
    const { identity, session } = connection
    connection.wire.drained = null
    if (this.#connections.get(identity.client) === connection) this.#connections.delete(identity.client)
    if (session) this.#parts.sessions().leave(session, connection)
  }

  /** A client of MQTT 5 published what it may not. */
  denied({ identity }: Connection<Route>, topic: string): void {
    this.#parts.counters.refuse('publish_denied')
    const key = `publish_denied ${identity.client}`
    this.#parts.rareLog.warn(key, { ...identity, topic }, 'mqtt message is not allowed')
  }

  /** A subscriber did not get a QoS 0 message because too much waits for it. */
  slow(line: Subscriber): void {
    const { identity } = line
    line.dropped++
    this.#parts.counters.drop('subscriber_queue')
    const text = 'mqtt subscriber is too slow, QoS 0 messages to it are dropped'
    this.#parts.rareLog.warn(`slow ${identity.client}`, { ...identity }, text)
  }

  /** A subscriber has taken nothing for long, and its queue is full. */
  stalled({ identity }: Subscriber): void {
    const connection = this.find(identity.client)
    if (connection) this.#parts.guard().refuse(connection, 'subscriber_too_slow')
  }
}
