/**
 * Where the keys of sessions are kept: one after the other in slabs, since a buffer for each session would take several
 * times what is in it. What is given back is wiped.
 */
export interface Keyring {
  /** Memory for the key block of one session. */
  take(): Buffer
  giveBack(block: Buffer): void
}

/** Blocks in a slab. */
const SLAB = 256

/** @param size bytes of a block */
export function createKeyring(size: number): Keyring {
  const free: Buffer[] = []
  let slab = Buffer.alloc(0)
  let at = 0
  return {
    take() {
      const used = free.pop()
      if (used) return used
      if (at === slab.length) {
        slab = Buffer.alloc(size * SLAB)
        at = 0
      }
      at += size
      return slab.subarray(at - size, at)
    },
    giveBack(block) {
      block.fill(0)
      free.push(block)
    },
  }
}
