/**
 * How far somebody has come in a log, kept in a small file of its own.
 *
 *   file   0      4096 bytes apart      two slots, written in turn: a torn write harms the older value
 *
 *   slot   0      4         5       8            14           22          30
 *          "SLCU" | version | 0 0 0 | turn u48   | epoch 8    | value u64 | crc32 of the above
 *
 * The sound slot with the higher turn counts. One block is written per change: a temporary file renamed would cost
 * an inode and the directory besides. The value only rises, within one epoch of the log it belongs to.
 */
import { dirname } from 'node:path'
import type { Clock, Timer } from '../clock.ts'
import { crc32 } from './crc32.ts'
import { type Files, readSmall, type WritableFile } from './files.ts'

const MAGIC = 0x534c4355
const VERSION = 1
const SLOT = 34
/** Flash pages and disk sectors are at most this large: a torn one holds one slot. */
const APART = 4096

export interface CursorOptions {
  readonly path: string
  /** Of the log it belongs to: a cursor of another epoch begins at 0. */
  readonly epoch: string
  readonly files: Files
  readonly clock: Clock
  /** A change is written at most this late, ms. Default 1000. */
  readonly interval?: number
  /** Called with what the disk says, and null when it works again. */
  readonly onTrouble?: (error: unknown) => void
}

export interface Cursor {
  /** 0 until it was advanced. */
  readonly value: number
  /** What a crash leaves, at least. */
  readonly durable: number
  /** The file was there, and neither slot was sound: it begins at 0 again. */
  readonly damaged: boolean
  /** Lower values are ignored. Written within `interval`. */
  advance(value: number): void
  /** Writes now; resolves whether it succeeded or not: compare `durable`. It is tried again every `interval`. */
  flush(): Promise<void>
  close(): Promise<void>
}

interface Slot {
  readonly turn: number
  readonly epoch: string
  readonly value: number
}

function encodeSlot({ turn, epoch, value }: Slot): Buffer {
  const bytes = Buffer.alloc(SLOT)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes[4] = VERSION
  bytes.writeUIntBE(turn, 8, 6)
  bytes.write(epoch, 14, 8, 'hex')
  bytes.writeBigUInt64BE(BigInt(value), 22)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 30), 0), 30)
  return bytes
}

function decodeSlot(bytes: Buffer): Slot | null {
  if (bytes.length < SLOT || bytes.readUInt32BE(0) !== MAGIC || bytes[4] !== VERSION) return null
  if (bytes.readUInt32BE(30) !== crc32(bytes.subarray(0, 30), 0)) return null
  return {
    turn: bytes.readUIntBE(8, 6),
    epoch: bytes.toString('hex', 14, 22),
    value: Number(bytes.readBigUInt64BE(22)),
  }
}

/** What a cursor's file says. `value` is null when there is no file, `damaged` when no slot of it is sound. */
export interface StoredCursor {
  readonly epoch: string | null
  readonly value: number | null
  readonly turn: number
  readonly damaged: boolean
}

/** Reads a cursor without touching it; for audits too. */
export async function readCursor(files: Files, path: string): Promise<StoredCursor> {
  const bytes = await readSmall(files, path, APART + SLOT)
  if (bytes === null || bytes.length === 0) return { epoch: null, value: null, turn: 0, damaged: false }
  const slots = [decodeSlot(bytes.subarray(0, SLOT)), decodeSlot(bytes.subarray(APART))]
  const sound = slots.filter((slot) => slot !== null).sort((a, b) => b.turn - a.turn)
  const [newest] = sound
  // The first turn goes to the second slot: until the first slot is written to, a torn write has cost nothing durable.
  if (!newest) return { epoch: null, value: null, turn: 0, damaged: bytes.subarray(0, SLOT).some((b) => b !== 0) }
  return { ...newest, damaged: false }
}

class StoredAdvance implements Cursor {
  value: number
  durable: number
  readonly damaged: boolean
  readonly #o: CursorOptions
  #turn: number
  #file: WritableFile | null = null
  #timer: Timer | null = null
  #writing: Promise<void> | null = null
  #failed = false
  #closed = false

  constructor(options: CursorOptions, value: number, turn: number, damaged: boolean) {
    this.#o = options
    this.value = value
    this.durable = value
    this.damaged = damaged
    this.#turn = turn
  }

  advance(value: number): void {
    if (value <= this.value || this.#closed) return
    this.value = value
    this.#later()
  }

  async flush(): Promise<void> {
    // One write at a time: a write under way may not hold the newest value.
    while (this.#writing !== null) await this.#writing
    if (this.value === this.durable) return
    this.#writing = this.#write()
    await this.#writing
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.flush()
    await this.#file?.close().catch(() => undefined)
    this.#file = null
  }

  #later(): void {
    if (this.#timer !== null || this.#closed) return
    this.#timer = this.#o.clock.after(this.#o.interval ?? 1000, () => {
      this.#timer = null
      void this.flush()
    })
  }

  async #write(): Promise<void> {
    const { value } = this
    const { epoch, onTrouble } = this.#o
    const turn = this.#turn + 1
    try {
      this.#file ??= await this.#open()
      await this.#file.write([encodeSlot({ turn, epoch, value })], (turn % 2) * APART)
      await this.#file.sync()
      if (!this.#file.linked()) throw Object.assign(new Error(`${this.#o.path} was deleted`), { code: 'ENOENT' })
      // Only now: after a failure the same slot is written again, and the other keeps what is durable.
      this.#turn = turn
      this.durable = value
      if (this.#failed) onTrouble?.(null)
      this.#failed = false
    } catch (error) {
      await this.#file?.close().catch(() => undefined)
      this.#file = null
      if (!this.#failed) onTrouble?.(error)
      this.#failed = true
    } finally {
      this.#writing = null
    }
    if (this.value !== this.durable) this.#later()
  }

  async #open(): Promise<WritableFile> {
    const { files, path } = this.#o
    await files.makeDirectory(dirname(path))
    const file = await files.edit(path)
    await files.syncDirectory(dirname(path)).catch(() => undefined)
    return file
  }
}

export async function openCursor(options: CursorOptions): Promise<Cursor> {
  const stored = await readCursor(options.files, options.path).catch(() => null)
  const same = stored?.epoch === options.epoch
  const value = same ? (stored.value ?? 0) : 0
  return new StoredAdvance(options, value, stored?.turn ?? 0, stored?.damaged ?? true)
}
