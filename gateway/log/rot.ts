/**
 * Tells a frame that a byte of was changed from one that was not finished, where recovery need not: at the end of a log
 * that was not closed. Recovery cuts off both; an audit wants to know.
 *
 * A write that a crash or a power cut stopped leaves its end, or whole sectors of it, as they were before: beyond the
 * end of the file, or zeros. A frame that is there to its end, and in which no sector is blank, was written; so was one
 * whose head is sound but for one byte.
 */
import { crc32 } from './crc32.ts'
import type { Torn } from './damage.ts'
import type { Files } from './files.ts'
import { decodeFrameHead, FRAME_HEAD, type FrameHead } from './format.ts'

/** What a disk writes whole, bytes. */
const SECTOR = 512
/** No frame is looked at that is longer, bytes. */
const LIMIT = 4 << 20

export async function isRot(files: Files, { file: path, offset, bytes }: Torn, seed: number): Promise<boolean> {
  const content = Buffer.alloc(Math.min(bytes, LIMIT))
  const file = await files.open(path)
  try {
    if ((await file.read(content, 0, content.length, offset)) < FRAME_HEAD) return false
  } finally {
    await file.close()
  }
  const head = decodeFrameHead(content, 0, seed)
  if (head !== null) return wasFinished(content.subarray(0, FRAME_HEAD + head.length), offset, head)
  const mended = headButForOneByte(content.subarray(0, FRAME_HEAD), seed)
  return mended !== null && crc32(content.subarray(FRAME_HEAD, FRAME_HEAD + mended.length), seed) === mended.bodyCrc
}

function wasFinished(frame: Buffer, offset: number, { length }: FrameHead): boolean {
  if (frame.length < FRAME_HEAD + length || frame.at(-1) === 0) return false
  for (let at = 0; at < frame.length; ) {
    const end = Math.min(frame.length, at + SECTOR - ((offset + at) % SECTOR))
    if (frame.subarray(at, end).every((byte) => byte === 0)) return false
    at = end
  }
  return true
}

function headButForOneByte(head: Buffer, seed: number): FrameHead | null {
  const tried = Buffer.from(head)
  for (let at = 0; at < FRAME_HEAD; at++) {
    const was = tried[at] as number
    for (let other = 0; other < 256; other++) {
      tried[at] = other
      const found = decodeFrameHead(tried, 0, seed)
      if (found !== null) return found
    }
    tried[at] = was
  }
  return null
}
