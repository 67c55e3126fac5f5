/**
 * Bodies larger than a datagram, on the server's side (RFC 7959).
 *
 *   upload (Block1)     block 0 ─▶ 2.31 ─▶ block 1 ─▶ 2.31 … last block ─▶ the handler gets the whole body
 *   download (Block2)   the handler's whole body is kept; block by block goes out of it as the client asks
 *
 * Both are bounded: a body by `maxBody`, those of one direction together by `maxTotal` (then the least recently used goes), and one
 * that is not continued by `expiry`. A transfer belongs to a peer and to everything that makes up the request's cache key
 * (RFC 9175 §3: also to its Request-Tag).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { type Block, blockSize } from './block.ts'
import { BAD_REQUEST, REQUEST_ENTITY_INCOMPLETE, REQUEST_ENTITY_TOO_LARGE } from './codes.ts'

export interface BlockwiseLimits {
  /** Bytes of one body. */
  readonly maxBody: number
  /** Bytes of all half-done transfers of one direction. */
  readonly maxTotal: number
  /** ms without a further block after which a transfer is given up. */
  readonly expiry: number
}

export const DEFAULT_LIMITS: BlockwiseLimits = { maxBody: 1024 * 1024, maxTotal: 16 * 1024 * 1024, expiry: 247_000 }

export type Upload =
  | { readonly state: 'continue' }
  | { readonly state: 'complete'; readonly body: Buffer }
  | { readonly state: 'refused'; readonly code: number }

/** Bodies by key, least recently used first, each with the time it was last used. */
export interface Shelf<Body extends { readonly length: number }> {
  get(key: string): Body | undefined
  /** Replaces what is there. */
  put(key: string, body: Body): void
  delete(key: string): void
  clear(): void
  readonly bytes: number
}

export function createShelf<Body extends { readonly length: number }>(
  clock: Clock,
  limits: BlockwiseLimits,
): Shelf<Body> {
  const bodies = new Map<string, { body: Body; used: number; length: number }>()
  let bytes = 0
  const sweeper = clock.every(Math.max(1000, limits.expiry / 4), () => {
    const since = clock.monotonic() - limits.expiry
    for (const [key, entry] of bodies) {
      if (entry.used > since) break
      remove(key)
    }
  })

  function remove(key: string): void {
    const entry = bodies.get(key)
    if (!entry) return
    bodies.delete(key)
    bytes -= entry.length
  }

  return {
    get(key) {
      const entry = bodies.get(key)
      if (!entry || entry.used <= clock.monotonic() - limits.expiry) return undefined
      entry.used = clock.monotonic()
      bodies.delete(key)
      bodies.set(key, entry)
      return entry.body
    },
    put(key, body) {
      remove(key)
      bodies.set(key, { body, used: clock.monotonic(), length: body.length + OVERHEAD })
      bytes += body.length + OVERHEAD
      for (const oldest of bodies.keys()) {
        if (bytes <= limits.maxTotal || oldest === key) break
        remove(oldest)
      }
    },
    delete: remove,
    clear() {
      sweeper.cancel()
      bodies.clear()
      bytes = 0
    },
    get bytes() {
      return bytes
    },
  }
}

/** Bytes an entry costs beside its body: many empty transfers are bounded too. */
const OVERHEAD = 256

class HalfBody {
  readonly #parts: Uint8Array[] = []
  length = 0

  add(part: Uint8Array): void {
    this.#parts.push(part)
    this.length += part.length
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts, this.length)
  }
}

export interface Uploads {
  /** @param payload the block's bytes. @param announced value of Size1, if given */
  take(key: string, block: Block, payload: Uint8Array, announced: number | undefined): Upload
  clear(): void
  readonly bytes: number
}

export function createUploads(clock: Clock, limits: BlockwiseLimits): Uploads {
  const shelf = createShelf<HalfBody>(clock, limits)

  return {
    take(key, block, payload, announced) {
      if (payload.length > blockSize(block.szx)) return refused(BAD_REQUEST)
      if (block.more && payload.length !== blockSize(block.szx)) return refused(BAD_REQUEST)
      const offset = block.num * blockSize(block.szx)
      if (Math.max(offset + payload.length, announced ?? 0) > limits.maxBody) {
        shelf.delete(key)
        return refused(REQUEST_ENTITY_TOO_LARGE)
      }
      const half = block.num === 0 ? new HalfBody() : shelf.get(key)
      if (!half) return refused(REQUEST_ENTITY_INCOMPLETE)
      // The last block again, its answer was lost.
      if (block.more && block.num > 0 && offset + payload.length === half.length) return { state: 'continue' }
      if (offset !== half.length) return refused(REQUEST_ENTITY_INCOMPLETE)
      half.add(payload)
      if (block.more) {
        shelf.put(key, half)
        return { state: 'continue' }
      }
      shelf.delete(key)
      return { state: 'complete', body: half.whole() }
    },
    clear: () => shelf.clear(),
    get bytes() {
      return shelf.bytes
    },
  }
}

function refused(code: number): Upload {
  return { state: 'refused', code }
}
