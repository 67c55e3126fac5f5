/**
 * Numbers in few bytes, exactly. What sensors send has few decimals: 21.5 is 215 / 10, two bytes instead of eight.
 *
 *   varint   seven bits a byte, lowest first, the highest bit says that more follow (LEB128)
 *   number   varint u: u % 8 = d below 7: the number is m / 10^d, m = u / 8 unfolded from zigzag (0, -1, 1, -2 …)
 *                      u = 7: eight bytes follow, IEEE 754, little-endian
 *                      u = 15: the same as the number before it
 */

const POWERS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6] as const
const PLAIN = 7
const SAME = 15
/** Larger ones would not fit into a varint of 53 bits. */
const MOST = 2 ** 49
/** Most bytes of a varint of 53 bits. */
const VARINT = 8

/** Bytes that grow. */
export class Bytes {
  buffer: Buffer
  length = 0
  #last = 0

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafeSlow(size)
  }

  reserve(more: number): void {
    if (this.length + more <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.buffer.length, this.length + more))
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }

  varint(value: number): void {
    this.reserve(VARINT)
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.length++] = rest
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  zigzag(value: number): void {
    this.varint(fold(value))
  }

  /** Puts a varint in front of what was written from `at` on. */
  insertVarint(at: number, value: number): void {
    const end = this.length
    let room = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) room++
    // Also for what `varint` reserves: bytes beyond `length` do not survive when the buffer grows.
    this.reserve(room + VARINT)
    this.buffer.copyWithin(at + room, at, end)
    this.length = at
    this.varint(value)
    this.length = end + room
  }

  number(value: number): void {
    this.#last = value
    for (let d = 0; d < POWERS.length; d++) {
      const power = POWERS[d] as number
      const m = Math.round(value * power)
      if (m / power !== value) continue
      if (Math.abs(m) >= MOST) break
      this.varint(fold(m) * 8 + d)
      return
    }
    this.varint(PLAIN)
    this.reserve(8)
    this.length = this.buffer.writeDoubleLE(value, this.length)
  }

  /** Like `number`, in one byte when it is the one written before. */
  numberOrSame(value: number): void {
    if (value === this.#last) this.varint(SAME)
    else this.number(value)
  }

  /** At most 254 bytes of UTF-8 are kept; 255 as a length means something else. */
  text(value: string): void {
    this.reserve(256)
    const written = this.buffer.write(value, this.length + 1, 254)
    this.buffer[this.length] = written
    this.length += 1 + written
  }

  /** A byte per character. */
  latin1(value: string): void {
    this.reserve(value.length)
    this.length += this.buffer.write(value, this.length, 'latin1')
  }
}

function fold(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function unfold(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2
}

/** Reads what `Bytes` wrote. */
export class Cursor {
  readonly bytes: Buffer
  at: number
  #last = 0

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.bytes[this.at++] as number
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  zigzag(): number {
    return unfold(this.varint())
  }

  number(): number {
    const u = this.varint()
    if (u === SAME) return this.#last
    this.#last = u === PLAIN ? this.#plain() : unfold(Math.floor(u / 8)) / (POWERS[u % 8] as number)
    return this.#last
  }

  text(): string {
    const length = this.bytes[this.at] as number
    const from = this.at + 1
    this.at = from + length
    return this.bytes.toString('utf8', from, this.at)
  }

  #plain(): number {
    const value = this.bytes.readDoubleLE(this.at)
    this.at += 8
    return value
  }
}
