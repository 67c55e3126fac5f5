import type { Clock } from './clock.ts'

/** Waits for `promise`, but not longer than `ms`. True when it came, also with an error. */
export function within(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, () => resolve(false))
    const done = () => {
      timer.cancel()
      resolve(true)
    }
    promise.then(done, done)
  })
}
