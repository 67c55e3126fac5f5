/** Where sessions are kept beyond the process: told of every change that a restart must not forget. */
import type { Outgoing } from './outgoing.ts'
import type { Session } from './session.ts'
import type { Subscription } from './subscriptions.ts'

export interface SessionStore {
  /** A session has begun, or its expiry has changed, or its client came or went. */
  opened(session: Session): void
  ended(session: Session): void
  subscribed(subscription: Subscription): void
  unsubscribed(session: Session, filter: string): void
  /** A message waits for the session's client. */
  queued(session: Session, outgoing: Outgoing): void
  /** Its client has the QoS 2 message. */
  released(session: Session, id: number): void
  /** A message is done with, or had to go. */
  settled(session: Session, id: number): void
  /** The retained message of this topic has changed. */
  retained(topic: string): void
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
  retained: () => undefined,
}
