/**
 * AMQP 1.0 type encoding (part 1, section 1.6), as far as it takes to step over values and to read text and binary.
 * Everything is checked against the end of the buffer, so that nothing a peer sends costs more than its own bytes.
 *
 *     0x00 descriptor value          described
 *     0x4_          0x5_ … 0x9_      no bytes; 1, 2, 4, 8, 16 bytes
 *     0xa_ 0xb_                      size in 1 or 4 bytes, then as many: a0 b0 binary, a1 b1 text, a3 b3 symbol
 *     0xc_ 0xd_                      size, count, values: c0 d0 list, c1 d1 map
 *     0xe_ 0xf_                      size, count, one constructor, values: array
 */

/** The peer sent what is not AMQP 1.0. */
export class MalformedError extends Error {}

const MAX_DEPTH = 16
const WIDTHS = [0, 1, 2, 4, 8, 16]
/** Values without bytes would let an array of a few bytes stand for thousands of millions of values. */
const MAX_EMPTY_VALUES = 1024

/** @returns the offset after the value that begins at `at` */
export function skip(buffer: Buffer, at: number, end: number, depth = 0): number {
  if (at >= end) throw new MalformedError('a value ends too early')
  const code = buffer[at] as number
  if (code !== 0) return skipBody(buffer, code, at + 1, end, depth)
  if (depth >= MAX_DEPTH) throw new MalformedError('values are nested too deep')
  return skip(buffer, skip(buffer, at + 1, end, depth + 1), end, depth + 1)
}

function skipBody(buffer: Buffer, code: number, at: number, end: number, depth: number): number {
  const kind = code >> 4
  const width = WIDTHS[kind - 4]
  if (width !== undefined) return within(at + width, end)
  if (kind < 0xa) throw new MalformedError(`0x${code.toString(16)} is no type`)
  const wide = (kind & 1) === 1
  const start = within(at + (wide ? 4 : 1), end)
  const after = within(start + (wide ? buffer.readUInt32BE(at) : (buffer[at] as number)), end)
  if (kind >= 0xc) skipCompound(buffer, kind, start, after, wide, depth)
  return after
}

function skipCompound(buffer: Buffer, kind: number, at: number, end: number, wide: boolean, depth: number): void {
  if (depth >= MAX_DEPTH) throw new MalformedError('values are nested too deep')
  let next = within(at + (wide ? 4 : 1), end)
  const count = wide ? buffer.readUInt32BE(at) : (buffer[at] as number)
  if (kind < 0xe) {
    for (let i = 0; i < count; i++) next = skip(buffer, next, end, depth + 1)
    return
  }
  if (next === end && count === 0) return
  while (next < end && buffer[next] === 0) next = skip(buffer, next + 1, end, depth + 1)
  const code = buffer[within(next + 1, end) - 1] as number
  next++
  if (code >> 4 === 4 && count > MAX_EMPTY_VALUES) throw new MalformedError('an array has too many values')
  for (let i = 0; i < count; i++) next = skipBody(buffer, code, next, end, depth + 1)
}

function within(at: number, end: number): number {
  if (at > end) throw new MalformedError('a value ends too early')
  return at
}

export interface List {
  /** Offset of the first value. */
  readonly at: number
  readonly count: number
}

/** The list at `at`; its values lie before `skip` of the same offset. */
export function openList(buffer: Buffer, at: number, end: number): List {
  within(at + 1, end)
  const code = buffer[at]
  if (code === 0x45) return { at: at + 1, count: 0 }
  if (code === 0xc0) return { at: within(at + 3, end), count: buffer[at + 2] as number }
  if (code === 0xd0) return { at: within(at + 9, end), count: buffer.readUInt32BE(at + 5) }
  throw new MalformedError('a list is missing')
}

/** The number of a descriptor at `at`, which is where its 0x00 stands; -1 when it is a symbol. */
export function descriptorOf(buffer: Buffer, at: number, end: number): number {
  within(at + 3, end)
  if (buffer[at] !== 0) throw new MalformedError('a descriptor is missing')
  const code = buffer[at + 1]
  if (code === 0x53) return buffer[at + 2] as number
  if (code === 0x44) return 0
  if (code === 0x80) {
    within(at + 10, end)
    return buffer.readUInt32BE(at + 2) === 0 ? buffer.readUInt32BE(at + 6) : -1
  }
  return -1
}

/** Where the bytes of the binary, text or symbol at `at` begin; they end at `skip`. -1 when it is of another type. */
function bytesAt(buffer: Buffer, at: number, end: number): number {
  within(at + 1, end)
  const kind = (buffer[at] as number) >> 4
  return kind === 0xa ? at + 2 : kind === 0xb ? at + 5 : -1
}

/** Bytes of the binary, text or symbol at `at`; undefined when it is of another type. */
export function bytesOf(buffer: Buffer, at: number, end: number): Buffer | undefined {
  const start = bytesAt(buffer, at, end)
  return start < 0 ? undefined : buffer.subarray(start, skip(buffer, at, end))
}

/** The text of the text, symbol or binary at `at`; undefined when it is of another type or empty. */
export function textAt(buffer: Buffer, at: number, end: number): string | undefined {
  const start = bytesAt(buffer, at, end)
  const after = skip(buffer, at, end)
  return start < 0 || start === after ? undefined : buffer.toString('utf8', start, after)
}

/** The uint at `at`: 43 is 0, 52 one byte, 70 four. */
export function unsigned(buffer: Buffer, at: number): number {
  if (buffer[at] === 0x43) return 0
  if (buffer[at] === 0x52) return buffer[at + 1] as number
  if (buffer[at] === 0x70) return buffer.readUInt32BE(at + 1)
  throw new MalformedError('a number is missing')
}
