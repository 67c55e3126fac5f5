/** Gives the broker back what the log of sessions tells. */
import type { Clock } from '../../clock.ts'
import { OutgoingQueue } from '../outgoing.ts'
import { splitShare } from '../packets/subscribe.ts'
import type { Retained } from '../retained.ts'
import { Session } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import type { Subscriptions } from '../subscriptions.ts'
import type { RestoredSession } from './restored.ts'
import type { SessionLog } from './session-log.ts'

export interface RestoreParts {
  readonly sessions: Sessions
  readonly subscriptions: Subscriptions
  readonly retained: Retained
  readonly clock: Clock
}

/** Returns how many records make no sense. */
export async function restoreSessions(log: SessionLog, parts: RestoreParts): Promise<number> {
  const { sessions, subscriptions, retained } = parts
  const { restored, skipped } = await log.restore()
  for (const [number, each] of restored.sessions) {
    const session = sessionOf(each, parts)
    log.known(session, number)
    for (const subscription of each.subscriptions.values())
      subscriptions.add({ session, ...subscription, ...splitShare(subscription.filter) })
    sessions.restore(session)
  }
  for (const publication of restored.retained.values()) retained.set(publication)
  log.keep({
    sessions: () => sessions.all(),
    find: (client) => sessions.find(client),
    retained: () => retained.all(),
    retainedOn: (topic) => retained.get(topic),
  })
  return skipped
}

function sessionOf({ opened, outgoing, received }: RestoredSession, { clock }: RestoreParts): Session {
  const session = new Session(opened.client)
  const now = clock.monotonic()
  session.expiry = opened.expiry
  // Of a client that was connected when the gateway ended, the time begins now.
  session.since = opened.since === 0 ? now : Math.min(now, opened.since - (clock.now() - now))
  if (outgoing.size > 0) {
    session.outgoing = new OutgoingQueue()
    for (const each of outgoing.values()) session.outgoing.restore(each)
  }
  for (const id of received) {
    session.received ??= new Map()
    session.received.set(id, { waiting: null, telemetry: false })
  }
  return session
}
