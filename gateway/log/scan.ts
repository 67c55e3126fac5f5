/**
 * Walks the frames of one segment file, past damage.
 *
 *   frame whose head and body are sound      → 'frame'
 *   sound head, unsound body                 → its length is right: go on after it
 *   unsound head                             → search for the next marker whose head is sound
 *   all that lies between two sound frames   → one 'damage', with what the sound heads in it testify
 *
 * `next` is synchronous and says MORE when bytes are missing, so that the many frames of one chunk cost no promise.
 */
import { crc32 } from './crc32.ts'
import type { ReadableFile } from './files.ts'
import { decodeFrameHead, FRAME_HEAD, type FrameHead, MARKER } from './format.ts'

/** Bytes read at once. */
const CHUNK = 262_144

export interface ScannedFrame {
  readonly kind: 'frame'
  readonly offset: number
  /** Where the next frame begins. */
  readonly end: number
  readonly head: FrameHead
  /** As stored, memory of its own: head and body, and the body alone. */
  readonly bytes: Buffer
  readonly body: Buffer
}

export interface ScannedDamage {
  readonly kind: 'damage'
  readonly offset: number
  readonly end: number
  /** Heads that are sound though their body is not, or is cut off. */
  readonly heads: readonly FrameHead[]
}

export const MORE = 'more'
export type Scanned = ScannedFrame | ScannedDamage | typeof MORE | null

export class Scanner {
  readonly #file: ReadableFile
  readonly #seed: number
  /** Where the next look is taken. */
  offset: number
  /** Where the bytes end that may be looked at. */
  end: number
  /** Bytes that the disk would not give; they count as damaged. */
  unreadable = 0
  #chunk: Buffer = Buffer.alloc(0)
  #chunkStart = 0
  #wanted = 0
  #badFrom = -1
  #heads: FrameHead[] = []

  constructor(file: ReadableFile, seed: number, offset: number, end: number) {
    this.#file = file
    this.#seed = seed
    this.offset = offset
    this.end = end
  }

  /** The next frame or damaged stretch; MORE: call `fill`, then again; null at the end. */
  next(): Scanned {
    for (;;) {
      const left = this.end - this.offset
      if (left < FRAME_HEAD) {
        if (left > 0) this.#bad(this.end)
        return this.#badFrom < 0 ? null : this.#damage()
      }
      if (!this.#has(FRAME_HEAD)) return MORE
      const head = decodeFrameHead(this.#chunk, this.offset - this.#chunkStart, this.#seed)
      if (head === null) {
        this.#bad(this.#nextMarker())
        continue
      }
      const size = FRAME_HEAD + head.length
      if (size > left) {
        this.#heads.push(head)
        this.#bad(this.end)
        continue
      }
      if (!this.#has(size)) return MORE
      const at = this.offset - this.#chunkStart + FRAME_HEAD
      const body = this.#chunk.subarray(at, at + head.length)
      if (crc32(body, this.#seed) !== head.bodyCrc) {
        this.#heads.push(head)
        this.#bad(this.offset + size)
        continue
      }
      if (this.#badFrom >= 0) return this.#damage()
      const offset = this.offset
      this.offset += size
      const bytes = this.#chunk.subarray(at - FRAME_HEAD, at + head.length)
      return { kind: 'frame', offset, end: this.offset, head, bytes, body }
    }
  }

  /** Reads what `next` lacked. */
  async fill(): Promise<void> {
    const held = Math.max(0, this.#chunkStart + this.#chunk.length - this.offset)
    const length = Math.min(Math.max(CHUNK, this.#wanted), this.end - this.offset)
    // Fresh memory each time: bodies that were handed out stay valid.
    const chunk = Buffer.allocUnsafeSlow(length)
    if (held > 0) this.#chunk.copy(chunk, 0, this.#chunk.length - held)
    const taken = await this.#read(chunk, held)
    // The file is shorter than was thought: cut off underneath.
    if (taken < length) this.end = this.offset + taken
    this.#chunk = chunk.subarray(0, taken)
    this.#chunkStart = this.offset
  }

  async #read(chunk: Buffer, held: number): Promise<number> {
    try {
      return held + (await this.#file.read(chunk, held, chunk.length - held, this.offset + held))
    } catch {
      // A sector that cannot be read is damage like any other; what lies behind it may be sound.
      chunk.fill(0, held)
      this.unreadable += chunk.length - held
      return chunk.length
    }
  }

  #has(length: number): boolean {
    const start = this.offset - this.#chunkStart
    if (start >= 0 && start + length <= this.#chunk.length) return true
    this.#wanted = length
    return false
  }

  #bad(next: number): void {
    if (this.#badFrom < 0) this.#badFrom = this.offset
    this.offset = next
  }

  #damage(): ScannedDamage {
    const damage = { kind: 'damage' as const, offset: this.#badFrom, end: this.offset, heads: this.#heads }
    this.#badFrom = -1
    this.#heads = []
    return damage
  }

  /** Where a marker begins after `offset` in the chunk, or as far as none begins. */
  #nextMarker(): number {
    const found = this.#chunk.indexOf(MARKER, this.offset - this.#chunkStart + 1)
    if (found >= 0) return this.#chunkStart + found
    return Math.max(this.offset + 1, this.#chunkStart + this.#chunk.length - MARKER.length + 1)
  }
}

/** The next frame or damaged stretch, with what reading it takes; null at the end. */
export async function nextScanned(scanner: Scanner): Promise<ScannedFrame | ScannedDamage | null> {
  for (;;) {
    const scanned = scanner.next()
    if (scanned !== MORE) return scanned
    await scanner.fill()
  }
}
