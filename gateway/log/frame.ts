/** A frame while it is in memory: filled, sealed, written, and kept until it is durable. */
import { promisify } from 'node:util'
import { deflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib'
import { crc32 } from './crc32.ts'
import { CLOSED, DEFLATED, encodeFrameHead, FRAME_HEAD, type FrameHead } from './format.ts'

const deflateElsewhere = promisify(deflateRaw)

import type { ScannedFrame } from './scan.ts'

/** A frame is cut at this many bytes: what one flipped bit can cost. */
export const FRAME_BYTES = 262_144
/** Bodies shorter than this are not worth deflating. */
const MIN_DEFLATED = 128
/** Bodies longer than this are deflated by another thread: a shorter one takes less time than asking for that. */
const MAX_AT_ONCE = 16_384

export interface Frame {
  readonly buffer: Buffer
  /** Bytes used, head included. */
  used: number
  /** Bytes that may be used; 0 until the frame is begun. */
  limit: number
  first: number
  count: number
  /** Wall clock when it was begun, ms. */
  time: number
  mark: number
  /** Number after the last record that `mark` covers. */
  markedTo: number
  /** Somebody waits until it is durable; otherwise it is synced with those that come later. */
  sync: boolean
  /** It says that everything before it is durable. */
  closed: boolean
  /** What goes to the disk; null until sealed. */
  parts: readonly Buffer[] | null
  /** Bytes of `parts`. */
  size: number
}

export function createFrame(buffer: Buffer): Frame {
  return {
    buffer,
    used: FRAME_HEAD,
    limit: 0,
    first: 0,
    count: 0,
    time: 0,
    mark: 0,
    markedTo: 0,
    sync: false,
    closed: false,
    parts: null,
    size: 0,
  }
}

/** A frame as it was found on disk, to be written again. */
export function frameOf({ head, bytes }: ScannedFrame): Frame {
  const { first, count, mark, unmarked } = head
  const markedTo = mark === 0 ? 1 : first + count - unmarked
  const { length } = bytes
  return { ...createFrame(bytes), used: length, first, count, mark, markedTo, sync: true, parts: [bytes], size: length }
}

function deflate(raw: Buffer): Buffer | Promise<Buffer> {
  return raw.length > MAX_AT_ONCE ? deflateElsewhere(raw, { level: 1 }) : deflateRawSync(raw, { level: 1 })
}

/** Gives the frame its head, its CRCs and, if that makes it smaller, a deflated body. */
export async function sealFrame(frame: Frame, seed: number, durable: number, compress: boolean): Promise<void> {
  const raw = frame.buffer.subarray(FRAME_HEAD, frame.used)
  const deflated = compress && raw.length >= MIN_DEFLATED ? await deflate(raw) : raw
  const smaller = deflated.length < raw.length
  const body = smaller ? deflated : raw
  encodeFrameHead(frame.buffer, seed, {
    bodyCrc: crc32(body, seed),
    length: body.length,
    rawLength: raw.length,
    count: frame.count,
    unsynced: frame.first - 1 - durable,
    unmarked: frame.mark === 0 ? 0 : frame.first + frame.count - frame.markedTo,
    first: frame.first,
    mark: frame.mark,
    flags: (smaller ? DEFLATED : 0) | (frame.closed ? CLOSED : 0),
    time: frame.time,
  })
  frame.parts = smaller ? [frame.buffer.subarray(0, FRAME_HEAD), body] : [frame.buffer.subarray(0, frame.used)]
  frame.size = FRAME_HEAD + body.length
}

/** A stored body's records. Null when it cannot be inflated to what its head says. */
export function rawBody(head: FrameHead, body: Buffer): Buffer | null {
  if ((head.flags & DEFLATED) === 0) return body
  try {
    // One chunk that is not filled to its end: several would be put together, which takes the memory twice.
    const options = { maxOutputLength: Math.max(1, head.rawLength), chunkSize: Math.max(64, head.rawLength + 1) }
    const raw = inflateRawSync(body, options)
    return raw.length === head.rawLength ? raw : null
  } catch {
    return null
  }
}

/** Buffers of FRAME_BYTES for frames, used again, so that a busy log allocates nothing per commit. */
export interface FramePool {
  /** @param bytes head included */
  take(bytes: number): Frame
  give(frame: Frame): void
  /** The same frame, sealed as it is, in a buffer that is no larger than it. */
  exchange(frame: Frame): Frame
}

export function createFramePool(keep: number): FramePool {
  const spare: Buffer[] = []
  const give = ({ buffer }: Frame) => {
    if (buffer.length === FRAME_BYTES && spare.length < keep) spare.push(buffer)
  }
  return {
    give,
    take(bytes) {
      if (bytes > FRAME_BYTES) return createFrame(Buffer.allocUnsafeSlow(bytes))
      return createFrame(spare.pop() ?? Buffer.allocUnsafeSlow(FRAME_BYTES))
    },
    exchange(frame) {
      const bytes = Buffer.concat(frame.parts ?? [])
      give(frame)
      return { ...frame, buffer: bytes, parts: [bytes] }
    },
  }
}
