/** Builds a packet, or a record of the log of sessions, from its parts. */

export class PacketWriter {
  readonly #parts: Buffer[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  byte(value: number): this {
    return this.bytes(Buffer.from([value]))
  }

  two(value: number): this {
    return this.bytes(Buffer.from([value >> 8, value & 0xff]))
  }

  four(value: number): this {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeUInt32BE(value)
    return this.bytes(bytes)
  }

  variable(value: number): this {
    return this.bytes(variable(value))
  }

  text(value: string): this {
    const bytes = Buffer.from(value)
    return this.two(bytes.length).bytes(bytes)
  }

  bytes(part: Buffer): this {
    this.#parts.push(part)
    this.#length += part.length
    return this
  }

  joined(): Buffer {
    return Buffer.concat(this.#parts)
  }

  /** What was written, with its length in front (properties). */
  measured(): Buffer {
    return Buffer.concat([variable(this.#length), ...this.#parts])
  }

  /** A packet with this first byte. */
  packet(first: number): Buffer {
    return Buffer.concat([Buffer.from([first]), variable(this.#length), ...this.#parts])
  }
}

/** A variable byte integer (MQTT 5 section 1.5.5). */
function variable(value: number): Buffer {
  const bytes: number[] = []
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0))
    value >>>= 7
  } while (value > 0)
  return Buffer.from(bytes)
}

/** Bytes that a variable byte integer takes. */
export function variableSize(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  return value < 0x20_0000 ? 3 : 4
}

/** @returns where it ends */
export function writeVariable(bytes: Buffer, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  bytes[at++] = value
  return at
}
