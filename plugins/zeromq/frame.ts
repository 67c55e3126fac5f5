/** Frames in a stream of bytes; the layout is in `index.ts`. */
import { ZmtpError } from './errors.ts'

export const MORE = 1
export const LONG = 2
export const COMMAND = 4
const RESERVED = 0xf8

const NOTHING = Buffer.alloc(0)

/**
 * Cuts what comes into frames without copying: after `next` said true, the frame's body is
 * `bytes.subarray(start, end)`. A body is never written over, so it may be kept.
 *
 * Memory follows what has arrived, not what a header announces.
 */
export class FrameReader {
  bytes: Buffer = NOTHING
  flags = 0
  start = 0
  end = 0
  readonly #limit: number
  #at = 0
  #filled = 0
  /** Length of the frame that has begun and is not complete, header included; 0 when not known. */
  #wanted = 0

  /** @param limit longest body, bytes */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes that have come and are not yet cut. */
  get left(): number {
    return this.#filled - this.#at
  }

  push(chunk: Buffer): void {
    const left = this.#filled - this.#at
    if (left === 0) {
      this.bytes = chunk
      this.#at = 0
      this.#filled = chunk.length
      return
    }
    const total = left + chunk.length
    if (this.#filled + chunk.length > this.bytes.length) {
      // A long frame in small pieces: double the room each time, so that each byte is copied twice at most.
      const room = total >= this.#wanted ? total : Math.min(this.#wanted, total * 2)
      const grown = Buffer.allocUnsafeSlow(Math.max(total, room))
      this.bytes.copy(grown, 0, this.#at, this.#filled)
      this.bytes = grown
      this.#at = 0
      this.#filled = left
    }
    chunk.copy(this.bytes, this.#filled)
    this.#filled = this.#at + total
  }

  /**
   * Goes to the next complete frame.
   *
   * @throws ZmtpError a frame that is too long, or flags nobody defined
   */
  next(): boolean {
    const { bytes } = this
    const at = this.#at
    const left = this.#filled - at
    this.#wanted = 0
    if (left < 2) return false
    const flags = bytes[at] as number
    let header = 2
    let length = bytes[at + 1] as number
    if (flags > 1) {
      if ((flags & RESERVED) !== 0 || (flags & 5) === 5)
        throw new ZmtpError('malformed', `a frame has the flags ${flags}, which mean nothing`)
      if ((flags & LONG) !== 0) {
        if (left < 9) return false
        header = 9
        length = bytes.readUInt32BE(at + 1) * 2 ** 32 + bytes.readUInt32BE(at + 5)
      }
    }
    if (length > this.#limit)
      throw new ZmtpError('too_large', `a frame of ${length} bytes is longer than the ${this.#limit} allowed`)
    if (left < header + length) {
      this.#wanted = header + length
      return false
    }
    this.flags = flags
    this.start = at + header
    this.end = this.start + length
    this.#at = this.end
    return true
  }
}

/** Length of a frame with a body of `length` bytes. */
export function frameLength(length: number): number {
  return length > 255 ? length + 9 : length + 2
}

/** Writes one frame at `at`; `flags` are MORE or COMMAND. Returns where the next one goes. */
export function writeFrame(target: Buffer, at: number, flags: number, body: Uint8Array): number {
  const { length } = body
  let next = at
  if (length > 255) {
    target[next] = flags | LONG
    target.writeUInt32BE(Math.floor(length / 2 ** 32), at + 1)
    target.writeUInt32BE(length % 2 ** 32, at + 5)
    next += 9
  } else {
    target[next] = flags
    target[next + 1] = length
    next += 2
  }
  target.set(body, next)
  return next + length
}

export function encodeFrame(flags: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameLength(body.length))
  writeFrame(frame, 0, flags, body)
  return frame
}
