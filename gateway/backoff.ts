/**
 * Exponential back-off with full jitter: the pause is drawn evenly between nothing and a bound that doubles with each
 * failure. A thousand gateways that lost one upstream at the same moment come back spread out, not as a herd.
 */

export interface BackoffOptions {
  /** Bound of the first pause, ms. */
  readonly first?: number
  /** No pause is longer than this, ms; what the peer asked for itself may be. */
  readonly cap?: number
  /** Evenly in [0, 1). */
  readonly random?: () => number
}

export interface Backoff {
  /** Failures in a row. */
  readonly failures: number
  /**
   * Counts a failure and says how long to pause, ms.
   *
   * @param asked the peer asked for at least this pause (Retry-After), ms
   */
  next(asked?: number): number
  reset(): void
}

/** The longest pause a peer may ask for, ms. */
const LONGEST_ASKED = 3_600_000

export function createBackoff(options: BackoffOptions = {}): Backoff {
  const { first = 250, cap = 15_000, random = Math.random } = options
  let failures = 0
  return {
    get failures() {
      return failures
    },
    next(asked) {
      const bound = Math.min(cap, first * 2 ** Math.min(failures, 30))
      failures++
      if (asked === undefined) return random() * bound
      // Nobody comes earlier than asked, and not everybody at the same moment.
      return Math.min(asked, LONGEST_ASKED) + random() * first
    },
    reset() {
      failures = 0
    },
  }
}
