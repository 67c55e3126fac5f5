/**
 * QoS 1 and 2 messages on their way to one session, oldest first:
 *
 *     push ─▶ waiting ──sent──▶ in flight ──PUBACK──▶ done
 *                                   └──PUBREC──▶ released ──PUBCOMP──▶ done
 *
 * A message has its packet id from the start, so that it is the same message when it is sent again. When the client
 * comes back, everything that is not done waits again, in its order (MQTT-4.4.0-1, MQTT-4.6.0-1). Bounded by count and
 * bytes: the oldest that was not released goes first.
 */
import { costOf, type Publication } from './publication.ts'

export interface Outgoing {
  readonly id: number
  readonly publication: Publication
  readonly qos: 1 | 2
  readonly retain: boolean
  readonly identifiers: readonly number[]
  /** It may have been sent before. */
  sent: boolean
  /** The subscriber has it; only the PUBREL is still owed. */
  released: boolean
}

const LAST_ID = 65_535

export class OutgoingQueue {
  #waiting: Outgoing[] = []
  /** Begin of what waits. */
  #head = 0
  /** In the order in which they were sent. */
  readonly #inFlight = new Map<number, Outgoing>()
  readonly #used = new Set<number>()
  #lastId = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.waiting + this.#inFlight.size
  }

  get waiting(): number {
    return this.#waiting.length - this.#head
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Null when all packet ids are taken. */
  push(message: Omit<Outgoing, 'id' | 'sent' | 'released'>): Outgoing | null {
    const id = this.#freeId()
    if (id === 0) return null
    const outgoing = { ...message, id, sent: false, released: false }
    this.restore(outgoing)
    return outgoing
  }

  /** A message that has its packet id already. */
  restore(outgoing: Outgoing): void {
    this.#used.add(outgoing.id)
    this.#waiting.push(outgoing)
    this.#bytes += costOf(outgoing.publication)
  }

  /** What is to be sent next, if less than `most` are in flight: it is in flight from now on. */
  next(most: number): Outgoing | undefined {
    if (this.#inFlight.size >= most) return undefined
    const outgoing = this.#shift()
    if (outgoing) this.#inFlight.set(outgoing.id, outgoing)
    return outgoing
  }

  /** The oldest that may go is gone, and returned. */
  dropOldest(): Outgoing | undefined {
    for (let i = this.#head; i < this.#waiting.length; i++) {
      const outgoing = this.#waiting[i] as Outgoing
      if (outgoing.released) continue
      if (i === this.#head) this.#shift()
      else this.#waiting.splice(i, 1)
      this.#forget(outgoing)
      return outgoing
    }
    return undefined
  }

  /** The subscriber has the QoS 2 message. */
  release(id: number): Outgoing | undefined {
    const outgoing = this.#inFlight.get(id)
    if (outgoing?.qos !== 2) return undefined
    outgoing.released = true
    return outgoing
  }

  /** The subscriber is done with it. */
  settle(id: number): Outgoing | undefined {
    const outgoing = this.#inFlight.get(id)
    if (!outgoing) return undefined
    this.#inFlight.delete(id)
    this.#forget(outgoing)
    return outgoing
  }

  /** The client has gone: what was in flight waits again, before the rest. */
  rewind(): void {
    if (this.#inFlight.size === 0) return
    for (const outgoing of this.#inFlight.values()) outgoing.sent = true
    this.#waiting = [...this.#inFlight.values(), ...this.#waiting.slice(this.#head)]
    this.#head = 0
    this.#inFlight.clear()
  }

  /** All of them, in their order. */
  *all(): Generator<Outgoing> {
    yield* this.#inFlight.values()
    for (let i = this.#head; i < this.#waiting.length; i++) yield this.#waiting[i] as Outgoing
  }

  #shift(): Outgoing | undefined {
    if (this.#head === this.#waiting.length) return undefined
    const outgoing = this.#waiting[this.#head] as Outgoing
    this.#head++
    // The array is cut when half of it is behind.
    if (this.#head === this.#waiting.length) {
      this.#waiting = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    return outgoing
  }

  #forget(outgoing: Outgoing): void {
    this.#used.delete(outgoing.id)
    this.#bytes -= costOf(outgoing.publication)
  }

  #freeId(): number {
    if (this.#used.size >= LAST_ID) return 0
    do this.#lastId = this.#lastId === LAST_ID ? 1 : this.#lastId + 1
    while (this.#used.has(this.#lastId))
    return this.#lastId
  }
}
