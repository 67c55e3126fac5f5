/**
 * The message layer (RFC 7252 §4): what reaches a handler once although it was sent five times, and what is sent five
 * times so that it arrives once.
 *
 *   received           is                          then
 *   CON, NON request   new                         remembered, handed to `onRequest`
 *                      seen before                 the same reply again, or silence while there is none yet
 *   CON, NON response  token of a request of ours  handed to its handler, which says when to acknowledge
 *                      of nobody                   RST
 *   ACK, RST           id of a CON under way       ends its retransmission; a response in it goes to the handler
 *   CON without code   a ping                      RST
 *   not a message      a CON by its header         RST; anything else silence
 *
 *   A request of theirs:   open ─respond─▶ answered                       (ACK with the response, or NON)
 *                          open ─ackDelay─▶ acknowledged ─respond─▶ answered     (response in a CON of its own)
 *   A CON of ours:         waiting (NSTART) ─▶ under way ─ACK─▶ done · ─RST─▶ reset · ─4 retransmissions─▶ timeout
 *
 * "Seen before" means: same peer, same message id and same bytes. A retransmission is the same bytes; a fast sender whose
 * ids come round within their lifetime, or a device that restarted, is told apart by its token or payload.
 *
 * To a peer whose address is not proved (plain UDP, until it answers something that only its owner could) no reply
 * exceeds three times the request, and all together not three times what came from there (RFC 9175 §2.6).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { ACK, CON, type CoapMessage, decode, EMPTY, encode, isRequest, NON, type Option, RST } from './codec.ts'
import { FETCH, GET, UNAUTHORIZED } from './codes.ts'
import { createConfirmables, type Outcome } from './confirmable.ts'
import { type Correspondent, createCorrespondents } from './correspondent.ts'
import { createDelayQueue } from './delay-queue.ts'
import { CoapError } from './errors.ts'
import { AMPLIFICATION, DEFAULT_PARAMETERS, type Parameters, SEPARATE_RESPONSE_WAIT } from './parameters.ts'
import { createRemembrance, fingerprint, type Remembered } from './remembrance.ts'
import { createTokens } from './token.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from './transport.ts'

/** A request someone sent us. Answer it once, now or later. */
export interface Exchange {
  readonly peer: Peer
  readonly message: CoapMessage
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

/** A response to a request of ours. A confirmable one is sent again until it is acknowledged. */
export interface Receipt {
  /** It was taken. */
  acknowledge(): void
  /** It was not taken: when it comes again it is new. */
  forget(): void
  /** It is not wanted, nor are others like it. */
  reset(): void
}

export interface ResponseHandler {
  response(message: CoapMessage, receipt: Receipt): void
  /** No response will come. Not called after `cancel`. */
  failed(error: CoapError): void
  /** The peer has acknowledged; the response comes later. */
  acknowledged?(): void
}

export interface OutgoingRequest {
  readonly code: number
  readonly options?: readonly Option[]
  readonly payload?: Uint8Array
  readonly confirmable?: boolean
  /** Use this token instead of a fresh one: to cancel an observation. */
  readonly token?: Buffer
}

export interface Pending {
  readonly token: Buffer
  /** No more responses are wanted: further ones are refused with RST. */
  cancel(): void
}

export interface EndpointOptions {
  readonly clock: Clock
  onRequest(exchange: Exchange): void
  /** A session of a secure transport ended. */
  onGone?(peer: Peer): void
  readonly parameters?: Partial<Parameters>
  /** Counts what happens, by a short name. */
  readonly count?: (event: string) => void
}

export interface Endpoint {
  /** Receives from a transport, until that is closed. */
  attach(transport: DatagramTransport): void
  /** Sends a request. The handler is called until the response is there, or, for an observation, until `cancel`. */
  request(peer: Peer, request: OutgoingRequest, handler: ResponseHandler): Pending
  /** Sends a response nobody has asked for just now: a notification. Always confirmable. Returns what takes it back. */
  notify(
    peer: Peer,
    token: Buffer,
    code: number,
    options: readonly Option[],
    payload: Uint8Array,
    done: (outcome: Outcome) => void,
  ): () => void
  /** Forgets everything and stops all timers; transports stay with their owner. */
  close(): void
}

export type { Outcome }

export function createEndpoint(options: EndpointOptions): Endpoint {
  const { clock } = options
  const parameters: Parameters = { ...DEFAULT_PARAMETERS, ...options.parameters }
  const count = options.count ?? (() => {})
  const correspondents = createCorrespondents(clock, parameters, (state) => confirmables.drop(state))
  const remembrance = createRemembrance(clock, parameters)
  const confirmables = createConfirmables(clock, parameters, transmit)
  const tokens = createTokens()
  const unanswered = createDelayQueue<TheirRequest>(
    clock,
    parameters.ackDelay,
    (request) => request.separate(),
    (request) => !request.open,
  )
  /** Requests of ours by peer and token. */
  const requests = new Map<string, OurRequest>()

  interface OurRequest extends Pending {
    readonly to: Correspondent
    readonly handler: ResponseHandler
  }

  /** False when the peer has not yet sent enough to be sent so much. */
  function transmit(to: Correspondent, data: Buffer): boolean {
    if (!to.verified) {
      if (to.sent + data.length > AMPLIFICATION * to.received) {
        count('amplification_refused')
        return false
      }
      to.sent += data.length
    }
    to.peer.transport.send(data, to.peer)
    return true
  }

  class TheirRequest implements Exchange {
    readonly message: CoapMessage
    readonly #from: Correspondent
    readonly #size: number
    readonly #memory: Remembered
    #state: 'open' | 'acknowledged' | 'answered' = 'open'

    constructor(from: Correspondent, message: CoapMessage, size: number, memory: Remembered) {
      this.#from = from
      this.message = message
      this.#size = size
      this.#memory = memory
    }

    get peer(): Peer {
      return this.#from.peer
    }

    /** A confirmable request that has had no reply of any kind. */
    get open(): boolean {
      return this.#state === 'open' && this.message.type === CON
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
      if (this.message.type === CON) this.#reply(encode(ACK, EMPTY, this.message.id))
    }

    ignore(): void {
      this.separate()
      this.#state = 'answered'
    }

    reset(): void {
      if (this.#state === 'open') this.#reply(encode(RST, EMPTY, this.message.id))
      this.#state = 'answered'
    }

    respond(code: number, withOptions?: readonly Option[], payload?: Uint8Array, undelivered?: () => void): void {
      if (this.#state === 'answered') return
      const before = this.#state
      this.#state = 'answered'
      const { type, token, id } = this.message
      if (before === 'acknowledged') {
        confirmables.send(
          this.#from,
          (own) => encode(CON, code, own, token, withOptions, payload),
          (outcome) => {
            if (outcome !== 'acknowledged') undelivered?.()
          },
        )
        return
      }
      const replyType = type === CON ? ACK : NON
      const replyId = type === CON ? id : correspondents.nextId(this.#from)
      let data = encode(replyType, code, replyId, token, withOptions, payload)
      if (data.length > this.room()) data = encode(replyType, code < 0x80 ? UNAUTHORIZED : code, replyId, token)
      this.#reply(data)
    }

    #reply(data: Buffer): void {
      transmit(this.#from, data)
      const { code, type } = this.message
      // A request that changes nothing may as well be asked again (§4.5), which saves keeping the answer.
      if ((code === GET || code === FETCH) && data.length > 64) remembrance.forget(this.#memory)
      else if (type === CON) remembrance.answer(this.#memory, data)
    }
  }

  function receive(data: Buffer, peer: Peer): void {
    const from = correspondents.of(peer)
    from.received += data.length
    from.seen = clock.monotonic()
    const message = decode(data)
    if (typeof message === 'string') malformed(data, from)
    else if (message.type === ACK || message.type === RST) answered(message, from)
    else if (message.code === EMPTY) {
      if (message.type === CON) refuse(from, message.id)
    } else incoming(message, data, from)
  }

  function malformed(data: Buffer, from: Correspondent): void {
    count('malformed')
    const first = data[0] as number
    if (data.length >= 4 && first >> 6 === 1 && ((first >> 4) & 3) === CON) refuse(from, data.readUInt16BE(2))
  }

  function refuse(from: Correspondent, id: number): void {
    transmit(from, encode(RST, EMPTY, id))
  }

  function answered(message: CoapMessage, from: Correspondent): void {
    if (isRequest(message.code) || (message.type === RST && message.code !== EMPTY)) return
    // Read before `settle`, which may send what waited behind it.
    const request = message.code === EMPTY ? undefined : requests.get(requestKey(from.peer, message.token))
    if (!confirmables.settle(from, message.id, message.type === ACK ? 'acknowledged' : 'reset')) return
    from.verified = true
    if (request) request.handler.response(message, NO_RECEIPT)
  }

  function incoming(message: CoapMessage, data: Buffer, from: Correspondent): void {
    const mark = fingerprint(data)
    const known = remembrance.recall(from, message.id, mark)
    if (known) {
      count('duplicates')
      if (known.reply) transmit(from, known.reply)
      return
    }
    if (!isRequest(message.code)) {
      response(message, from, mark)
      return
    }
    const request = new TheirRequest(from, message, data.length, remembrance.add(from, message.id, mark))
    options.onRequest(request)
    if (request.open) unanswered.push(request)
  }

  function response(message: CoapMessage, from: Correspondent, mark: number): void {
    const request = requests.get(requestKey(from.peer, message.token))
    if (!request) {
      refuse(from, message.id)
      return
    }
    from.verified = true
    const memory = remembrance.add(from, message.id, mark)
    const reply = (type: typeof ACK | typeof RST) => {
      const datagram = encode(type, EMPTY, message.id)
      remembrance.answer(memory, datagram)
      transmit(from, datagram)
    }
    // A response before the acknowledgement of its request stands for it (§5.2.2).
    confirmables.settleToken(from, message.token)
    request.handler.response(message, {
      acknowledge: () => {
        if (message.type === CON) reply(ACK)
      },
      forget: () => remembrance.forget(memory),
      reset: () => reply(RST),
    })
  }

  function request(peer: Peer, what: OutgoingRequest, handler: ResponseHandler): Pending {
    const to = correspondents.of(peer)
    // We speak first, to an address a person configured or that has registered: that is proof enough.
    to.verified = true
    const token = what.token ?? tokens.next()
    const key = requestKey(peer, token)
    const timeout = clock.after(SEPARATE_RESPONSE_WAIT, () => fail('no response in time'))
    let over = false
    const end = () => {
      over = true
      timeout.cancel()
      if (requests.get(key) === pending) requests.delete(key)
    }
    const fail = (text: string, refused = false) => {
      if (over) return
      end()
      handler.failed(new CoapError(`${peer.address}:${peer.port}: ${text}`, { refused }))
    }
    const pending: OurRequest = {
      to,
      token,
      handler: {
        response(message, receipt) {
          timeout.cancel()
          handler.response(message, receipt)
        },
        failed: (error) => fail(error.message),
      },
      cancel: () => {
        if (!over) confirmables.settleToken(to, token)
        end()
      },
    }
    requests.set(key, pending)
    const datagram = (id: number, type: typeof CON | typeof NON) =>
      encode(type, what.code, id, token, what.options, what.payload)
    if (what.confirmable === false) transmit(to, datagram(correspondents.nextId(to), NON))
    else
      confirmables.send(
        to,
        (id) => datagram(id, CON),
        (outcome) => {
          if (outcome === 'acknowledged') handler.acknowledged?.()
          else if (outcome === 'reset') fail('refused the message', true)
          else fail(outcome === 'gone' ? 'session ended' : 'no acknowledgement')
        },
        token,
      )
    return pending
  }

  function gone(peer: Peer): void {
    const state = correspondents.remove(peer)
    if (!state) return
    confirmables.drop(state)
    for (const pending of [...requests.values()])
      if (pending.to === state) pending.handler.failed(new CoapError('session ended'))
    options.onGone?.(peer)
  }

  const receiver: DatagramReceiver = {
    datagram: receive,
    gone,
    moved: (peer) => correspondents.unverify(peer),
  }

  return {
    attach: (transport) => transport.attach(receiver),
    request,
    notify(peer, token, code, withOptions, payload, done) {
      const to = correspondents.of(peer)
      const message = confirmables.send(to, (id) => encode(CON, code, id, token, withOptions, payload), done)
      return () => confirmables.cancel(to, message)
    },
    close() {
      for (const pending of [...requests.values()]) pending.cancel()
      unanswered.clear()
      remembrance.clear()
      correspondents.clear((state) => confirmables.drop(state))
    },
  }
}

const NO_RECEIPT: Receipt = { acknowledge() {}, forget() {}, reset() {} }

function requestKey(peer: Peer, token: Buffer): string {
  return `${peer.key}#${token.toString('latin1')}`
}
