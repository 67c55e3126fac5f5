/**
 * A CoAP message on the wire (RFC 7252 §3):
 *
 *      0                   1                   2                   3
 *     |Ver| T |  TKL  |      Code     |          Message ID           |   Ver 1; T: CON 0, NON 1, ACK 2, RST 3
 *     |   Token (TKL bytes, 0–8) …                                    |
 *     |   Options …                                                   |   delta(4) length(4) [delta] [length] value
 *     |1 1 1 1 1 1 1 1|    Payload …                                  |   the marker only before a payload
 *
 * Decoding is strict: whatever §3 calls a message format error is one. Nothing is copied: token, option values and
 * payload are views of the datagram.
 */

export const CON = 0
export const NON = 1
export const ACK = 2
export const RST = 3
export type MessageType = typeof CON | typeof NON | typeof ACK | typeof RST

/** Code 0.00: an empty message. */
export const EMPTY = 0

export interface Option {
  readonly number: number
  readonly value: Buffer
}

export interface CoapMessage {
  readonly type: MessageType
  /** Class in the upper three bits, detail in the lower five: 2.05 is 0x45. */
  readonly code: number
  /** 0–65535 */
  readonly id: number
  /** 0–8 bytes */
  readonly token: Buffer
  /** In ascending order of their numbers. Made when they are asked for; `readOption` makes nothing. */
  readonly options: readonly Option[]
  readonly payload: Buffer
  /** The whole datagram, and where in it the options are. */
  readonly data: Buffer
  readonly optionsStart: number
  readonly optionsEnd: number
}

export const NOTHING = Buffer.alloc(0)
export const NO_OPTIONS: readonly Option[] = Object.freeze([])
const PAYLOAD_MARKER = 0xff
const HEADER = 4

/** A code as people write it, e.g. `2.05`. */
export function codeText(code: number): string {
  return `${code >> 5}.${String(code & 31).padStart(2, '0')}`
}

/** True for codes 0.01–0.31. */
export function isRequest(code: number): boolean {
  return code > 0 && code < 32
}

class Received implements CoapMessage {
  readonly data: Buffer
  readonly optionsStart: number
  readonly optionsEnd: number
  #options: readonly Option[] | undefined

  constructor(data: Buffer, optionsStart: number, optionsEnd: number) {
    this.data = data
    this.optionsStart = optionsStart
    this.optionsEnd = optionsEnd
  }

  get type(): MessageType {
    return (((this.data[0] as number) >> 4) & 3) as MessageType
  }

  get code(): number {
    return this.data[1] as number
  }

  get id(): number {
    return ((this.data[2] as number) << 8) | (this.data[3] as number)
  }

  get token(): Buffer {
    return this.optionsStart === HEADER ? NOTHING : this.data.subarray(HEADER, this.optionsStart)
  }

  get options(): readonly Option[] {
    this.#options ??= optionsOf(this.data, this.optionsStart, this.optionsEnd)
    return this.#options
  }

  get payload(): Buffer {
    return this.optionsEnd === this.data.length ? NOTHING : this.data.subarray(this.optionsEnd + 1)
  }
}

/** The message in a datagram, or why it is not one (a message format error, RFC 7252 §3 and §4.2). */
export function decode(data: Buffer): CoapMessage | string {
  if (data.length < HEADER) return 'shorter than a header'
  const first = data[0] as number
  if (first >> 6 !== 1) return 'not version 1'
  const tokenLength = first & 15
  if (tokenLength > 8) return 'token length is reserved'
  const code = data[1] as number
  const codeClass = code >> 5
  if (codeClass === 1 || codeClass > 5) return 'class of the code is reserved'
  if (code === EMPTY && data.length > HEADER) return 'empty message with more than a header'
  const start = HEADER + tokenLength
  if (start > data.length) return 'token is cut off'
  const cursor = optionsAt(start)
  while (readOption(data, cursor, data.length)) {}
  if (cursor.broken) return 'option is cut off or uses a reserved length'
  if (cursor.next + 1 === data.length) return 'payload marker without a payload'
  return new Received(data, start, cursor.next)
}

/** Where one is in a list of options. */
export interface OptionCursor {
  number: number
  /** Of the value. */
  start: number
  end: number
  /** Where the next option, the payload marker or the end is. */
  next: number
  broken: boolean
}

export function optionsAt(position: number): OptionCursor {
  return { number: 0, start: position, end: position, next: position, broken: false }
}

/** Goes to the next option. False at the payload marker, at the end, and where an option is malformed: then it is `broken`. */
export function readOption(data: Buffer, cursor: OptionCursor, limit: number): boolean {
  let at = cursor.next
  if (at >= limit) return false
  const head = data[at] as number
  if (head === PAYLOAD_MARKER) return false
  at++
  let delta = head >> 4
  let length = head & 15
  cursor.broken = true
  if (delta === 15 || length === 15) return false
  if (delta === 13) delta = 13 + (data[at++] ?? Number.NaN)
  else if (delta === 14) {
    delta = 269 + (((data[at] as number) << 8) | (data[at + 1] ?? Number.NaN))
    at += 2
  }
  if (length === 13) length = 13 + (data[at++] ?? Number.NaN)
  else if (length === 14) {
    length = 269 + (((data[at] as number) << 8) | (data[at + 1] ?? Number.NaN))
    at += 2
  }
  // Also false when a length byte was missing, as that made `at` run past the end.
  if (!(at + length <= limit)) return false
  const number = cursor.number + delta
  if (!(number <= 0xffff)) return false
  cursor.number = number
  cursor.start = at
  cursor.end = at + length
  cursor.next = cursor.end
  cursor.broken = false
  return true
}

function optionsOf(data: Buffer, start: number, end: number): readonly Option[] {
  if (start === end) return NO_OPTIONS
  const options: Option[] = []
  const cursor = optionsAt(start)
  while (readOption(data, cursor, end))
    options.push({
      number: cursor.number,
      value: cursor.start === cursor.end ? NOTHING : data.subarray(cursor.start, cursor.end),
    })
  return options
}

/** Bytes of an option's header for a delta or a length. */
function extended(value: number): 0 | 1 | 2 {
  return value < 13 ? 0 : value < 269 ? 1 : 2
}

function inOrder(options: readonly Option[]): readonly Option[] {
  for (let i = 1; i < options.length; i++)
    if ((options[i] as Option).number < (options[i - 1] as Option).number)
      return [...options].sort((a, b) => a.number - b.number)
  return options
}

/** How many bytes options take on the wire. */
export function optionsLength(options: readonly Option[]): number {
  let size = 0
  let previous = 0
  for (const { number, value } of inOrder(options)) {
    size += 1 + extended(number - previous) + extended(value.length) + value.length
    previous = number
  }
  return size
}

/** The datagram of a message; options may be given in any order, those of one number in theirs. */
export function encode(
  type: MessageType,
  code: number,
  id: number,
  token: Uint8Array = NOTHING,
  options: readonly Option[] = NO_OPTIONS,
  payload: Uint8Array = NOTHING,
): Buffer {
  const sorted = inOrder(options)
  const tail = payload.length === 0 ? 0 : 1 + payload.length
  const data = Buffer.allocUnsafe(4 + token.length + optionsLength(sorted) + tail)
  data[0] = 0x40 | (type << 4) | token.length
  data[1] = code
  data[2] = id >> 8
  data[3] = id & 0xff
  data.set(token, 4)
  const at = writeOptions(data, 4 + token.length, sorted)
  if (tail > 0) {
    data[at] = PAYLOAD_MARKER
    data.set(payload, at + 1)
  }
  return data
}

function writeOptions(data: Buffer, start: number, options: readonly Option[]): number {
  let at = start
  let previous = 0
  for (const { number, value } of options) {
    const head = at++
    const delta = number - previous
    previous = number
    const length = value.length
    data[head] = (nibble(delta) << 4) | nibble(length)
    at = writeExtended(data, at, delta)
    at = writeExtended(data, at, length)
    data.set(value, at)
    at += length
  }
  return at
}

/** What stands in the four bits: the value itself, or 13 or 14 when one or two bytes follow. */
function nibble(value: number): number {
  const bytes = extended(value)
  return bytes === 0 ? value : 12 + bytes
}

function writeExtended(data: Buffer, at: number, value: number): number {
  const bytes = extended(value)
  if (bytes === 0) return at
  if (bytes === 1) {
    data[at] = value - 13
    return at + 1
  }
  return data.writeUInt16BE(value - 269, at)
}
