/**
 * Stands between a socket and the AMQP library, which takes any frame size, joins any number of parts of a message and
 * believes counts. Only whole frames of allowed size whose performative is sound go through (AMQP 1.0 part 2, 2.3):
 *
 *     size (4) | data offset in words (1) | type (1) | channel (2) | performative | payload
 */
import { descriptorOf, MalformedError, openList, skip } from '../types.ts'

export interface Guard {
  /**
   * @param deliver is given whole frames, valid during the call
   * @throws MalformedError the connection must end
   */
  push(chunk: Buffer, deliver: (frames: Buffer) => void): void
}

export interface GuardLimits {
  /** Bytes. */
  readonly frame: number
  /** Bytes of one message in all its frames. */
  readonly message: number
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
/** Places in the list of a transfer. */
const HANDLE = 0
const MORE = 5
const ABORTED = 9
/** Messages of which only a part is there, at a time. */
const MAX_PARTIAL = 8

export function createGuard(limits: GuardLimits): Guard {
  const partial = new Map<string, number>()
  let waiting: Buffer[] = []
  let have = 0
  let need = HEADER

  /** @returns bytes of the frame at `at`, or 0 when its size is not there yet */
  const sizeAt = (buffer: Buffer, at: number): number => {
    if (buffer.length - at < HEADER) return 0
    const size = buffer.readUInt32BE(at)
    if (size === PROTOCOL) return HEADER
    if (size < HEADER || size > limits.frame) throw new MalformedError(`a frame of ${size} bytes`)
    return size
  }

  const check = (buffer: Buffer, at: number, end: number): void => {
    if (buffer.readUInt32BE(at) === PROTOCOL) return
    const start = at + 4 * (buffer[at + 4] as number)
    if (start < at + HEADER || start > end) throw new MalformedError('a frame begins beyond its end')
    if (start === end) return
    const descriptor = descriptorOf(buffer, start, end)
    if (descriptor < 0) throw new MalformedError('a performative without a number')
    const list = skip(buffer, start + 1, end)
    const payload = skip(buffer, list, end)
    if (descriptor === DISPOSITION) checkRange(buffer, list, payload)
    if (descriptor === TRANSFER) count(buffer, buffer.readUInt16BE(at + 6), list, payload, end)
  }

  const count = (buffer: Buffer, channel: number, list: number, payload: number, end: number): void => {
    const { at: first, count: fields } = openList(buffer, list, payload)
    let handle = ''
    let more = false
    for (let at = first, i = 0; i < fields; i++) {
      const next = skip(buffer, at, payload)
      if (i === HANDLE) handle = buffer.toString('latin1', at, next)
      else if (i === MORE) more = isTrue(buffer, at)
      else if (i === ABORTED && isTrue(buffer, at)) throw new MalformedError('an aborted transfer')
      at = next
    }
    if (end - payload > limits.message) throw new MalformedError(`a message of more than ${limits.message} bytes`)
    if (!more && partial.size === 0) return
    const key = `${channel}/${handle}`
    const bytes = (partial.get(key) ?? 0) + end - payload
    if (bytes > limits.message) throw new MalformedError(`a message of more than ${limits.message} bytes`)
    if (more) partial.set(key, bytes)
    else partial.delete(key)
    if (partial.size > MAX_PARTIAL) throw new MalformedError('too many messages in parts at a time')
  }

  return {
    push(chunk, deliver) {
      have += chunk.length
      if (have < need) {
        waiting.push(chunk)
        return
      }
      const buffer = waiting.length === 0 ? chunk : Buffer.concat([...waiting, chunk], have)
      let at = 0
      for (;;) {
        const size = sizeAt(buffer, at)
        need = size === 0 ? HEADER : size
        if (size === 0 || at + size > buffer.length) break
        check(buffer, at, at + size)
        at += size
      }
      if (at > 0) deliver(at === buffer.length ? buffer : buffer.subarray(0, at))
      have = buffer.length - at
      waiting = have === 0 ? [] : [buffer.subarray(at)]
    },
  }
}

function isTrue(buffer: Buffer, at: number): boolean {
  return buffer[at] === 0x41 || (buffer[at] === 0x56 && buffer[at + 1] === 1)
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

/** A uint: 43 is 0, 52 one byte, 70 four. */
function unsigned(buffer: Buffer, at: number): number {
  if (buffer[at] === 0x43) return 0
  if (buffer[at] === 0x52) return buffer[at + 1] as number
  if (buffer[at] === 0x70) return buffer.readUInt32BE(at + 1)
  throw new MalformedError('a number is missing')
}
