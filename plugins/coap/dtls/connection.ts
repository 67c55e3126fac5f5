/** One association: its keys, its numbers, and where its other end is. Both roles use it. */
import type { DatagramTransport, Peer } from '../transport.ts'
import { type CipherPool, createCipherPool } from './cipher-pool.ts'
import { keyBlock } from './key-schedule.ts'
import { createKeyring, type Keyring } from './keyring.ts'
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
import { type DirectionKeys, directionKeys, KEY_BLOCK, type Opened, open, type Suite, seal } from './suite.ts'

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

/** What the connections of one transport share. */
export interface Secrets {
  readonly keyring: Keyring
  readonly pool: CipherPool
}

export function createSecrets(): Secrets {
  return { keyring: createKeyring(KEY_BLOCK), pool: createCipherPool() }
}

interface Protection {
  readonly suite: Suite
  readonly block: Buffer
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
  /** Of a server, until the client shows that it has it: its last message, number and body as Latin-1, which is small. */
  finished: { readonly sequence: number; readonly body: string } | undefined = undefined
  #plainSequence: number
  #sequence = 0
  #protection: Protection | undefined = undefined
  readonly #secrets: Secrets
  readonly #window = createReplayWindow()

  /** @param plainSequence of the first record of epoch 0 */
  constructor(key: string, transport: DatagramTransport, lower: Peer, plainSequence: number, secrets: Secrets) {
    this.#secrets = secrets
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

  /** @param randoms the server's and the client's */
  protect(suite: Suite, master: Buffer, randoms: Buffer, role: 'client' | 'server'): void {
    const block = this.#secrets.keyring.take()
    keyBlock(master, randoms, block)
    const write = directionKeys(block, role)
    const read = directionKeys(block, role === 'client' ? 'server' : 'client')
    this.#protection = { suite, block, read, write }
  }

  /** Wipes its keys; nothing can be sent or opened any more. */
  close(): void {
    const { keyring, pool } = this.#secrets
    const protection = this.#protection
    this.state = 'closed'
    this.#protection = undefined
    if (!protection) return
    pool.drop(protection.read)
    pool.drop(protection.write)
    keyring.giveBack(protection.block)
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
    if (this.#sequence >= LAST_SEQUENCE || !this.#protection) return false
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
    return open(protection.suite, protection.read, record, this.#secrets.pool) ?? 'bad'
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
    return seal(suite, write, 1, this.#sequence++, type, content, this.theirCid, this.#secrets.pool)
  }
}
