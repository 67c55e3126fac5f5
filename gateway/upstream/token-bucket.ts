/** Paces records: a bucket that fills at `rate` a second and holds one second's worth. */
import type { Clock } from '../clock.ts'

export interface TokenBucket {
  /** How long until something may be sent, ms; 0 when now. */
  wait(): number
  /** Counts what is being sent. A batch may overdraw the bucket; the next one waits longer for it. */
  spend(count: number): void
}

/** @param rate records per second; undefined is no limit */
export function createTokenBucket(rate: number | undefined, clock: Clock): TokenBucket {
  if (rate === undefined) return { wait: () => 0, spend() {} }
  let tokens = rate
  let at = clock.monotonic()
  const refill = () => {
    const now = clock.monotonic()
    tokens = Math.min(rate, tokens + ((now - at) * rate) / 1000)
    at = now
  }
  return {
    wait() {
      refill()
      return tokens > 0 ? 0 : Math.max(1, Math.ceil((-tokens * 1000) / rate))
    },
    spend(count) {
      refill()
      tokens -= count
    },
  }
}
