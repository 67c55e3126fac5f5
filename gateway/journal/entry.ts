/**
 * The journal's entries: everything that influences a result, in the order in which it was taken.
 *
 * The gateway is a state machine over this sequence. What a message means is worked out again when the journal is
 * replayed, so its bytes are kept as they arrived; what else changes the state (a tick of the clock that closes
 * windows, readings dropped for want of room, a command's change of state) is a control entry, written before it acts.
 *
 *   message   0      1        2        3          9             11             13        13+t
 *             kind=1 | flags  | source | received | verdict u16 | topic length | topic   | [length u8 | type] | [length u8 | mark] | payload
 *                      u8       u8       u48 ms     big-endian    u16 t
 *
 *   control   kind=2 | JSON
 *
 * Topics of one place begin alike. So with SHARING the topic's length is two bytes, `shared` and `rest`: it begins with the
 * first `shared` bytes of the topic that the first entry of the same frame has, and `rest` bytes of it follow. That
 * entry has its topic whole, and a damaged frame still costs its own entries only.
 *
 * `verdict` is how many readings the message held, written after it was decoded and before the frame is committed.
 * DEAD says that it could not be decoded: it is kept, as a dead letter, and counts as one.
 * `source` indexes the table of names that `source` control entries extend and that every checkpoint carries.
 */

import type { TablePart } from '../decode/tables.ts'

export const MESSAGE = 1
export const CONTROL = 2

/** The message could not be decoded. */
export const DEAD = 1
/** A content type stands before the payload. */
export const TYPED = 2
/** Received before the clock was known to be right. */
export const UNSYNCED = 4
/** Its sender's mark stands before the payload, behind the type: a message sent again is known by it (`receipts.ts`, `sent-before.ts`). */
export const MARKED = 8
/** The topic begins as that of the frame's first entry. */
export const SHARING = 16

export const HEADER = 13
const SOURCE_AT = 2
const RECEIVED_AT = 3
const VERDICT_AT = 9
const TOPIC_AT = 11

/** More readings than this in one message are refused: the verdict could not hold the number. */
export const MAX_VERDICT = 0xffff

/** What is not a message but changes the state. Times are wall clock, ms since the epoch. */
export type Control =
  | { readonly type: 'source'; readonly index: number; readonly name: string }
  | { readonly type: 'tick'; readonly tick: unknown }
  /** Times that unjournaled readings have shown, and that closed windows. */
  | { readonly type: 'advance'; readonly shown: readonly ShownTime[] }
  /** From its last part on, messages are decoded with these rows of a look-up table. */
  | { readonly type: 'table'; readonly table: TablePart }
  /** From here on messages mean what this says. */
  | { readonly type: 'flow'; readonly flow: unknown }
  | {
      readonly type: 'gap'
      readonly source: string
      readonly reason: string
      /** Readings lost; `unknown` after a crash of a source that is not journaled. */
      readonly count: number | 'unknown'
      readonly from: number
      readonly to: number
    }
  /** The wall clock was found right; what was stamped before is off by `offset` ms. */
  | { readonly type: 'synced'; readonly offset: number; readonly now: number }
  /** A fact another stage keeps in the journal: rules and commands name themselves in `stage`. */
  | { readonly type: 'fact'; readonly stage: string; readonly fact: unknown }

/** The time of a reading; `time` and `received` in ms since the epoch. */
export interface ShownTime {
  readonly source: string
  readonly device: string
  readonly time: number
  readonly received: number
  readonly stamped: boolean
}

export interface MessageEntry {
  readonly kind: typeof MESSAGE
  readonly flags: number
  readonly source: number
  readonly received: number
  readonly verdict: number
  readonly topic: string
  readonly contentType: string | undefined
  readonly mark: Buffer | undefined
  /** The payload is bytes[start, end). */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

export interface ControlEntry {
  readonly kind: typeof CONTROL
  readonly control: Control
}

export type Entry = MessageEntry | ControlEntry

/** The longest content type that an entry can keep, characters of Latin-1; another one says nothing here. */
export const LONGEST_TYPE = 255

/** The most of a topic that is shared, and that follows then, bytes. */
const MOST_SHARED = 255
/** As much more work is not worth it. */
const LEAST_SHARED = 2

/** How many bytes of a topic are those of the frame's first one; 0 when it is to be written whole. */
export function sharedBytes(topic: Buffer, first: Buffer): number {
  const most = Math.min(topic.length, first.length, MOST_SHARED)
  let shared = 0
  while (shared < most && topic[shared] === first[shared]) shared++
  return shared < LEAST_SHARED || topic.length - shared > MOST_SHARED ? 0 : shared
}

/** Bytes a message entry takes; of the topic, what is written of it. */
export function messageLength(
  topicBytes: number,
  payloadBytes: number,
  contentType: string | undefined,
  mark: Buffer | undefined,
): number {
  const type = contentType === undefined ? 0 : 1 + contentType.length
  return HEADER + topicBytes + payloadBytes + type + (mark === undefined ? 0 : 1 + mark.length)
}

/**
 * Writes all but the payload at `at` and returns where the payload goes. The verdict is 0 until `setVerdict`.
 *
 * @param shared as `sharedBytes` says
 * @param received wall clock, whole ms since the epoch
 */
export function writeHead(
  buffer: Buffer,
  at: number,
  flags: number,
  source: number,
  received: number,
  topic: Buffer,
  shared: number,
  contentType: string | undefined,
  mark: Buffer | undefined,
): number {
  const high = Math.floor(received / 0x1_0000_0000)
  const low = received >>> 0
  buffer[at] = MESSAGE
  buffer[at + 1] =
    flags | (contentType === undefined ? 0 : TYPED) | (mark === undefined ? 0 : MARKED) | (shared === 0 ? 0 : SHARING)
  buffer[at + SOURCE_AT] = source
  buffer[at + 3] = high >>> 8
  buffer[at + 4] = high
  buffer[at + 5] = low >>> 24
  buffer[at + 6] = low >>> 16
  buffer[at + 7] = low >>> 8
  buffer[at + 8] = low
  buffer[at + VERDICT_AT] = 0
  buffer[at + VERDICT_AT + 1] = 0
  const size = topic.length - shared
  buffer[at + TOPIC_AT] = shared === 0 ? size >>> 8 : shared
  buffer[at + TOPIC_AT + 1] = size
  const start = at + HEADER
  const end = start + size
  // A loop beats Buffer.copy for the twenty bytes that a topic is.
  if (size < 48) for (let i = 0; i < size; i++) buffer[start + i] = topic[shared + i] as number
  else topic.copy(buffer, start, shared)
  if (contentType === undefined && mark === undefined) return end
  return writeShort(buffer, writeShort(buffer, end, contentType && Buffer.from(contentType, 'latin1')), mark)
}

/** At most 255 bytes, their number before them. Returns where they end. */
function writeShort(buffer: Buffer, at: number, bytes: Buffer | '' | undefined): number {
  if (bytes === undefined) return at
  buffer[at] = bytes.length
  return at + 1 + (bytes === '' ? 0 : bytes.copy(buffer, at + 1))
}

export function setVerdict(buffer: Buffer, at: number, readings: number): void {
  buffer[at + VERDICT_AT] = readings >>> 8
  buffer[at + VERDICT_AT + 1] = readings
}

export function setDead(buffer: Buffer, at: number): void {
  buffer[at + 1] = (buffer[at + 1] as number) | DEAD
}

export function encodeControl(control: Control): Buffer {
  return Buffer.from(`\x02${JSON.stringify(control)}`)
}

/** The topic of an entry that has only the end of it. */
function sharingTopic(bytes: Buffer, shared: number, end: number, opening: Buffer): string {
  const rest = end - HEADER
  const topic = Buffer.allocUnsafe(shared + rest)
  opening.copy(topic, 0, HEADER, HEADER + shared)
  bytes.copy(topic, shared, HEADER, end)
  return topic.toString()
}

/**
 * @param opening the first entry of the same frame
 * @returns null when the bytes are no entry of a version this gateway knows
 */
export function decodeEntry(bytes: Buffer, opening: Buffer): Entry | null {
  if (bytes[0] === CONTROL) return { kind: CONTROL, control: JSON.parse(bytes.toString('utf8', 1)) as Control }
  if (bytes[0] !== MESSAGE || bytes.length < HEADER) return null
  const flags = bytes[1] as number
  const shared = flags & SHARING ? (bytes[TOPIC_AT] as number) : 0
  const topicEnd = HEADER + (shared > 0 ? (bytes[TOPIC_AT + 1] as number) : bytes.readUInt16BE(TOPIC_AT))
  let start = topicEnd
  let contentType: string | undefined
  if (flags & TYPED) {
    start += 1 + (bytes[topicEnd] as number)
    contentType = bytes.toString('latin1', topicEnd + 1, start)
  }
  let mark: Buffer | undefined
  if (flags & MARKED) {
    const from = start + 1
    start = from + (bytes[start] as number)
    mark = bytes.subarray(from, start)
  }
  return {
    kind: MESSAGE,
    flags,
    source: bytes[SOURCE_AT] as number,
    received: bytes.readUIntBE(RECEIVED_AT, 6),
    verdict: bytes.readUInt16BE(VERDICT_AT),
    topic: shared > 0 ? sharingTopic(bytes, shared, topicEnd, opening) : bytes.toString('utf8', HEADER, topicEnd),
    contentType,
    mark,
    bytes,
    start,
    end: bytes.length,
  }
}
