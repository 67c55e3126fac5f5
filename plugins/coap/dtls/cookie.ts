/**
 * Cookies (RFC 6347 §4.2.1): before a client has sent one back nothing is kept of it. HMAC-SHA-256 over its address, the
 * random of its hello and the minute; this minute's and the last one's are good.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../../gateway/plugin.ts'

const LENGTH = 16
const MINUTE = 60_000

export interface Cookies {
  make(address: string, random: Buffer): Buffer
  valid(address: string, random: Buffer, cookie: Buffer): boolean
}

export function createCookies(clock: Clock): Cookies {
  const secret = randomBytes(32)
  const minute = () => Math.floor(clock.monotonic() / MINUTE)
  const cookieOf = (address: string, random: Buffer, at: number) =>
    createHmac('sha256', secret).update(`${at} ${address} `).update(random).digest().subarray(0, LENGTH)
  return {
    make: (address, random) => cookieOf(address, random, minute()),
    valid(address, random, cookie) {
      if (cookie.length !== LENGTH) return false
      const now = minute()
      return (
        timingSafeEqual(cookieOf(address, random, now), cookie) ||
        timingSafeEqual(cookieOf(address, random, now - 1), cookie)
      )
    },
  }
}
