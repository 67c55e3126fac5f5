/**
 * Ciphers kept ready for the keys that are busy. One takes a few kilobytes, so only so many are kept: a key earns one by
 * being used, and gives it up to another when it was not used since the clock's hand came by last (second chance).
 */
import { type Ccm, createCcm } from './ccm.ts'

/** Anything a cipher can be made for and kept with. */
export interface PooledKey {
  readonly block: Buffer
  /** Where in the block it is. */
  readonly keyAt: number
  /** Kept here while it is in the pool. */
  ready: Ccm | undefined
  uses: number
}

/** Bytes: AES-128. */
export const KEY_LENGTH = 16

export function keyOf({ block, keyAt }: PooledKey): Buffer {
  return block.subarray(keyAt, keyAt + KEY_LENGTH)
}

export interface CipherPool {
  /** A cipher that is ready, or undefined: then one is made for this once, elsewhere. */
  of(key: PooledKey, tagLength: number): Ccm | undefined
  /** Its session ended. */
  drop(key: PooledKey): void
}

/** Uses before a key earns a cipher: making one costs about as much as these save. */
const EARNED = 4
const PROBES = 4

export function createCipherPool(limit = 1024): CipherPool {
  const kept: PooledKey[] = []
  let hand = 0

  /** A place for another, or -1 when all those looked at are busy. */
  function place(): number {
    if (kept.length < limit) return kept.length
    for (let probes = 0; probes < PROBES; probes++) {
      hand = (hand + 1) % limit
      const candidate = kept[hand] as PooledKey
      if (candidate.uses === 0) return hand
      candidate.uses = 0
    }
    return -1
  }

  return {
    of(key, tagLength) {
      key.uses++
      if (key.ready || key.uses < EARNED) return key.ready
      const at = place()
      if (at < 0) return undefined
      const before = kept[at]
      if (before) before.ready = undefined
      kept[at] = key
      key.ready = createCcm(keyOf(key), tagLength)
      return key.ready
    },
    drop(key) {
      key.ready = undefined
      // Its place goes to the next that asks for one.
      key.uses = 0
    },
  }
}
