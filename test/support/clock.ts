import { type Clock, systemClock, type Timer } from '../../gateway/clock.ts'

interface Waiting {
  readonly at: number
  readonly order: number
  readonly every: number | undefined
  readonly callback: () => void
}

/** A clock that moves only when told to; timers fire in order while it is advanced. */
export class FakeClock implements Clock {
  #wall: number
  #elapsed = 0
  #order = 0
  readonly #waiting = new Set<Waiting>()

  /** @param start wall clock, ms since the epoch */
  constructor(start: number = Date.UTC(2026, 10, 23)) {
    this.#wall = start
  }

  now(): number {
    return this.#wall + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  after(ms: number, callback: () => void): Timer {
    return this.#add(ms, undefined, callback)
  }

  every(ms: number, callback: () => void): Timer {
    return this.#add(ms, ms, callback)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const timer = this.after(ms, resolve)
      signal?.addEventListener('abort', () => {
        timer.cancel()
        reject(signal.reason)
      })
    })
  }

  /** Steps the wall clock alone, as NTP or a person would. */
  step(ms: number): void {
    this.#wall += ms
  }

  /** Both clocks go on while a piece of work takes its time: no timer fires. */
  pass(ms: number): void {
    this.#elapsed += ms
  }

  /** Moves both clocks on by `ms`, firing what falls due, letting promises settle between timers. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsed + ms
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const due = this.#nextDue(target)
      if (!due) break
      this.#elapsed = Math.max(this.#elapsed, due.at)
      this.#waiting.delete(due)
      if (due.every !== undefined) this.#waiting.add({ ...due, at: due.at + due.every, order: this.#order++ })
      due.callback()
    }
    this.#elapsed = target
    await new Promise((resolve) => setImmediate(resolve))
  }

  #add(ms: number, every: number | undefined, callback: () => void): Timer {
    const entry: Waiting = { at: this.#elapsed + ms, order: this.#order++, every, callback }
    this.#waiting.add(entry)
    const cancel = () => {
      for (const w of this.#waiting)
        if (w === entry || (every !== undefined && w.callback === callback)) this.#waiting.delete(w)
    }
    return { cancel }
  }

  #nextDue(target: number): Waiting | undefined {
    let first: Waiting | undefined
    for (const w of this.#waiting) {
      if (w.at > target) continue
      if (!first || w.at < first.at || (w.at === first.at && w.order < first.order)) first = w
    }
    return first
  }
}

/** The machine's clock at so many times its speed, for what would take seconds beside a disk or a peer that is real. */
export function quicker(times: number): Clock {
  return {
    ...systemClock,
    monotonic: () => systemClock.monotonic() * times,
    after: (ms, callback) => systemClock.after(ms / times, callback),
    every: (ms, callback) => systemClock.every(ms / times, callback),
    sleep: (ms, signal) => systemClock.sleep(ms / times, signal),
  }
}
