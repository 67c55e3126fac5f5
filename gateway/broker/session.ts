/**
 * What the broker knows of one client, beyond its connection (MQTT 5 section 4.1): its subscriptions, the messages on
 * their way to it, the packet ids of QoS 2 messages it has sent. It ends with the connection, or `expiry` seconds later.
 */
import type { Permissions } from './acl.ts'
import type { Identity } from './options.ts'
import type { OutgoingQueue } from './outgoing.ts'
import type { WillPacket } from './packets/connect.ts'
import type { Publication } from './publication.ts'
import type { Reader } from './writes.ts'

/** The connection of a session, as far as delivery is concerned. */
export interface Subscriber extends Reader {
  readonly identity: Identity
  readonly permissions: Permissions | null
  /** It has had its CONNACK and has not left. */
  readonly ready: boolean
  /** QoS 1 and 2 messages that may be on their way to it. */
  readonly receiveMaximum: number
  readonly aliases: Aliases | null
  /** Monotonic ms when it last showed that it takes messages. */
  progress: number
  /** Messages it did not get because too much was waiting. */
  dropped: number
}

/** Topic aliases towards a client (MQTT 5 section 3.3.2.3.4): the first topics that come get one each. */
export class Aliases {
  readonly #limit: number
  readonly #known = new Map<string, number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  isKnown(topic: string): boolean {
    return this.#known.has(topic)
  }

  /** 0 when there is none left. */
  of(topic: string): number {
    return this.#known.get(topic) ?? (this.#known.size < this.#limit ? this.#known.size + 1 : 0)
  }

  /** The client has been told. */
  told(topic: string, alias: number): void {
    if (alias > 0) this.#known.set(topic, alias)
  }
}

/** A will whose time has not come. */
export interface Will {
  readonly packet: WillPacket
  /** The connection it came with: it is sent in its name. */
  readonly owner: Subscriber
  /** Monotonic ms; Infinity while the client is connected. */
  due: number
}

/** A retained message that a new subscription is still to get. */
export interface Owed {
  readonly publication: Publication
  readonly qos: 0 | 1 | 2
  readonly identifiers: readonly number[]
}

export interface Subscription {
  readonly session: Session
  /** As the client wrote it, `$share/…` and all. */
  readonly filter: string
  readonly share: string | null
  /** Without the share. */
  readonly topics: string
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: none. */
  readonly identifier: number
}

/** A QoS 2 message has come. */
export interface Receipt {
  /** The connection that is told when it is durable; null: it is. */
  waiting: object | null
  /** The journal keeps the packet id, with the message; otherwise the log of sessions does. */
  readonly telemetry: boolean
}

export class Session {
  readonly client: string
  /** Null while the client is away. */
  line: Subscriber | null = null
  /** s after the connection; 0: ends with it; Infinity: never. */
  expiry = 0
  /** Monotonic ms when the client went away. */
  since = 0
  readonly subscriptions = new Map<string, Subscription>()
  outgoing: OutgoingQueue | null = null
  /** Retained messages, paced as the client reads. */
  owed: Owed[] = []
  /** QoS 2 messages from the client that it has not released, by packet id. */
  received: Map<number, Receipt> | null = null
  will: Will | null = null

  constructor(client: string) {
    this.client = client
  }
}
