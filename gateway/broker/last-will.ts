/** Sends wills (section 3.1.2.5), in the name of the clients that left them and as far as those may. */
import type { Clock } from '../clock.ts'
import { mayPublish } from './acl.ts'
import type { Counters } from './counters.ts'
import type { FanOut } from './fan-out.ts'
import type { BrokerOptions } from './options.ts'
import type { RareLog } from './rare-log.ts'
import type { Will } from './session.ts'

interface LastWillParts {
  readonly clock: Clock
  readonly counters: Counters
  readonly rareLog: RareLog
  readonly fanOut: FanOut
  /** Telemetry is taken. */
  take(topic: string, payload: Buffer, qos: number): void
  options(): BrokerOptions
}

export function sendWill({ packet, owner }: Will, parts: LastWillParts): void {
  const { topic, payload, qos, retain, properties, expiry } = packet
  const { identity, permissions } = owner
  if (!mayPublish(permissions, topic) || parts.options().authorizePublish?.(identity, topic) === false) {
    parts.counters.drop('will_denied')
    parts.rareLog.warn(`will_denied ${identity.client}`, { ...identity, topic }, 'mqtt will is not allowed')
    return
  }
  parts.take(topic, payload, qos)
  const expires = expiry === undefined ? Infinity : parts.clock.monotonic() + expiry * 1000
  parts.fanOut.publish({ topic, payload, qos, retain, properties, expires, clientId: identity.client })
}
