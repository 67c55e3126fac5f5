/**
 * Texts repeat: states, names, places. The cache finds the string for bytes that came before without making one.
 *
 * A slot per hash, the newest text wins it. The bytes of short texts lie side by side in one array, so the cache is a
 * few objects however full it is.
 */
import { isUtf8 } from 'node:buffer'

const SLOT = 64
const EMPTY = 255

/** In bytes of UTF-8. */
export const MAX_TEXT = 65_536

export interface TextCache {
  /**
   * The text of the JSON string whose content is `bytes[start, end)`, or null when it is no valid text.
   * @param hash `hashByte` over the content
   * @param escaped whether a backslash is in it
   * @param high whether a byte above 127 is in it
   */
  get(bytes: Buffer, start: number, end: number, hash: number, escaped: boolean, high: boolean): string | null
}

/** FNV-1a: begin with this. */
export const HASH_START = -2_128_831_035

/** FNV-1a, one byte at a time. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 16_777_619)
}

/** @param slots a power of two */
export function createTextCache(slots = 4096): TextCache {
  const hashes = new Int32Array(slots)
  const lengths = new Uint8Array(slots).fill(EMPTY)
  const content = new Uint8Array(slots * SLOT)
  const texts = new Array<string>(slots).fill('')

  return {
    get(bytes, start, end, hash, escaped, high) {
      const length = end - start
      if (length > SLOT) return makeText(bytes, start, end, escaped, high)
      const slot = (hash ^ (hash >>> 15)) & (slots - 1)
      const base = slot * SLOT
      if (hashes[slot] === hash && lengths[slot] === length) {
        let i = 0
        while (i < length && content[base + i] === bytes[start + i]) i++
        if (i === length) return texts[slot] as string
      }
      const text = makeText(bytes, start, end, escaped, high)
      if (text === null) return null
      hashes[slot] = hash
      lengths[slot] = length
      content.set(bytes.subarray(start, end), base)
      texts[slot] = text
      return text
    },
  }
}

function makeText(bytes: Buffer, start: number, end: number, escaped: boolean, high: boolean): string | null {
  if (end - start > MAX_TEXT) return null
  if (high && !isUtf8(bytes.subarray(start, end))) return null
  if (!escaped) return bytes.toString(high ? 'utf8' : 'latin1', start, end)
  try {
    const text: unknown = JSON.parse(bytes.toString('utf8', start - 1, end + 1))
    return typeof text === 'string' && isWellFormed(text) ? text : null
  } catch {
    return null
  }
}

const LONE = /\p{Surrogate}/u

/** Half a surrogate pair can be escaped in JSON, but no UTF-8 can carry it. */
export function isWellFormed(text: string): boolean {
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xf800) === 0xd800) return !LONE.test(text)
  return true
}
