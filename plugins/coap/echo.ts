/**
 * Echo (RFC 9175 §2): a value only the owner of an address can send back, without a byte of state for it.
 *
 *     seconds (4 bytes, from an arbitrary start) | first 8 bytes of HMAC-SHA-256(secret, seconds, peer)
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../gateway/plugin.ts'
import type { Peer } from './transport.ts'

/** Seconds a value is good for. */
const LIFETIME = 240
const TAG_LENGTH = 8

export interface Echo {
  make(peer: Peer): Buffer
  valid(peer: Peer, value: Buffer): boolean
}

export function createEcho(clock: Clock): Echo {
  const secret = randomBytes(32)

  function value(peer: Peer, seconds: number): Buffer {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(seconds)
    const tag = createHmac('sha256', secret).update(head).update(peer.key).digest()
    return Buffer.concat([head, tag.subarray(0, TAG_LENGTH)])
  }

  const seconds = () => Math.floor(clock.monotonic() / 1000)

  return {
    make: (peer) => value(peer, seconds()),
    valid(peer, echoed) {
      if (echoed.length !== 4 + TAG_LENGTH) return false
      const made = echoed.readUInt32BE(0)
      return timingSafeEqual(value(peer, made), echoed) && seconds() - made <= LIFETIME
    },
  }
}
