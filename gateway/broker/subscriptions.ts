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

/** A subscription of a persistent session with QoS 1 or 2. */
export interface StoredSubscription {
  readonly clientId: string
  readonly topic: string
  readonly qos: number
}

const nothing = () => {}

export class Subscriptions {
  readonly #online = new FilterTree<Deliver>()
  readonly #local = new FilterTree<(delivery: Delivery) => void>()
  readonly #stored = new FilterTree<StoredSubscription>()
  #version = 0

  get version(): number {
    return this.#version
  }

  /** Whether a message on this topic would reach or be kept for anyone. */
  wants(topic: string): boolean {
    return this.#online.has(topic) || this.#local.has(topic) || this.#stored.has(topic)
  }

  /** Whether a connected client subscribes to this topic now. */
  hasSubscriber(topic: string): boolean {
    return this.#online.has(topic)
  }

  addLocal(filter: string, handler: (delivery: Delivery) => void): () => void {
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
    const local: ((delivery: Delivery) => void)[] = []
    this.#local.match(delivery.topic, local)
    for (const handler of local) handler(delivery)
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

  /** For aedes. */
  close(done: Done): this {
    done()
    return this
  }
}
