/** Frames put together to messages. */
import { ZmtpError } from './errors.ts'
import { MORE } from './frame.ts'

/** Frames of one message; envelopes of REQ and DEALER count. */
const MAX_PARTS = 16

export class Assembly {
  readonly #limit: number
  #parts: Buffer[] = []
  #size = 0

  /** @param limit longest message, bytes, all its frames together */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** What has come of the message. */
  get parts(): readonly Buffer[] {
    return this.#parts
  }

  /** Bytes of it. */
  get size(): number {
    return this.#size
  }

  /** Whether this frame completes the message. @throws ZmtpError it is too large */
  add(flags: number, body: Buffer): boolean {
    this.#size += body.length
    this.#parts.push(body)
    if (this.#parts.length > MAX_PARTS) throw new ZmtpError('too_large', `a message has more than ${MAX_PARTS} frames`)
    if (this.#size > this.#limit)
      throw new ZmtpError('too_large', `a message is longer than the ${this.#limit} bytes allowed`)
    return (flags & MORE) === 0
  }

  /** The next message begins. */
  clear(): void {
    this.#parts = []
    this.#size = 0
  }
}
