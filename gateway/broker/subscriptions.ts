/**
 * Who wants which topics: connected clients, local consumers inside the gateway, and persistent sessions, also while
 * they are away. It stands in for the message queue that aedes emits to, so nothing can subscribe past it.
 *
 * `version` changes whenever an answer of `wants` may change; whoever asks per topic can remember the answer by it.
 */
import { FilterTree } from './filter-tree.ts'

/** A message on its way to subscribers; aedes' packet. */
export interface Delivery {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly brokerCounter: number
  /** Undefined when the gateway itself publishes. */
  readonly clientId?: string
}

type Done = (error?: Error | null) => void
type Deliver = (delivery: Delivery, done: Done) => void

/** A subscription of a connected client. */
export interface OnlineSubscription<Subscriber> {
  readonly subscriber: Subscriber
  readonly qos: number
}

/** Who wants messages of one topic. */
export interface Interest<Subscriber> {
  /** Connected clients, each once. */
  readonly subscribers: readonly Subscriber[]
  /** Highest QoS that anyone asked for. */
  readonly qos: number
  /** Whether there are consumers inside the gateway. */
  readonly local: boolean
}

/** A subscription of a persistent session with QoS 1 or 2. */
export interface StoredSubscription {
  readonly clientId: string
  readonly topic: string
  readonly qos: number
}

type LocalHandler = (delivery: Pick<Delivery, 'topic' | 'payload' | 'clientId'>) => void

const nothing = () => {}

export class Subscriptions<Subscriber> {
  readonly #online = new FilterTree<Deliver>()
  readonly #subscribers = new FilterTree<OnlineSubscription<Subscriber>>()
  readonly #local = new FilterTree<LocalHandler>()
  readonly #stored = new FilterTree<StoredSubscription>()
  #version = 0

  get version(): number {
    return this.#version
  }

  /** Who would get a message on this topic, or for whom it would be kept; null: nobody. */
  interest(topic: string): Interest<Subscriber> | null {
    const online: OnlineSubscription<Subscriber>[] = []
    this.#subscribers.match(topic, online)
    const local = this.#local.has(topic)
    const stored = this.#stored.has(topic)
    if (online.length === 0 && !local && !stored) return null
    const qos = online.reduce((highest, each) => Math.max(highest, each.qos), stored ? 1 : 0)
    return { subscribers: [...new Set(online.map(({ subscriber }) => subscriber))], qos, local }
  }

  addOnline(filter: string, subscription: OnlineSubscription<Subscriber>): void {
    this.#version++
    this.#subscribers.add(filter, subscription)
  }

  removeOnline(filter: string, subscription: OnlineSubscription<Subscriber>): void {
    this.#version++
    this.#subscribers.remove(filter, subscription)
  }

  /** Whether a connected client subscribes to this topic now. */
  hasSubscriber(topic: string): boolean {
    return this.#online.has(topic)
  }

  addLocal(filter: string, handler: LocalHandler): () => void {
    this.#version++
    this.#local.add(filter, handler)
    return () => {
      this.#version++
      this.#local.remove(filter, handler)
    }
  }

  addStored(subscription: StoredSubscription): void {
    this.#version++
    this.#stored.add(subscription.topic, subscription)
  }

  removeStored(subscription: StoredSubscription): void {
    this.#version++
    this.#stored.remove(subscription.topic, subscription)
  }

  /** One subscription per session, the one with the highest QoS. */
  storedFor(topic: string): StoredSubscription[] {
    const found: StoredSubscription[] = []
    this.#stored.match(topic, found)
    if (found.length < 2) return found
    const best = new Map<string, StoredSubscription>()
    for (const each of found) {
      const known = best.get(each.clientId)
      if (!known || known.qos < each.qos) best.set(each.clientId, each)
    }
    return [...best.values()]
  }

  /** For aedes: a connected client subscribes. */
  on(filter: string, deliver: Deliver, done?: Done): this {
    this.#version++
    this.#online.add(filter, deliver)
    done?.()
    return this
  }

  /** For aedes. */
  removeListener(filter: string, deliver: Deliver, done?: Done): this {
    this.#version++
    this.#online.remove(filter, deliver)
    done?.()
    return this
  }

  /** For aedes: `done` once every subscriber has been handed the message. */
  emit(delivery: Delivery, done: Done = nothing): this {
    this.emitLocal(delivery)
    const online: Deliver[] = []
    this.#online.match(delivery.topic, online)
    let left = online.length
    if (left === 0) {
      done()
      return this
    }
    const one = () => {
      if (--left === 0) done()
    }
    for (const deliver of online) deliver(delivery, one)
    return this
  }

  emitLocal(delivery: Pick<Delivery, 'topic' | 'payload' | 'clientId'>): void {
    const local: LocalHandler[] = []
    this.#local.match(delivery.topic, local)
    for (const handler of local) handler(delivery)
  }

  /** For aedes. */
  close(done: Done): this {
    done()
    return this
  }
}
