/** Where sessions are kept beyond the process: told of every change that a restart must not forget. */
import type { Outgoing } from './outgoing.ts'
import type { Session, Subscription } from './session.ts'

export interface SessionStore {
  /** A session has begun, or its expiry has changed, or its client came or went. */
  opened(session: Session): void
  ended(session: Session): void
  subscribed(subscription: Subscription): void
  unsubscribed(session: Session, filter: string): void
  /** A message waits for the session's client. */
  queued(session: Session, outgoing: Outgoing): void
  /** Its client has the QoS 2 message. */
  released(session: Session, outgoing: Outgoing): void
  /** A message is done with, or had to go. */
  settled(session: Session, outgoing: Outgoing): void
  /** A QoS 2 message, not telemetry, has come from the session's client. */
  received(session: Session, id: number): void
  /** The client has released it. */
  forgotten(session: Session, id: number): void
  /** The retained message of this topic has changed. */
  retained(topic: string): void
  /** Number of the newest change that was recorded. */
  readonly newest: number
  /** Newest that survives; Infinity: nobody is to wait. */
  readonly durable: number
  onDurable(listener: (durable: number) => void): void
  /** Records at once what waits to be recorded; returns `newest`. */
  flush(): number
  /** Once a second. */
  sweep(): void
}

/** Sessions that end with the process. */
export const FORGETFUL: SessionStore = {
  opened: () => undefined,
  ended: () => undefined,
  subscribed: () => undefined,
  unsubscribed: () => undefined,
  queued: () => undefined,
  released: () => undefined,
  settled: () => undefined,
  received: () => undefined,
  forgotten: () => undefined,
  retained: () => undefined,
  newest: 0,
  durable: Infinity,
  onDurable: () => undefined,
  flush: () => 0,
  sweep: () => undefined,
}
