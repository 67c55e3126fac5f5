/** Tokens nobody can guess: a response that carries one comes from who got the request (RFC 7252 §5.3.1). */
import { randomFillSync } from 'node:crypto'

const LENGTH = 6
const BATCH = 256

export interface Tokens {
  next(): Buffer
}

/** Randomness is drawn for many tokens at once: one call for each would be most of a request's cost. */
export function createTokens(): Tokens {
  let pool = Buffer.alloc(0)
  let at = 0
  return {
    next() {
      if (at === pool.length) {
        pool = randomFillSync(Buffer.allocUnsafeSlow(LENGTH * BATCH))
        at = 0
      }
      at += LENGTH
      return pool.subarray(at - LENGTH, at)
    },
  }
}
