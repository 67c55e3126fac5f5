/** What ends a wait early: the clock, a signal, a connection that breaks. */
import type { Clock } from '../../gateway/plugin.ts'

export interface Deadline {
  /** Rejects when it is over; never resolves. */
  readonly over: Promise<never>
  end(reason: unknown): void
  /** To be called when nobody waits any more. */
  clear(): void
}

/** @param ms until `expired()` is the reason */
export function createDeadline(clock: Clock, ms: number, signal: AbortSignal, expired: () => Error): Deadline {
  let reject: (reason: unknown) => void = () => {}
  const over = new Promise<never>((_, fail) => {
    reject = fail
  })
  over.catch(() => {})
  const aborted = () => reject(signal.reason)
  const timer = clock.after(ms, () => reject(expired()))
  if (signal.aborted) aborted()
  signal.addEventListener('abort', aborted, { once: true })
  return {
    over,
    end: reject,
    clear() {
      timer.cancel()
      signal.removeEventListener('abort', aborted)
    },
  }
}
