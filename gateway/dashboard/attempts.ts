/** How often one address may try a token: a few times at once, then slowly. */
import type { Clock } from '../clock.ts'

export interface Attempts {
  /** Counts one try. Seconds to wait before the next one, 0 when this one may go on. */
  take(address: string): number
}

const AT_ONCE = 5
/** ms until one more is allowed. */
const EVERY = 10_000
const MAX_ADDRESSES = 1000

export function createAttempts(clock: Clock): Attempts {
  /** When the address would have all its tries back, monotonic ms. */
  const full = new Map<string, number>()
  return {
    take(address) {
      const now = clock.monotonic()
      const network = networkOf(address)
      const next = Math.max(full.get(network) ?? now, now) + EVERY
      const wait = next - now - AT_ONCE * EVERY
      if (wait > 0) return Math.ceil(wait / 1000)
      full.delete(network)
      const [oldest] = full.keys()
      if (full.size >= MAX_ADDRESSES && oldest !== undefined) full.delete(oldest)
      full.set(network, next)
      return 0
    },
  }
}

/** An IPv6 host has a whole /64 to speak from. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  return address.split(':').slice(0, 4).join(':')
}
