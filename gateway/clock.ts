/**
 * The only user of timers and of the wall clock. Everything else is given a `Clock`, so that tests can run a day in a
 * millisecond and step the wall clock under a running gateway.
 */

/** A timer that can be cancelled. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, ms since the epoch, may be wrong and may step. For stamps that people and other machines see. */
  now(): number
  /** Monotonic ms with a fraction, from an arbitrary start. For durations, deadlines of this process, commits. */
  monotonic(): number
  /** Calls back once after `ms` of monotonic time. Timers never keep the process alive. */
  after(ms: number, callback: () => void): Timer
  /** Calls back every `ms` of monotonic time. Timers never keep the process alive. */
  every(ms: number, callback: () => void): Timer
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms)
    timer.unref()
    return { cancel: () => clearInterval(timer) }
  },
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const aborted = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      }, ms)
      signal?.addEventListener('abort', aborted, { once: true })
    })
  },
}
