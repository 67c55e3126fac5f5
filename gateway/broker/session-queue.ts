/**
 * Messages kept for one persistent session, oldest first, bounded by count and bytes. aedes names a message by its
 * counter until it has been sent, and by its packet id from then on.
 */

export interface QueuedPacket {
  readonly cmd: string
  readonly brokerId: string
  readonly brokerCounter: number
  readonly topic: string
  readonly payload: Buffer
  readonly qos: number
  readonly retain: boolean
  dup: boolean
  messageId: number | undefined
}

/** A PUBREL that takes the place of its message. */
export interface Release {
  readonly cmd: 'pubrel'
  readonly messageId: number
}

/** Rough cost of a message beside its topic and payload, bytes. */
const OVERHEAD = 200

export class SessionQueue {
  readonly #byCounter = new Map<number, QueuedPacket>()
  readonly #byId = new Map<number, QueuedPacket>()
  readonly #releases = new Map<number, Release>()
  #bytes = 0

  get size(): number {
    return this.#byCounter.size
  }

  /** Returns how many old messages had to go. */
  push(packet: QueuedPacket, maxMessages: number, maxBytes: number): number {
    this.#byCounter.set(packet.brokerCounter, packet)
    this.#bytes += sizeOf(packet)
    let dropped = 0
    while (this.#byCounter.size > maxMessages || this.#bytes > maxBytes) {
      const oldest = this.#byCounter.values().next().value
      if (!oldest) break
      this.#remove(oldest)
      dropped++
    }
    return dropped
  }

  /** The message got its packet id. A message that had to go is not missed. */
  sent(counter: number, id: number): void {
    const packet = this.#byCounter.get(counter)
    if (!packet) return
    packet.messageId = id
    this.#byId.set(id, packet)
  }

  /** The subscriber has the QoS 2 message; only its release is still owed. */
  release(release: Release): void {
    const packet = this.#byId.get(release.messageId)
    if (packet) this.#remove(packet)
    this.#releases.set(release.messageId, release)
  }

  /** The subscriber has acknowledged; returns what. */
  acknowledge(id: number): QueuedPacket | Release | undefined {
    const release = this.#releases.get(id)
    this.#releases.delete(id)
    const packet = this.#byId.get(id)
    if (packet) this.#remove(packet)
    return packet ?? release
  }

  /** What a returning subscriber gets: releases first, then messages in order, sent ones marked as duplicates (MQTT-4.4.0-1, MQTT-3.3.1-1). */
  *replay(): Generator<QueuedPacket | Release> {
    yield* [...this.#releases.values()]
    for (const packet of [...this.#byCounter.values()]) {
      packet.dup = packet.messageId !== undefined
      yield packet
    }
  }

  #remove(packet: QueuedPacket): void {
    this.#byCounter.delete(packet.brokerCounter)
    if (packet.messageId !== undefined && this.#byId.get(packet.messageId) === packet)
      this.#byId.delete(packet.messageId)
    this.#bytes -= sizeOf(packet)
  }
}

function sizeOf(packet: QueuedPacket): number {
  return OVERHEAD + packet.topic.length + packet.payload.length
}
