/** The embedded MQTT broker, as the rest of the gateway sees it; `embedded.ts` is one. */
import type { BrokerPorts } from './listeners.ts'
import type { BrokerOptions, Identity } from './options.ts'

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
