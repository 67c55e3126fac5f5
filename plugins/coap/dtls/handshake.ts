/**
 * Handshake messages (RFC 6347 §4.2.2): fragments in any order and more than once, until each message is whole.
 *
 *     type 1 | length 3 | message sequence 2 | fragment offset 3 | fragment length 3 | body
 *
 * The transcript that Finished and the extended master secret are made from is over each message as if it had come in
 * one fragment, without the first ClientHello and HelloVerifyRequest (§4.2.6).
 */

export const HELLO_REQUEST = 0
export const CLIENT_HELLO = 1
export const SERVER_HELLO = 2
export const HELLO_VERIFY_REQUEST = 3
export const SERVER_KEY_EXCHANGE = 12
export const SERVER_HELLO_DONE = 14
export const CLIENT_KEY_EXCHANGE = 16
export const FINISHED = 20

const HEADER = 12
/** Largest message taken, bytes: hellos and keys of this kind are far smaller. */
const MAX_LENGTH = 4096
/** How far ahead of the expected message fragments are kept: a flight of a client has three. */
const MAX_AHEAD = 2

export interface Fragment {
  readonly type: number
  /** Of the whole message. */
  readonly length: number
  readonly sequence: number
  readonly offset: number
  readonly body: Buffer
  /** Where the next fragment in the record starts. */
  readonly end: number
}

export interface HandshakeMessage {
  readonly type: number
  readonly sequence: number
  readonly body: Buffer
  /** Header and body as they count for the transcript. */
  readonly whole: Buffer
}

export function readFragment(data: Buffer, at: number): Fragment | undefined {
  if (at + HEADER > data.length) return undefined
  const length = data.readUIntBE(at + 1, 3)
  const offset = data.readUIntBE(at + 6, 3)
  const size = data.readUIntBE(at + 9, 3)
  const end = at + HEADER + size
  if (end > data.length || offset + size > length || length > MAX_LENGTH) return undefined
  const type = data[at] as number
  return { type, length, sequence: data.readUInt16BE(at + 4), offset, body: data.subarray(at + HEADER, end), end }
}

export function writeMessage(type: number, sequence: number, body: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(HEADER + body.length)
  message[0] = type
  message.writeUIntBE(body.length, 1, 3)
  message.writeUInt16BE(sequence, 4)
  message.writeUIntBE(0, 6, 3)
  message.writeUIntBE(body.length, 9, 3)
  message.set(body, HEADER)
  return message
}

export interface Reassembly {
  /** False when the fragment contradicts another, or is of a message already taken. */
  add(fragment: Fragment): boolean
  /** The next whole message in sequence. */
  next(): HandshakeMessage | undefined
}

/** @param first sequence of the first message expected */
export function createReassembly(first: number): Reassembly {
  interface Partial {
    readonly type: number
    readonly body: Buffer
    readonly have: Uint8Array
    missing: number
  }
  const partials = new Map<number, Partial>()
  let expected = first

  return {
    add({ type, length, sequence, offset, body }) {
      if (sequence < expected || sequence > expected + MAX_AHEAD) return false
      let partial = partials.get(sequence)
      if (!partial) {
        partial = { type, body: Buffer.alloc(length), have: new Uint8Array(length), missing: length }
        partials.set(sequence, partial)
      }
      if (partial.type !== type || partial.body.length !== length) return false
      for (let i = 0; i < body.length; i++) {
        if (partial.have[offset + i]) continue
        partial.have[offset + i] = 1
        partial.missing--
        partial.body[offset + i] = body[i] as number
      }
      return true
    },
    next() {
      const partial = partials.get(expected)
      if (!partial || partial.missing > 0) return undefined
      const { type, body } = partial
      partials.delete(expected)
      return { type, sequence: expected++, body, whole: writeMessage(type, expected - 1, body) }
    },
  }
}
