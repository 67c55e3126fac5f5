/**
 * AES-CCM (RFC 3610) for a key that is used again and again.
 *
 * Node makes a new cipher for every record, which takes longer than the record. CCM is CBC-MAC and counter mode, and both
 * can go on in a cipher that is never finished:
 *
 *     MAC     CBC of  B0 | length and additional data | plaintext, padded     B0 = flags 1, nonce 12, length 3
 *             the cipher still chains its last block in, so the first one is given xor that block
 *     stream  ECB of  A0, A1, …                                              Ai = 2, nonce 12, i in 3 bytes
 *             A0 covers the tag, the others the text
 *
 * The block cipher is OpenSSL's; only the exclusive-ors are here. Tags are compared in constant time.
 */
import { type Cipher, createCipheriv } from 'node:crypto'

const BLOCK = 16
const NONCE = 12

export interface Ccm {
  /** Writes ciphertext and tag into `out` from `at`. */
  seal(nonce: Buffer, additional: Buffer, plain: Uint8Array, out: Buffer, at: number): void
  /** The plaintext, or undefined when the tag does not fit. @param sealed ciphertext and tag */
  open(nonce: Buffer, additional: Buffer, sealed: Buffer): Buffer | undefined
}

const blocks = (length: number) => Math.ceil(length / BLOCK) * BLOCK

/** Bytes of text the scratch memory of a cipher is for; longer ones get memory of their own. */
const USUAL = 1536

export function createCcm(key: Buffer, tagLength: number): Ccm {
  const ecb: Cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  const cbc: Cipher = createCipheriv('aes-128-cbc', key, Buffer.alloc(BLOCK)).setAutoPadding(false)
  const usualCounters = counterBlocks(USUAL)
  const usualInput = Buffer.alloc(USUAL + 6 * BLOCK)
  let chained: Buffer = Buffer.alloc(BLOCK)

  /** The last block of the result is the tag; it stands at `result.length - 16`. */
  function mac(nonce: Buffer, additional: Buffer, plain: Uint8Array): Buffer {
    const head = BLOCK + blocks(2 + additional.length)
    const length = head + blocks(plain.length)
    const input = length <= usualInput.length ? usualInput : Buffer.alloc(length)
    input[0] = 0x40 | (((tagLength - 2) / 2) << 3) | 2
    for (let i = 0; i < NONCE; i++) input[1 + i] = nonce[i] as number
    input[13] = plain.length >> 16
    input[14] = plain.length >> 8
    input[15] = plain.length
    input[16] = additional.length >> 8
    input[17] = additional.length
    let at = BLOCK + 2
    for (let i = 0; i < additional.length; i++) input[at++] = additional[i] as number
    while (at < head) input[at++] = 0
    for (let i = 0; i < plain.length; i++) input[at++] = plain[i] as number
    while (at < length) input[at++] = 0
    const before = chained.length - BLOCK
    for (let i = 0; i < BLOCK; i++) input[i] = (input[i] as number) ^ (chained[before + i] as number)
    chained = cbc.update(input.subarray(0, length))
    return chained
  }

  /** Key stream: a block for the tag, then as many as the text needs. */
  function stream(nonce: Buffer, length: number): Buffer {
    const size = BLOCK + blocks(length)
    const counters = length <= USUAL ? usualCounters : counterBlocks(length)
    for (let at = 1; at < size; at += BLOCK) for (let i = 0; i < NONCE; i++) counters[at + i] = nonce[i] as number
    return ecb.update(counters.subarray(0, size))
  }

  return {
    seal(nonce, additional, plain, out, at) {
      const keys = stream(nonce, plain.length)
      const tag = mac(nonce, additional, plain)
      const from = tag.length - BLOCK
      for (let i = 0; i < plain.length; i++) out[at + i] = (plain[i] as number) ^ (keys[BLOCK + i] as number)
      const end = at + plain.length
      for (let i = 0; i < tagLength; i++) out[end + i] = (tag[from + i] as number) ^ (keys[i] as number)
    },
    open(nonce, additional, sealed) {
      const length = sealed.length - tagLength
      const keys = stream(nonce, length)
      const plain = Buffer.allocUnsafe(length)
      for (let i = 0; i < length; i++) plain[i] = (sealed[i] as number) ^ (keys[BLOCK + i] as number)
      const tag = mac(nonce, additional, plain)
      const from = tag.length - BLOCK
      // No early end: how long it takes says nothing of where the tags differ.
      let difference = 0
      for (let i = 0; i < tagLength; i++)
        difference |= (sealed[length + i] as number) ^ (keys[i] as number) ^ (tag[from + i] as number)
      return difference === 0 ? plain : undefined
    },
  }
}

/** A0, A1, … without their nonces. */
function counterBlocks(length: number): Buffer {
  const counters = Buffer.alloc(BLOCK + blocks(length))
  for (let at = 0, i = 0; at < counters.length; at += BLOCK, i++) {
    counters[at] = 2
    counters.writeUIntBE(i, at + 1 + NONCE, 3)
  }
  return counters
}
