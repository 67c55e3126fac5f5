/** Whether a peer lives (37/ZMTP, "Heartbeating"): how long it has been silent, and what follows. */

/** A peer not heard of for so many heartbeats is gone. */
const MISSED_HEARTBEATS = 3

export class Pulse {
  readonly #heartbeat: number
  #heard: number
  #beats = 0
  /** The peer asked to be taken for gone after so much silence, ms; 0: it did not. */
  ttl = 0

  /** @param heartbeat ms of silence after which we ask @param now monotonic, ms */
  constructor(heartbeat: number, now: number) {
    this.#heartbeat = heartbeat
    this.#heard = now
  }

  heard(now: number): void {
    this.#heard = now
  }

  /** @param asks whether the peer answers a PING */
  look(now: number, asks: boolean): 'well' | 'ask' | 'gone' {
    const silent = now - this.#heard
    if (this.ttl > 0 && silent > this.ttl) return 'gone'
    if (!asks) return 'well'
    const beats = Math.floor(silent / this.#heartbeat)
    if (beats === 0 || beats <= this.#beats) {
      this.#beats = Math.min(this.#beats, beats)
      return 'well'
    }
    this.#beats = beats
    return beats >= MISSED_HEARTBEATS ? 'gone' : 'ask'
  }

  /** What our PING asks of the peer, ms. */
  get asked(): number {
    return this.#heartbeat * MISSED_HEARTBEATS
  }
}
