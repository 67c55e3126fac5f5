/** One association: its keys, its numbers, and where its other end is. Both roles use it. */
import type { DatagramTransport, Peer } from '../transport.ts'
import type { CipherPool } from './cipher-pool.ts'
import {
  ALERT,
  APPLICATION_DATA,
  type CHANGE_CIPHER_SPEC,
  DTLS_1_2,
  type DtlsRecord,
  type HANDSHAKE,
  LAST_SEQUENCE,
  plainRecord,
} from './record.ts'
import { createReplayWindow, isFresh, markSeen } from './replay-window.ts'
import { type DirectionKeys, type Opened, open, type Suite, seal } from './suite.ts'

/** Alerts used here (RFC 5246 §7.2, RFC 4279 §2). */
export const CLOSE_NOTIFY = 0
export const UNEXPECTED_MESSAGE = 10
export const HANDSHAKE_FAILURE = 40
export const DECODE_ERROR = 50
export const DECRYPT_ERROR = 51
export const PROTOCOL_VERSION = 70
export const NO_RENEGOTIATION = 100

export const WARNING = 1
export const FATAL = 2

/** A part of a flight, kept to be sent again in records with new numbers. */
export interface FlightPart {
  readonly epoch: 0 | 1
  readonly type: typeof HANDSHAKE | typeof CHANGE_CIPHER_SPEC
  readonly body: Buffer
}

interface Protection {
  readonly suite: Suite
  readonly read: DirectionKeys
  readonly write: DirectionKeys
}

const NO_CID = Buffer.alloc(0)

/** `replay` for a record seen before, `bad` for one that is not authentic. */
export type Unprotected = Opened | 'replay' | 'bad'

export class Connection implements Peer {
  readonly key: string
  readonly secure = true
  readonly transport: DatagramTransport
  identity: string | undefined = undefined
  /** Where it is now, as the transport below knows it. */
  lower: Peer
  state: 'handshake' | 'open' | 'closed' = 'handshake'
  /** Our Connection ID, which the other end sends; undefined when none was agreed. */
  ownCid: number | undefined = undefined
  /** Theirs, which we send; may be empty. */
  theirCid: Buffer = NO_CID
  #plainSequence: number
  #sequence = 0
  #protection: Protection | undefined = undefined
  readonly #pool: CipherPool
  readonly #window = createReplayWindow()

  /** @param plainSequence of the first record of epoch 0 */
  constructor(key: string, transport: DatagramTransport, lower: Peer, plainSequence: number, pool: CipherPool) {
    this.#pool = pool
    this.key = key
    this.transport = transport
    this.lower = lower
    this.#plainSequence = plainSequence
  }

  get address(): string {
    return this.lower.address
  }

  get port(): number {
    return this.lower.port
  }

  get hasKeys(): boolean {
    return this.#protection !== undefined
  }

  protect(suite: Suite, read: DirectionKeys, write: DirectionKeys): void {
    this.#protection = { suite, read, write }
  }

  /** Sends records in one datagram. */
  flight(parts: readonly FlightPart[]): void {
    if (parts.length === 0) return
    const records = parts.map((part) =>
      part.epoch === 0
        ? plainRecord(part.type, DTLS_1_2, this.#plainSequence++, part.body)
        : this.#sealed(part.type, part.body),
    )
    this.lower.transport.send(Buffer.concat(records), this.lower)
  }

  /** False when the numbers are used up: the connection must end. */
  send(content: Uint8Array): boolean {
    if (this.#sequence >= LAST_SEQUENCE) return false
    this.lower.transport.send(this.#sealed(APPLICATION_DATA, content), this.lower)
    return true
  }

  alert(level: number, description: number): void {
    const body = Buffer.from([level, description])
    const record = this.#protection && this.state !== 'handshake' ? this.#sealed(ALERT, body) : this.#plainAlert(body)
    this.lower.transport.send(record, this.lower)
  }

  /** Opens a record of epoch 1. The address it came from is believed only when it is the newest: see `moveTo`. */
  unprotect(record: DtlsRecord): Unprotected {
    const protection = this.#protection
    if (!protection) return 'bad'
    if (!isFresh(this.#window, record.sequence)) return 'replay'
    return open(protection.suite, protection.read, record, this.#pool) ?? 'bad'
  }

  /** Call for each record that proved authentic. True when it is the newest of all. */
  seen(record: DtlsRecord): boolean {
    return markSeen(this.#window, record.sequence)
  }

  #plainAlert(body: Buffer): Buffer {
    return plainRecord(ALERT, DTLS_1_2, this.#plainSequence++, body)
  }

  #sealed(type: number, content: Uint8Array): Buffer {
    const { suite, write } = this.#protection as Protection
    return seal(suite, write, 1, this.#sequence++, type, content, this.theirCid, this.#pool)
  }
}
