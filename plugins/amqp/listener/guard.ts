/**
 * Stands between a socket and the AMQP library, which takes any frame size and believes counts. Only whole frames of
 * allowed size whose performative is sound go on (AMQP 1.0 part 2, 2.3): transfers to the lane, the rest to the library.
 *
 *     size (4) | data offset in words (1) | type (1) | channel (2) | performative | payload
 */
import { descriptorOf, MalformedError, openList, skip, unsigned } from '../types.ts'
import { emptyTransfer, readTransfer, type Transfer } from './transfer.ts'

export interface Guard {
  /** @throws MalformedError the connection must end */
  push(chunk: Buffer): void
}

export interface GuardOptions {
  /** Bytes of the longest frame. */
  readonly frame: number
  /** Whole frames for the library, in the order in which they came; valid during the call. */
  readonly frames: (frames: Buffer) => void
  /** A transfer, in its place between them. The payload, `[start, end)`, is not written over later. @throws MalformedError */
  readonly transfer: (transfer: Transfer, buffer: Buffer, start: number, end: number) => void
}

const HEADER = 8
/** "AMQP", where the size of a frame would be: a protocol header. */
const PROTOCOL = 0x414d5150
const TRANSFER = 0x14
const DISPOSITION = 0x15
/** Places in the list of a disposition. */
const FIRST = 1
const LAST = 2
/** The library walks through all deliveries of a disposition, whether they exist or not. */
const MAX_RANGE = 65_536

export function createGuard({ frame: limit, frames, transfer }: GuardOptions): Guard {
  const found = emptyTransfer()
  let waiting: Buffer[] = []
  let have = 0
  let need = HEADER

  /** @returns bytes of the frame at `at`, or 0 when its size is not there yet */
  const sizeAt = (buffer: Buffer, at: number): number => {
    if (buffer.length - at < HEADER) return 0
    const size = buffer.readUInt32BE(at)
    if (size === PROTOCOL) return HEADER
    if (size < HEADER || size > limit) throw new MalformedError(`a frame of ${size} bytes`)
    return size
  }

  /** @returns where the payload of a transfer begins, which is in `found` then; -1 for other frames */
  const check = (buffer: Buffer, at: number, end: number): number => {
    if (buffer.readUInt32BE(at) === PROTOCOL) return -1
    const start = at + 4 * (buffer[at + 4] as number)
    if (start < at + HEADER || start > end) throw new MalformedError('a frame begins beyond its end')
    if (start === end) return -1
    const descriptor = descriptorOf(buffer, start, end)
    if (descriptor < 0) throw new MalformedError('a performative without a number')
    const list = skip(buffer, start + 1, end)
    const payload = skip(buffer, list, end)
    if (descriptor === DISPOSITION) checkRange(buffer, list, payload)
    if (descriptor !== TRANSFER) return -1
    readTransfer(found, buffer, buffer.readUInt16BE(at + 6), list, payload)
    return payload
  }

  /** @returns how much of the buffer was whole frames */
  const cut = (buffer: Buffer): number => {
    let from = 0
    let at = 0
    for (;;) {
      const size = sizeAt(buffer, at)
      need = size === 0 ? HEADER : size
      if (size === 0 || at + size > buffer.length) break
      const payload = check(buffer, at, at + size)
      if (payload >= 0) {
        if (from < at) frames(buffer.subarray(from, at))
        from = at + size
        transfer(found, buffer, payload, from)
      }
      at += size
    }
    if (from < at) frames(buffer.subarray(from, at))
    return at
  }

  return {
    push(chunk) {
      have += chunk.length
      if (have < need) {
        waiting.push(chunk)
        return
      }
      const buffer = waiting.length === 0 ? chunk : Buffer.concat([...waiting, chunk], have)
      const at = cut(buffer)
      have = buffer.length - at
      waiting = have === 0 ? [] : [buffer.subarray(at)]
    },
  }
}

function checkRange(buffer: Buffer, list: number, end: number): void {
  const { at: start, count } = openList(buffer, list, end)
  let first = 0
  let last = 0
  for (let at = start, i = 0; i < count && i <= LAST; i++) {
    const next = skip(buffer, at, end)
    if (i === FIRST) {
      first = unsigned(buffer, at)
      last = first
    } else if (i === LAST && buffer[at] !== 0x40) last = unsigned(buffer, at)
    at = next
  }
  if (last - first > MAX_RANGE) throw new MalformedError('a disposition of too many deliveries')
}
