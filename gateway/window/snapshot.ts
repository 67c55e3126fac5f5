/**
 * Bytes of a snapshot: sections, each a 32-bit length and its content, read back in the order they were written.
 *
 *   json     length | UTF-8
 *   floats   length | float64, little-endian (all machines we run on are)
 *   list     json: number of parts | json: up to 1,000 items | json …
 *
 * A snapshot is of one moment, but its bytes are made piece by piece while they are read, with other work in between:
 * those of 100,000 keys in one go would hold the event loop for tenths of a second. Who is saved gives copies, or keeps
 * what it gave as it was until its piece was taken (`slab.ts`, `extras.ts`).
 *
 * There is no checksum here: who stores a snapshot guards it.
 */
import { DamageError } from '../errors.ts'

/** From this version on there are lists, and one definition follows the other; before, each was nested in a section. */
export const FLAT = 4

const ITEMS = 1000

/** The bytes of a snapshot. A piece is valid until the next one is asked for. */
export type Pieces = Iterable<Uint8Array>

export class SnapshotWriter {
  readonly #parts: Pieces[] = []

  json(value: unknown): void {
    this.#parts.push([jsonSection(value)])
  }

  /** Copies the first `length` numbers. */
  floats(values: Float64Array, length: number): void {
    this.#parts.push(floatSection(values.slice(0, length)))
  }

  /** @param items must not change any more */
  list(items: readonly unknown[]): void {
    this.#parts.push(listSections(items))
  }

  /** Sections that are made when they are asked for. */
  later(pieces: Pieces): void {
    this.#parts.push(pieces)
  }

  *pieces(): Generator<Uint8Array> {
    for (const part of this.#parts) yield* part
  }
}

export function jsonSection(value: unknown): Uint8Array {
  const content = Buffer.from(JSON.stringify(value))
  return Buffer.concat([lengthOf(content), content])
}

export function floatSection(values: Float64Array): Uint8Array[] {
  const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return [lengthOf(content), content]
}

function* listSections(items: readonly unknown[]): Generator<Uint8Array> {
  yield jsonSection(Math.ceil(items.length / ITEMS))
  for (let at = 0; at < items.length; at += ITEMS) yield jsonSection(items.slice(at, at + ITEMS))
}

function lengthOf(content: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(content.length)
  return length
}

export class SnapshotReader {
  version = 0
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

  list<T>(): T[] {
    const items: T[] = []
    for (let parts = this.json() as number; parts > 0; parts--) for (const item of this.json() as T[]) items.push(item)
    return items
  }

  /** What was saved of one definition. */
  definition(): SnapshotReader {
    if (this.version >= FLAT) return this
    const nested = new SnapshotReader(this.#section())
    nested.version = this.version
    return nested
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
