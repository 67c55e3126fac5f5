/**
 * What goes out to subscribers, joined into one buffer per connection and written at the end of the chunk that brought
 * it, or of the turn. QoS 0 copies of telemetry are encoded straight from the publisher's packet. One that reads too
 * slowly loses QoS 0 messages; nobody waits for it.
 */
import type { Version } from './packets/connect.ts'
import { variableSize, writeVariable } from './packets/writer.ts'

/** A connected client that gets messages. */
export interface Reader {
  readonly version: Version
  readonly maximumPacket: number
  readonly wire: { readonly queued: number; readonly drained: (() => void) | null }
  out: Buffer | null
  outLength: number
  write(bytes: Uint8Array): void
}

const FIRST_BUFFER = 1024
const LARGEST_BUFFER = 64 * 1024

export class Writes<To extends Reader> {
  readonly #limits: { readonly subscriberQueue: number }
  #touched: To[] = []

  constructor(limits: { readonly subscriberQueue: number }) {
    this.#limits = limits
  }

  /** Too much waits for it already. */
  isFull(reader: To): boolean {
    return reader.wire.queued + reader.outLength > this.#limits.subscriberQueue
  }

  /** A QoS 0 copy: the topic with its length is `bytes[at, topicEnd)`, the payload `bytes[start, end)`. False: larger than it takes. */
  copy(reader: To, bytes: Buffer, at: number, topicEnd: number, start: number, end: number): boolean {
    const empty = reader.version === 5 ? 1 : 0
    const length = topicEnd - at + empty + end - start
    const size = 1 + variableSize(length) + length
    if (size > reader.maximumPacket) return false
    const out = this.#space(reader, size)
    let to = reader.outLength
    out[to++] = 0x30
    to = writeVariable(out, to, length)
    to += bytes.copy(out, to, at, topicEnd)
    // No properties.
    if (empty) out[to++] = 0
    reader.outLength = to + bytes.copy(out, to, start, end)
    return true
  }

  send(reader: To, packet: Buffer): void {
    const out = this.#space(reader, packet.length)
    reader.outLength += packet.copy(out, reader.outLength)
  }

  flush(): void {
    if (this.#touched.length === 0) return
    const touched = this.#touched
    this.#touched = []
    for (let i = 0; i < touched.length; i++) {
      const reader = touched[i] as To
      const wasFull = this.isFull(reader)
      writeOut(reader)
      reader.out = null
      // The kernel has taken it at once: nobody else will say so.
      if (wasFull && !this.isFull(reader)) reader.wire.drained?.()
    }
  }

  /** The reader's buffer with room for `size` bytes. */
  #space(reader: To, size: number): Buffer {
    const { out } = reader
    if (out !== null && reader.outLength + size <= out.length) return out
    if (out === null) {
      // What is sent outside of a chunk goes out at the end of the turn.
      if (this.#touched.length === 0) queueMicrotask(() => this.flush())
      this.#touched.push(reader)
      reader.out = Buffer.allocUnsafe(Math.max(FIRST_BUFFER, size))
      return reader.out
    }
    writeOut(reader)
    reader.out = Buffer.allocUnsafe(Math.max(Math.min(LARGEST_BUFFER, 2 * out.length), size))
    return reader.out
  }
}

/** Writes what waits in the reader's buffer; whatever else is written to it comes behind. */
export function writeOut(reader: Pick<Reader, 'out' | 'outLength' | 'write'>): void {
  const { out, outLength } = reader
  if (out === null || outLength === 0) return
  // What follows begins behind it, in a buffer of its own: the socket may still hold this one.
  reader.out = out.subarray(outLength)
  reader.outLength = 0
  reader.write(out.subarray(0, outLength))
}
