/**
 * Sockets take turns, so that timers and the disk get theirs while many flood.
 *
 * libuv reads up to 2 MB from every socket that has something before anything else: with fifty of them that is half a
 * second, and a commit needs several such rounds. So a turn lasts `TURN` ms. Whoever comes later has to queue, and its
 * socket is not read:
 *
 *     turn    A A A A A A A A A  │ timers, disk │  B B B B B B B B B  │ timers, disk │  C …
 *     queue                B C D │              │               C D A │
 *
 * One goes on for long rather than all for a little: then what belongs to its devices is in the processor's caches.
 */
import type { Clock } from '../clock.ts'

/** ms. */
const TURN = 4
/** Part of a turn in which those who queue are called up; one that has much more fills the rest alone. */
const CALL_UP = TURN / 8
/** Who sends less than this at a time need not queue, bytes. */
const LIGHT = 4 * 1024
/** More than this many are not kept waiting: each holds up to 64 KB. */
const MAX_QUEUE = 128

export class Turns<Peer> {
  readonly #clock: Clock
  readonly #call: (peer: Peer) => void
  readonly #queue: Peer[] = []
  readonly #end = () => this.#next()
  #running = false
  #endsAt = 0

  /** @param call tells one that had to wait that it may go on */
  constructor(clock: Clock, call: (peer: Peer) => void) {
    this.#clock = clock
    this.#call = call
  }

  /**
   * Asked before what came is looked at. True: the turn is over, the peer has to wait until it is called.
   *
   * @param now monotonic, ms
   */
  mustWait(peer: Peer, bytes: number, now: number): boolean {
    if (!this.#running) this.#begin(now)
    if (now < this.#endsAt || bytes < LIGHT || this.#queue.length >= MAX_QUEUE) return false
    this.#queue.push(peer)
    return true
  }

  #begin(now: number): void {
    this.#endsAt = now + TURN
    this.#running = true
    setImmediate(this.#end)
  }

  #next(): void {
    this.#running = false
    if (this.#queue.length === 0) return
    const now = this.#clock.monotonic()
    this.#begin(now)
    let called = 0
    do this.#call(this.#queue[called++] as Peer)
    while (called < this.#queue.length && this.#clock.monotonic() < now + CALL_UP)
    this.#queue.splice(0, called)
  }
}
