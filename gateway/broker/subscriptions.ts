/**
 * Who wants which topics: sessions, also while their clients are away, groups that share a subscription, and consumers
 * inside the gateway.
 *
 * `version` changes whenever an answer of `interest` may change; whoever asks per topic can remember the answer by it.
 */
import { FilterTree } from './filter-tree.ts'
import type { Publication } from './publication.ts'
import type { Session, Subscription } from './session.ts'

/** Those that share a subscription: each message goes to one of them (MQTT-4.8.2-4). */
export interface Share {
  readonly members: Subscription[]
  /** Whose turn it was last. */
  turn: number
}

/** One session's subscriptions to a topic: it gets one message (MQTT-3.3.4-2). */
export interface Target {
  readonly session: Session
  readonly subscriptions: readonly Subscription[]
  /** The highest that was granted. */
  readonly qos: 0 | 1 | 2
  readonly identifiers: readonly number[]
  readonly retainAsPublished: boolean
}

/** Who wants messages of one topic. */
export interface Interest {
  /** Each session once. */
  readonly targets: readonly Target[]
  readonly shares: readonly Share[]
  /** Highest QoS that anyone asked for. */
  readonly qos: number
  /** Whether there are consumers inside the gateway. */
  readonly local: boolean
  /** All of them get the same bytes: no shares, no identifiers, nobody who does not want its own messages. */
  readonly plain: boolean
}

export type LocalHandler = (publication: Pick<Publication, 'topic' | 'payload' | 'clientId'>) => void

const NO_IDENTIFIERS: readonly number[] = []

export class Subscriptions {
  readonly #single = new FilterTree<Subscription>()
  readonly #shared = new FilterTree<Share>()
  readonly #shares = new Map<string, Share>()
  readonly #local = new FilterTree<LocalHandler>()
  #version = 0

  get version(): number {
    return this.#version
  }

  /** True: the session had none with this filter. */
  add(subscription: Subscription): boolean {
    const { session, filter } = subscription
    const isNew = !this.remove(session, filter)
    session.subscriptions.set(filter, subscription)
    if (subscription.share === null) this.#single.add(subscription.topics, subscription)
    else this.#join(subscription)
    this.#version++
    return isNew
  }

  /** False: there is none. */
  remove(session: Session, filter: string): boolean {
    const subscription = session.subscriptions.get(filter)
    if (!subscription) return false
    session.subscriptions.delete(filter)
    if (subscription.share === null) this.#single.remove(subscription.topics, subscription)
    else this.#leave(subscription)
    this.#version++
    return true
  }

  removeAll(session: Session): void {
    for (const filter of [...session.subscriptions.keys()]) this.remove(session, filter)
  }

  addLocal(filter: string, handler: LocalHandler): () => void {
    this.#version++
    this.#local.add(filter, handler)
    return () => {
      this.#version++
      this.#local.remove(filter, handler)
    }
  }

  /** Who would get a message on this topic, or for whom it would be kept; null: nobody. */
  interest(topic: string): Interest | null {
    const single = found(this.#single, topic)
    const shares = found(this.#shared, topic)
    const local = this.#local.has(topic)
    if (single.length === 0 && shares.length === 0 && !local) return null
    const targets = targetsOf(single)
    const granted = [...single, ...shares.flatMap(({ members }) => members)]
    return {
      targets,
      shares,
      qos: granted.reduce((highest, each) => Math.max(highest, each.qos), 0),
      local,
      plain: shares.length === 0 && single.every(({ identifier, noLocal }) => identifier === 0 && !noLocal),
    }
  }

  /** Subscriptions that match the topic, whether their clients are connected or not. */
  to(topic: string): Subscription[] {
    return [...found(this.#single, topic), ...found(this.#shared, topic).flatMap(({ members }) => members)]
  }

  emitLocal(publication: Pick<Publication, 'topic' | 'payload' | 'clientId'>): void {
    for (const handler of found(this.#local, publication.topic)) handler(publication)
  }

  #join(subscription: Subscription): void {
    const key = keyOf(subscription)
    let share = this.#shares.get(key)
    if (!share) {
      share = { members: [], turn: 0 }
      this.#shares.set(key, share)
      this.#shared.add(subscription.topics, share)
    }
    share.members.push(subscription)
  }

  #leave(subscription: Subscription): void {
    const key = keyOf(subscription)
    const share = this.#shares.get(key)
    const at = share?.members.indexOf(subscription) ?? -1
    if (!share || at < 0) return
    share.members.splice(at, 1)
    if (share.members.length > 0) return
    this.#shares.delete(key)
    this.#shared.remove(subscription.topics, share)
  }
}

function keyOf({ share, topics }: Subscription): string {
  return `${share}/${topics}`
}

function found<Value>(tree: FilterTree<Value>, topic: string): Value[] {
  const values: Value[] = []
  tree.match(topic, values)
  return values
}

function targetsOf(subscriptions: readonly Subscription[]): Target[] {
  if (subscriptions.length < 2) return subscriptions.map((each) => targetOf(each.session, [each]))
  const bySession = new Map<Session, Subscription[]>()
  for (const each of subscriptions) {
    const known = bySession.get(each.session)
    if (known) known.push(each)
    else bySession.set(each.session, [each])
  }
  return [...bySession].map(([session, own]) => targetOf(session, own))
}

export function targetOf(session: Session, subscriptions: readonly Subscription[]): Target {
  let qos: 0 | 1 | 2 = 0
  let retainAsPublished = false
  let identifiers = NO_IDENTIFIERS
  for (const each of subscriptions) {
    if (each.qos > qos) qos = each.qos
    retainAsPublished ||= each.retainAsPublished
    if (each.identifier > 0) identifiers = [...identifiers, each.identifier]
  }
  return { session, subscriptions, qos, identifiers, retainAsPublished }
}
