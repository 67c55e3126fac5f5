/**
 * QoS 0 copies of telemetry for local subscribers: encoded straight from the publisher's packet into one buffer per
 * subscriber, written at the end of the chunk. One that reads too slowly loses them; nobody waits for it.
 */
import type { Counters } from './counters.ts'
import type { BrokerLimits } from './options.ts'

/** A connected client that gets copies. */
export interface CopyReader {
  readonly wire: { readonly queued: number }
  out: Buffer | null
  outLength: number
  write(bytes: Uint8Array): void
}

const FIRST_BUFFER = 1024
const LARGEST_BUFFER = 64 * 1024
/** Type and flags of a QoS 0 PUBLISH, and the longest remaining length. */
const HEADER = 5

export class Copies<Reader extends CopyReader> {
  readonly #counters: Counters
  readonly #limits: BrokerLimits
  readonly #slow: (reader: Reader) => void
  readonly #touched: Reader[] = []

  constructor(counters: Counters, limits: BrokerLimits, slow: (reader: Reader) => void) {
    this.#counters = counters
    this.#limits = limits
    this.#slow = slow
  }

  /** The topic with its length is `bytes[at, topicEnd)`, the payload `bytes[start, end)`. */
  add(reader: Reader, bytes: Buffer, at: number, topicEnd: number, start: number, end: number): void {
    const length = topicEnd - at + end - start
    const out = this.#space(reader, length + HEADER)
    if (out === null) {
      this.#slow(reader)
      return
    }
    let to = reader.outLength
    out[to++] = 0x30
    let rest = length
    while (rest > 127) {
      out[to++] = (rest & 127) | 128
      rest >>= 7
    }
    out[to++] = rest
    to += bytes.copy(out, to, at, topicEnd)
    reader.outLength = to + bytes.copy(out, to, start, end)
    this.#counters.messagesOut++
  }

  flush(): void {
    const touched = this.#touched
    for (let i = 0; i < touched.length; i++) {
      const reader = touched[i] as Reader
      if (reader.out) reader.write(reader.out.subarray(0, reader.outLength))
      reader.out = null
      reader.outLength = 0
    }
    touched.length = 0
  }

  /** The reader's buffer with room for `size` bytes, or null when too much waits for it already. */
  #space(reader: Reader, size: number): Buffer | null {
    const { out } = reader
    if (out !== null && reader.outLength + size <= out.length) return out
    if (out === null) {
      if (reader.wire.queued > this.#limits.subscriberQueue) return null
      this.#touched.push(reader)
      reader.out = Buffer.allocUnsafe(Math.max(FIRST_BUFFER, size))
      return reader.out
    }
    reader.write(out.subarray(0, reader.outLength))
    reader.outLength = 0
    reader.out = Buffer.allocUnsafe(Math.max(Math.min(LARGEST_BUFFER, 2 * out.length), size))
    return reader.wire.queued > this.#limits.subscriberQueue ? null : reader.out
  }
}
