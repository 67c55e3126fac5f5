/**
 * A request someone sent us.
 *
 *   open ─respond─▶ answered                                    ACK with the response, or NON
 *   open ─ackDelay─▶ acknowledged ─respond─▶ answered           the response in a CON of its own
 */
import { ACK, CON, type CoapMessage, EMPTY, encode, NON, type Option, RST } from './codec.ts'
import { BAD_REQUEST, FETCH, GET, UNAUTHORIZED } from './codes.ts'
import type { Confirmables } from './confirmable.ts'
import type { Correspondent, Correspondents } from './correspondent.ts'
import { AMPLIFICATION } from './parameters.ts'
import type { Remembrance } from './remembrance.ts'
import type { Peer } from './transport.ts'

/** Answer it once, now or later. */
export interface Exchange {
  readonly peer: Peer
  readonly confirmable: boolean
  readonly tokenLength: number
  /** Of the whole datagram: a retransmission has the same. */
  readonly fingerprint: number
  /** Not after `letGo`. */
  readonly message: CoapMessage
  /**
   * The request is no longer needed, only its answer: what waits for the disk by the thousands must not hold datagrams.
   */
  letGo(): void
  /** Largest reply in bytes that may be sent to this peer now; Infinity once its address is proved. */
  room(): number
  /** The peer echoed what only the owner of its address can know. */
  verified(): void
  /**
   * Acknowledges now, if it is confirmable; the response follows in a confirmable message of its own, which also proves
   * the address.
   */
  separate(): void
  /** @param undelivered called when the response went by itself and was not acknowledged */
  respond(code: number, options?: readonly Option[], payload?: Uint8Array, undelivered?: () => void): void
  /** Answers nothing more than the protocol asks for: an acknowledgement of a confirmable request. */
  ignore(): void
  /** Refuses the message itself with RST, as if it had never come (§4.2). */
  reset(): void
}

/** What an exchange needs of the endpoint. */
export interface Replying {
  readonly correspondents: Correspondents
  readonly remembrance: Remembrance
  readonly confirmables: Confirmables
  /** False when the peer has not yet sent enough to be sent so much. */
  transmit(to: Correspondent, data: Buffer): boolean
}

/** Larger answers to a request that changes nothing are made again rather than kept (§4.5), bytes. */
const WORTH_KEEPING = 64

const HEADER = 4

export class TheirRequest implements Exchange {
  readonly #parts: Replying
  readonly #from: Correspondent
  readonly #memory: number
  readonly #size: number
  readonly #code: number
  readonly fingerprint: number
  /** Header and token of the reply that goes with the request; its code is filled in then. */
  readonly #head: Buffer
  #message: CoapMessage | undefined
  #state: 'open' | 'acknowledged' | 'answered' = 'open'

  /** @param memory its number in the remembrance */
  constructor(parts: Replying, from: Correspondent, message: CoapMessage, memory: number, fingerprint: number) {
    const { data, optionsStart, code } = message
    this.#parts = parts
    this.#from = from
    this.#memory = memory
    this.fingerprint = fingerprint
    this.#size = data.length
    this.#code = code
    this.#message = message
    this.#head = Buffer.allocUnsafe(optionsStart)
    for (let i = 0; i < optionsStart; i++) this.#head[i] = data[i] as number
  }

  get peer(): Peer {
    return this.#from.peer
  }

  get message(): CoapMessage {
    if (!this.#message) throw new Error('the request was let go')
    return this.#message
  }

  get confirmable(): boolean {
    // Bit 4 is the type's lower one: CON and ACK have it clear, as a request turns into its reply here.
    return ((this.#head[0] as number) & 0x10) === 0
  }

  get tokenLength(): number {
    return this.#head.length - HEADER
  }

  /** A confirmable request that has had no reply of any kind. */
  get open(): boolean {
    return this.#state === 'open' && this.confirmable
  }

  letGo(): void {
    this.#message = undefined
  }

  room(): number {
    const { verified, received, sent } = this.#from
    if (verified) return Number.POSITIVE_INFINITY
    return Math.min(AMPLIFICATION * this.#size, AMPLIFICATION * received - sent)
  }

  verified(): void {
    this.#from.verified = true
  }

  separate(): void {
    if (this.#state !== 'open') return
    this.#state = 'acknowledged'
    if (this.confirmable) this.#reply(encode(ACK, EMPTY, this.#id))
  }

  ignore(): void {
    this.separate()
    this.#state = 'answered'
  }

  reset(): void {
    if (this.#state === 'open') this.#reply(encode(RST, EMPTY, this.#id))
    this.#state = 'answered'
  }

  respond(code: number, options?: readonly Option[], payload?: Uint8Array, undelivered?: () => void): void {
    const before = this.#state
    if (before === 'answered') return
    this.#state = 'answered'
    if (before === 'acknowledged') this.#respondSeparately(code, options, payload, undelivered)
    else this.#piggyback(code, options, payload)
  }

  #respondSeparately(
    code: number,
    options: readonly Option[] | undefined,
    payload: Uint8Array | undefined,
    undelivered: (() => void) | undefined,
  ): void {
    const token = this.#head.subarray(HEADER)
    this.#parts.confirmables.send(
      this.#from,
      (id) => encode(CON, code, id, token, options, payload),
      (outcome) => {
        if (outcome !== 'acknowledged') undelivered?.()
      },
    )
  }

  #piggyback(code: number, options: readonly Option[] | undefined, payload: Uint8Array | undefined): void {
    const type = this.confirmable ? ACK : NON
    const id = this.confirmable ? this.#id : this.#parts.correspondents.nextId(this.#from)
    if (!options?.length && !payload?.length) this.#bare(type, code, id)
    else {
      const data = encode(type, code, id, this.#head.subarray(HEADER), options, payload)
      if (data.length <= this.room()) this.#reply(data)
      else this.#bare(type, code < BAD_REQUEST ? UNAUTHORIZED : code, id)
    }
  }

  /** No larger than the request was. */
  #bare(type: typeof ACK | typeof NON, code: number, id: number): void {
    const head = this.#head
    head[0] = 0x40 | (type << 4) | this.tokenLength
    head[1] = code
    head[2] = id >> 8
    head[3] = id
    this.#reply(head)
  }

  get #id(): number {
    return this.#head.readUInt16BE(2)
  }

  #reply(data: Buffer): void {
    const { remembrance, transmit } = this.#parts
    transmit(this.#from, data)
    const code = this.#code
    if ((code === GET || code === FETCH) && data.length > WORTH_KEEPING) remembrance.forget(this.#memory)
    else if (this.confirmable) remembrance.answer(this.#memory, data)
  }
}
