/** Reads the fields of a packet (MQTT 5 section 1.5), never past its end. */
import { malformed } from '../reasons.ts'
import { textOf } from '../topics.ts'

export class PacketReader {
  readonly bytes: Buffer
  at: number
  readonly end: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }

  byte(): number {
    return this.bytes[this.#take(1)] as number
  }

  two(): number {
    return this.bytes.readUInt16BE(this.#take(2))
  }

  four(): number {
    return this.bytes.readUInt32BE(this.#take(4))
  }

  /** A variable byte integer in its shortest form (MQTT-1.5.5-1). */
  variable(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw malformed('a length is longer than it needs to be')
        return value
      }
    }
    throw malformed('a length of more than four bytes')
  }

  /** Bytes with their length before them; a view into the packet. */
  binary(): Buffer {
    return this.view(this.two())
  }

  view(length: number): Buffer {
    const start = this.#take(length)
    return this.bytes.subarray(start, start + length)
  }

  /** Well-formed UTF-8 without NUL (MQTT-1.5.4-1, -2). */
  text(): string {
    const length = this.two()
    const start = this.#take(length)
    const text = textOf(this.bytes, start, start + length)
    if (text === null) throw malformed('a text is not UTF-8')
    return text
  }

  /** A packet id, which is never 0 (MQTT-2.2.1-3). */
  id(): number {
    const id = this.two()
    if (id === 0) throw malformed('packet id 0')
    return id
  }

  finish(): void {
    if (this.at !== this.end) throw malformed('a packet is longer than what it holds')
  }

  #take(length: number): number {
    const start = this.at
    if (start + length > this.end) throw malformed('a packet ends too early')
    this.at = start + length
    return start
  }
}
