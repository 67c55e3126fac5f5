/**
 * Messages already received, so that one sent again is answered again and not acted on again (RFC 7252 §4.5).
 *
 * At 40,000 messages a second an object for each would be most of the gateway's work, as all of them live for minutes.
 * So they are rows of flat arrays, used in a ring: message n is row n mod capacity, and the oldest is overwritten.
 *
 *     row      | correspondent | message id | fingerprint | when | n of the message before it in its bucket | reply |
 *     bucket   n of its newest message
 *
 * A bucket's chain goes from newer to older; it ends where it meets a message that was overwritten. A reply of up to
 * 23 bytes stands in its row, which is all that telemetry needs; longer ones have a table bounded in bytes.
 */
import type { Clock } from '../../gateway/plugin.ts'
import type { Correspondent } from './correspondent.ts'
import type { Parameters } from './parameters.ts'

export interface Remembrance {
  /** The number of the same message received before, or 0. */
  recall(from: Correspondent, id: number, mark: number): number
  /** Remembers a message. Returns its number, which is good for the other calls even when it is forgotten meanwhile. */
  add(from: Correspondent, id: number, mark: number): number
  /** What to send when the message comes again. */
  answer(message: number, reply: Buffer): void
  answerTo(message: number): Buffer | undefined
  forget(message: number): void
  clear(): void
}

/** FNV-1a over the datagram. */
export function fingerprint(data: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ (data[i] as number), 0x01000193)
  return hash
}

/** The same over a text, a character as two bytes would be. */
export function textFingerprint(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** A byte for the length, then the reply. */
const REPLY = 24
const FIRST_CAPACITY = 1024
const FORGOTTEN = 0

interface Rows {
  readonly capacity: number
  readonly from: Uint32Array
  readonly id: Uint16Array
  readonly mark: Int32Array
  /** Monotonic ms. */
  readonly at: Float64Array
  readonly before: Float64Array
  readonly reply: Buffer
  /** A power of two of them. */
  readonly buckets: Float64Array
}

function createRows(capacity: number): Rows {
  return {
    capacity,
    from: new Uint32Array(capacity),
    id: new Uint16Array(capacity),
    mark: new Int32Array(capacity),
    at: new Float64Array(capacity),
    before: new Float64Array(capacity),
    reply: Buffer.alloc(capacity * REPLY),
    buckets: new Float64Array(2 ** Math.ceil(Math.log2(capacity))),
  }
}

export function createRemembrance(clock: Clock, parameters: Parameters): Remembrance {
  const { maxExchanges, maxReplyBytes, exchangeLifetime } = parameters
  let rows = createRows(Math.min(FIRST_CAPACITY, maxExchanges))
  let newest = 0
  /** Replies too long for a row, by the number of their message, oldest first. */
  const long = new Map<number, Buffer>()
  let longBytes = 0

  const bucketOf = (from: number, id: number) =>
    (Math.imul(from, 0x9e3779b1) ^ Math.imul(id, 0x85ebca6b)) & (rows.buckets.length - 1)

  const isKept = (message: number) => message > 0 && message > newest - rows.capacity

  function put(message: number, from: number, id: number, mark: number, at: number): number {
    const row = message % rows.capacity
    const bucket = bucketOf(from, id)
    rows.from[row] = from
    rows.id[row] = id
    rows.mark[row] = mark
    rows.at[row] = at
    rows.before[row] = rows.buckets[bucket] as number
    rows.buckets[bucket] = message
    rows.reply[row * REPLY] = 0
    return row
  }

  /** Room for twice as many, while there is memory for them. */
  function grow(): void {
    const old = rows
    rows = createRows(Math.min(old.capacity * 2, maxExchanges))
    for (let message = Math.max(1, newest - old.capacity + 1); message <= newest; message++) {
      const from = message % old.capacity
      const to = put(
        message,
        old.from[from] as number,
        old.id[from] as number,
        old.mark[from] as number,
        old.at[from] as number,
      )
      old.reply.copy(rows.reply, to * REPLY, from * REPLY, (from + 1) * REPLY)
    }
  }

  /** The oldest is still needed, and there may be more. */
  function isTight(now: number): boolean {
    if (newest < rows.capacity || rows.capacity >= maxExchanges) return false
    return (rows.at[(newest + 1) % rows.capacity] as number) + exchangeLifetime > now
  }

  function dropLong(message: number): void {
    longBytes -= long.get(message)?.length ?? 0
    long.delete(message)
  }

  /** Those of messages that are forgotten, and the oldest while there are too many. */
  function sweepLong(now: number): void {
    for (const message of long.keys()) {
      const over = !isKept(message) || (rows.at[message % rows.capacity] as number) + exchangeLifetime <= now
      if (!over && longBytes <= maxReplyBytes) return
      dropLong(message)
    }
  }

  const sweeper = clock.every(Math.max(1000, exchangeLifetime / 8), () => sweepLong(clock.monotonic()))

  return {
    recall(from, id, mark) {
      for (let message = rows.buckets[bucketOf(from.number, id)] as number; isKept(message); ) {
        const row = message % rows.capacity
        if (rows.from[row] === from.number && rows.id[row] === id && rows.mark[row] === mark)
          return (rows.at[row] as number) + exchangeLifetime > clock.monotonic() ? message : 0
        message = rows.before[row] as number
      }
      return 0
    },
    add(from, id, mark) {
      const now = clock.monotonic()
      if (isTight(now)) grow()
      put(++newest, from.number, id, mark, now)
      return newest
    },
    answer(message, reply) {
      if (!isKept(message)) return
      if (long.has(message)) dropLong(message)
      if (reply.length < REPLY) {
        const at = (message % rows.capacity) * REPLY
        rows.reply[at] = reply.length
        rows.reply.set(reply, at + 1)
        return
      }
      long.set(message, reply)
      longBytes += reply.length
      sweepLong(clock.monotonic())
    },
    answerTo(message) {
      if (!isKept(message)) return undefined
      const at = (message % rows.capacity) * REPLY
      const length = rows.reply[at] as number
      // A copy: the row may be another message's before the datagram is gone.
      return length > 0 ? Buffer.from(rows.reply.subarray(at + 1, at + 1 + length)) : long.get(message)
    },
    forget(message) {
      if (!isKept(message)) return
      rows.from[message % rows.capacity] = FORGOTTEN
      if (long.has(message)) dropLong(message)
    },
    clear() {
      sweeper.cancel()
      long.clear()
      longBytes = 0
    },
  }
}
