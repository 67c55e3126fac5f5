/**
 * From one message to all who want it: retained store, subscribers, consumers inside the gateway. Where everybody gets
 * the same QoS 0 bytes they are copied from the publisher's packet; otherwise it becomes a `Publication`.
 */
import type { Clock } from '../clock.ts'
import type { Counters } from './counters.ts'
import type { Delivery } from './delivery.ts'
import type { PublishProperties } from './packets/publish-properties.ts'
import { NO_PROPERTIES, type Publication, qosOf } from './publication.ts'
import type { Retained } from './retained.ts'
import type { Subscriber } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { Interest, Subscriptions, Target } from './subscriptions.ts'
import type { Writes } from './writes.ts'

interface FanOutParts {
  readonly clock: Clock
  readonly counters: Counters
  readonly subscriptions: Subscriptions
  readonly delivery: Delivery
  readonly retained: Retained
  readonly store: SessionStore
  readonly writes: Writes<Subscriber>
  /** A subscriber did not get a message because too much waits for it. */
  slow(line: Subscriber): void
}

/** A PUBLISH packet where it was read: the topic with its length is bytes[at, topicEnd), the payload bytes[start, end). */
export interface PacketBytes {
  bytes: Buffer
  at: number
  topicEnd: number
  start: number
  end: number
  qos: number
  retain: boolean
  /** Null before MQTT 5. */
  properties: PublishProperties | null
}

export class FanOut {
  readonly #parts: FanOutParts

  constructor(parts: FanOutParts) {
    this.#parts = parts
  }

  /** Returns how many subscriptions it matched. */
  publish(publication: Publication, interest?: Interest | null): number {
    const { retained, store, delivery } = this.#parts
    // MQTT-3.3.1-5
    if (publication.retain && retained.set(publication)) store.retained(publication.topic)
    return delivery.publish(publication, interest)
  }

  /** A client's message. Returns how many subscriptions it matched. */
  packet(clientId: string, topic: string, interest: Interest | null, packet: PacketBytes): number {
    if (interest === null && !packet.retain) return 0
    if (interest !== null && isLight(interest, packet)) return this.#copy(clientId, topic, interest, packet)
    return this.publish(this.#publicationOf(clientId, topic, packet, keeps(interest, packet)), interest)
  }

  #copy(clientId: string, topic: string, interest: Interest, packet: PacketBytes): number {
    const { writes, counters } = this.#parts
    const { bytes, at, topicEnd, start, end } = packet
    const { targets } = interest
    let publication: Publication | null = null
    for (let i = 0; i < targets.length; i++) {
      const { line } = (targets[i] as Target).session
      if (!line?.ready) continue
      if (line.aliases !== null) {
        publication ??= this.#publicationOf(clientId, topic, packet, false)
        this.#parts.delivery.toTarget(publication, targets[i] as Target)
      } else if (writes.isFull(line)) this.#parts.slow(line)
      else if (writes.copy(line, bytes, at, topicEnd, start, end)) counters.messagesOut++
      else counters.drop('larger_than_client_takes')
    }
    if (interest.local)
      this.#parts.subscriptions.emitLocal({ topic, payload: Buffer.from(bytes.subarray(start, end)), clientId })
    return targets.length + (interest.local ? 1 : 0)
  }

  /** @param kept it may be kept for long: then it does not hold on to a larger buffer */
  #publicationOf(clientId: string, topic: string, packet: PacketBytes, kept: boolean): Publication {
    const { bytes, start, end, qos, retain, properties } = packet
    const payload = kept ? Buffer.allocUnsafeSlow(end - start) : Buffer.allocUnsafe(end - start)
    bytes.copy(payload, 0, start, end)
    const expiry = properties?.expiry ?? -1
    return {
      topic,
      payload,
      qos: qosOf(qos),
      retain,
      properties: properties?.forwarded(bytes) ?? NO_PROPERTIES,
      expires: expiry < 0 ? Infinity : this.#parts.clock.monotonic() + expiry * 1000,
      clientId,
    }
  }
}

function keeps(interest: Interest | null, { qos, retain }: PacketBytes): boolean {
  return retain || (interest !== null && Math.min(qos, interest.qos) > 0)
}

/** Everybody gets the same QoS 0 bytes, and they are in the packet. */
function isLight(interest: Interest, { qos, retain, at, topicEnd, properties }: PacketBytes): boolean {
  if (retain || !interest.plain || Math.min(qos, interest.qos) > 0) return false
  const named = topicEnd > at + 2
  return named && (properties === null || (properties.forwardedLength === 0 && properties.expiry < 0))
}
