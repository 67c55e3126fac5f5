/**
 * The bytes of a log, version 2. Big-endian. `log.ts` says what they promise.
 *
 *   log directory    epoch                     the log's identity, as below
 *                    0000000000000001.seg      a segment, named after its first record's number
 *                    0000000000004711.seg
 *                    0000000000004711-1.seg    begun again after trouble: replaces the one above from 4711 on
 *                    0000000000000815.seg.corrupt   quarantined, never read
 *
 *   segment          header | frame | frame | … | 0 0 0   a frame for each group commit (more when it is large);
 *                                                     zeros may follow while it grows, and after a crash
 *
 *   segment header   0          8         9       10    12           28         36        44      48
 *                    "SLUICELG" | version | flags | 0 0 | identity 16 | first u64 | time u64 | crc32 of the above
 *
 *   frame            0        4            8          12       16          20      24
 *                    marker  | head crc32 | body crc32 | length | raw length | count | unsynced
 *                    28        32          40         48          50         56
 *                    unmarked | first u64 | mark u64 | flags u16 | time u48 | body, `length` bytes
 *
 *   body             count times: length (LEB128, 1 to 4 bytes) | record       deflated (RFC 1951) when flags has DEFLATED
 *
 *   epoch            "SLUICEID" | version | 0 0 0 | identity 16 | crc32
 *
 * - The first 48 bytes of a segment keep this layout in every version: a newer one is recognised, not taken for damage.
 * - AFTER_TROUBLE in a segment's flags: what the segment before holds beyond this one's `first` was given up.
 * - The head's CRC covers the head from `body crc32` on, so that a flipped length sends nobody astray.
 * - Both CRCs of a frame start from the CRC of the identity. Its second half is told to nobody, so no payload can hold
 *   bytes that pass for a frame of this log, and no frame of another log passes either.
 * - The marker holds bytes that never occur in UTF-8.
 * - `first` is the number of the frame's first record, `unsynced` how many records before it were not known to be
 *   durable when it was made, `time` the wall clock in ms when its first record came.
 * - `mark` is the last value its owner set, also when that was in an earlier frame; `unmarked` says how many records,
 *   counted back from the frame's last, the mark does not cover. A frame of no records carries a mark, or CLOSED in
 *   flags: everything before it is durable.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from './crc32.ts'

/** Of segments. 2: records of a journal refer to the first of their frame; the layout is that of 1. */
export const VERSION = 2
/** Of the file that holds the identity. */
export const IDENTITY_VERSION = 1
export const SEGMENT_HEAD = 48
export const FRAME_HEAD = 56
/** Begun because the segment before was given up: bytes at that one's end that are not sound are no damage. */
export const AFTER_TROUBLE = 1
/** The body is deflated. */
export const DEFLATED = 1
/** Everything before this frame is durable: the log was closed. */
export const CLOSED = 2
/** No record is longer, bytes. */
export const MAX_RECORD = 64 * 1024 * 1024
/** No body is longer, deflated or not: more is not believed, whatever the CRC says. */
const MAX_BODY = MAX_RECORD + 1024 * 1024

const SEGMENT_MAGIC = Buffer.from('SLUICELG', 'latin1')
const IDENTITY_MAGIC = Buffer.from('SLUICEID', 'latin1')
export const MARKER = Buffer.from([0xf5, 0xc0, 0xfa, 0xff])
const MARKER_WORD = MARKER.readUInt32BE(0)
const UNSIGNED_32 = 0xffff_ffff

/** Who a log is. */
export interface Identity {
  /** 16 random bytes: the epoch, and a half that is told to nobody. */
  readonly bytes: Buffer
  /** 16 hexadecimal digits. */
  readonly epoch: string
  /** What the CRCs of its frames start from. */
  readonly seed: number
}

export function identityOf(bytes: Buffer): Identity {
  return { bytes, epoch: bytes.toString('hex', 0, 8), seed: crc32(bytes, 0) }
}

export function newIdentity(): Identity {
  return identityOf(randomBytes(16))
}

export interface SegmentHead {
  readonly version: number
  readonly flags: number
  readonly identity: Identity
  readonly first: number
  /** Wall clock when its first record came, ms since the epoch. */
  readonly time: number
}

export interface FrameHead {
  readonly bodyCrc: number
  /** Bytes of the body as stored. */
  readonly length: number
  /** Bytes of the body when inflated. */
  readonly rawLength: number
  readonly count: number
  readonly unsynced: number
  readonly unmarked: number
  readonly first: number
  readonly mark: number
  readonly flags: number
  readonly time: number
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  bytes.writeUInt32BE(value >>> 0, at + 4)
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)
}

export function encodeIdentity(identity: Identity): Buffer {
  const bytes = Buffer.alloc(32)
  IDENTITY_MAGIC.copy(bytes)
  bytes[8] = IDENTITY_VERSION
  identity.bytes.copy(bytes, 12)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 28), 0), 28)
  return bytes
}

/** @returns null when these are not the bytes of an identity */
export function decodeIdentity(bytes: Buffer): Identity | null {
  if (bytes.length < 32 || bytes.compare(IDENTITY_MAGIC, 0, 8, 0, 8) !== 0) return null
  if (bytes.readUInt32BE(28) !== crc32(bytes.subarray(0, 28), 0)) return null
  return identityOf(Buffer.from(bytes.subarray(12, 28)))
}

export function encodeSegmentHead({ identity, flags, first, time }: Omit<SegmentHead, 'version'>): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEAD)
  SEGMENT_MAGIC.copy(bytes)
  bytes[8] = VERSION
  bytes[9] = flags
  identity.bytes.copy(bytes, 12)
  writeU64(bytes, first, 28)
  writeU64(bytes, Math.max(0, Math.floor(time)), 36)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 44), 0), 44)
  return bytes
}

/** @returns null when these are not the first bytes of a segment, or not as they were written */
export function decodeSegmentHead(bytes: Buffer): SegmentHead | null {
  if (bytes.length < SEGMENT_HEAD || bytes.compare(SEGMENT_MAGIC, 0, 8, 0, 8) !== 0) return null
  if (bytes.readUInt32BE(44) !== crc32(bytes.subarray(0, 44), 0)) return null
  return {
    version: bytes[8] as number,
    flags: bytes[9] as number,
    identity: identityOf(Buffer.from(bytes.subarray(12, 28))),
    first: readU64(bytes, 28),
    time: readU64(bytes, 36),
  }
}

/** Writes a frame's head in front of its body; `head.bodyCrc` must be right. */
export function encodeFrameHead(bytes: Buffer, seed: number, head: FrameHead): void {
  bytes.writeUInt32BE(MARKER_WORD, 0)
  bytes.writeUInt32BE(head.bodyCrc, 8)
  bytes.writeUInt32BE(head.length, 12)
  bytes.writeUInt32BE(head.rawLength, 16)
  bytes.writeUInt32BE(head.count, 20)
  bytes.writeUInt32BE(Math.min(head.unsynced, UNSIGNED_32), 24)
  bytes.writeUInt32BE(Math.min(head.unmarked, UNSIGNED_32), 28)
  writeU64(bytes, head.first, 32)
  writeU64(bytes, head.mark, 40)
  bytes.writeUInt16BE(head.flags, 48)
  bytes.writeUIntBE(Math.max(0, Math.floor(head.time)), 50, 6)
  bytes.writeUInt32BE(crc32(bytes.subarray(8, FRAME_HEAD), seed), 4)
}

/** @returns null when no frame of this log begins at `at`; there must be FRAME_HEAD bytes */
export function decodeFrameHead(bytes: Buffer, at: number, seed: number): FrameHead | null {
  if (bytes.readUInt32BE(at) !== MARKER_WORD) return null
  if (bytes.readUInt32BE(at + 4) !== crc32(bytes.subarray(at + 8, at + FRAME_HEAD), seed)) return null
  const head = {
    bodyCrc: bytes.readUInt32BE(at + 8),
    length: bytes.readUInt32BE(at + 12),
    rawLength: bytes.readUInt32BE(at + 16),
    count: bytes.readUInt32BE(at + 20),
    unsynced: bytes.readUInt32BE(at + 24),
    unmarked: bytes.readUInt32BE(at + 28),
    first: readU64(bytes, at + 32),
    mark: readU64(bytes, at + 40),
    flags: bytes.readUInt16BE(at + 48),
    time: bytes.readUIntBE(at + 50, 6),
  }
  return head.length > MAX_BODY || head.rawLength > MAX_BODY || head.count > head.rawLength ? null : head
}

/** Bytes that a record of `length` bytes takes in a body. */
export function recordSize(length: number): number {
  if (length < 0x80) return length + 1
  if (length < 0x4000) return length + 2
  return length < 0x20_0000 ? length + 3 : length + 4
}

/** Writes a record's length at `at` and returns where the record goes. */
export function writeRecordLength(bytes: Buffer, at: number, length: number): number {
  while (length >= 0x80) {
    bytes[at++] = length | 0x80
    length >>>= 7
  }
  bytes[at++] = length
  return at
}

/**
 * Where the records of a body are.
 *
 * @returns start and end of each in turn, or null when the body does not hold `count` records
 */
export function recordBounds(body: Buffer, count: number): Uint32Array | null {
  const bounds = new Uint32Array(count * 2)
  let at = 0
  for (let i = 0; i < count; i++) {
    let length = 0
    let shift = 0
    let byte: number
    do {
      if (at >= body.length || shift > 21) return null
      byte = body[at++] as number
      length |= (byte & 0x7f) << shift
      shift += 7
    } while (byte >= 0x80)
    bounds[2 * i] = at
    at += length
    if (at > body.length) return null
    bounds[2 * i + 1] = at
  }
  return at === body.length ? bounds : null
}

/** Name of the file that holds the identity. */
export const IDENTITY_FILE = 'epoch'
const SEGMENT_NAME = /^(\d{16})(?:-(\d{1,9}))?\.seg$/

export function segmentName(first: number, attempt: number): string {
  return `${String(first).padStart(16, '0')}${attempt > 0 ? `-${attempt}` : ''}.seg`
}

/** @returns null when this is not the name of a segment */
export function parseSegmentName(name: string): { first: number; attempt: number } | null {
  const match = SEGMENT_NAME.exec(name)
  return match ? { first: Number(match[1]), attempt: Number(match[2] ?? 0) } : null
}
