/**
 * Bytes of a snapshot: sections, each a 32-bit length and its content, read back in the order they were written.
 *
 *   json     length | UTF-8
 *   floats   length | float64, little-endian (all machines we run on are)
 *   nested   length | sections
 *
 * There is no checksum here: who stores a snapshot guards it.
 */
import { DamageError } from '../errors.ts'

export class SnapshotWriter {
  readonly #parts: Uint8Array[] = []
  #length = 0

  json(value: unknown): void {
    this.#section(Buffer.from(JSON.stringify(value)))
  }

  /** The first `length` numbers. They are copied by `bytes`, not before. */
  floats(values: Float64Array, length: number = values.length): void {
    this.#section(Buffer.from(values.buffer, values.byteOffset, length * 8))
  }

  nested(write: (writer: SnapshotWriter) => void): void {
    const inner = new SnapshotWriter()
    write(inner)
    this.#head(inner.#length)
    for (const part of inner.#parts) this.#add(part)
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts)
  }

  #section(content: Uint8Array): void {
    this.#head(content.length)
    this.#add(content)
  }

  #head(content: number): void {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(content)
    this.#add(length)
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part)
    this.#length += part.length
  }
}

export class SnapshotReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  json(): unknown {
    return JSON.parse(this.#section().toString())
  }

  /** An array of at least `capacity` numbers, the rest zero. */
  floats(capacity = 0): Float64Array {
    const section = this.#section()
    const values = new Float64Array(Math.max(capacity, section.length / 8))
    new Uint8Array(values.buffer).set(section)
    return values
  }

  nested(): SnapshotReader {
    return new SnapshotReader(this.#section())
  }

  #section(): Buffer {
    const bytes = this.#bytes
    if (this.#at + 4 > bytes.length) throw truncated()
    const start = this.#at + 4
    const end = start + bytes.readUInt32LE(this.#at)
    if (end > bytes.length) throw truncated()
    this.#at = end
    return bytes.subarray(start, end)
  }
}

function truncated(): DamageError {
  return new DamageError('SLUICE_SNAPSHOT_DAMAGED', 'the snapshot of the windows ends too early')
}
