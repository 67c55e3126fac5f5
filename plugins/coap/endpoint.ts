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
 * What becomes of a request of theirs is in `exchange.ts`, of one of ours in `own-request.ts`, of a CON in `confirmable.ts`.
 *
 * "Seen before" means: same peer, same message id and same bytes. A retransmission is the same bytes; a fast sender whose
 * ids come round within their lifetime, or a device that restarted, is told apart by its token or payload.
 *
 * To a peer whose address is not proved (plain UDP, until it answers something that only its owner could) no reply
 * exceeds three times the request, and all together not three times what came from there (RFC 9175 §2.6).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { ACK, CON, type CoapMessage, decode, EMPTY, encode, isRequest, type Option, RST } from './codec.ts'
import { createConfirmables, type Outcome } from './confirmable.ts'
import { type Correspondent, createCorrespondents } from './correspondent.ts'
import { createDelayQueue } from './delay-queue.ts'
import { type Exchange, TheirRequest } from './exchange.ts'
import {
  createOwnRequests,
  type OutgoingRequest,
  type Pending,
  type Receipt,
  type ResponseHandler,
} from './own-request.ts'
import { AMPLIFICATION, DEFAULT_PARAMETERS, type Parameters } from './parameters.ts'
import { createRemembrance, fingerprint } from './remembrance.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from './transport.ts'

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

export function createEndpoint(options: EndpointOptions): Endpoint {
  const { clock } = options
  const parameters: Parameters = { ...DEFAULT_PARAMETERS, ...options.parameters }
  const count = options.count ?? (() => {})
  const correspondents = createCorrespondents(clock, parameters, (state) => confirmables.drop(state))
  const remembrance = createRemembrance(clock, parameters)
  const confirmables = createConfirmables(clock, parameters, transmit)
  const requests = createOwnRequests({ clock, correspondents, confirmables, transmit })
  const replying = { correspondents, remembrance, confirmables, transmit }
  const unanswered = createDelayQueue<TheirRequest>(
    clock,
    parameters.ackDelay,
    (request) => request.separate(),
    (request) => !request.open,
  )

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

  function receive(data: Buffer, peer: Peer): void {
    const from = correspondents.of(peer)
    from.received += data.length
    from.seen = clock.monotonic()
    const message = decode(data)
    if (typeof message === 'string') malformed(data, from)
    else if (message.type === ACK || message.type === RST) answered(message, from)
    else if (message.code === EMPTY) {
      if (message.type === CON) refuse(from, message.id)
    } else incoming(message, from)
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
    const request = message.code === EMPTY ? undefined : requests.find(from.peer, message.token)
    if (!confirmables.settle(from, message.id, message.type === ACK ? 'acknowledged' : 'reset')) return
    from.verified = true
    request?.responded(message, NO_RECEIPT)
  }

  function incoming(message: CoapMessage, from: Correspondent): void {
    const mark = fingerprint(message.data)
    const known = remembrance.recall(from, message.id, mark)
    if (known > 0) {
      count('duplicates')
      const reply = remembrance.answerTo(known)
      if (reply) transmit(from, reply)
      return
    }
    if (!isRequest(message.code)) {
      response(message, from, mark)
      return
    }
    const request = new TheirRequest(replying, from, message, remembrance.add(from, message.id, mark), mark)
    options.onRequest(request)
    if (request.open) unanswered.push(request)
  }

  function response(message: CoapMessage, from: Correspondent, mark: number): void {
    const request = requests.find(from.peer, message.token)
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
    request.responded(message, {
      acknowledge: () => {
        if (message.type === CON) reply(ACK)
      },
      forget: () => remembrance.forget(memory),
      reset: () => reply(RST),
    })
  }

  function gone(peer: Peer): void {
    const state = correspondents.remove(peer)
    if (!state) return
    confirmables.drop(state)
    requests.drop(state)
    options.onGone?.(peer)
  }

  const receiver: DatagramReceiver = {
    datagram: receive,
    gone,
    moved: (peer) => correspondents.unverify(peer),
  }

  return {
    attach: (transport) => transport.attach(receiver),
    request: (peer, what, handler) => requests.send(peer, what, handler),
    notify(peer, token, code, withOptions, payload, done) {
      const to = correspondents.of(peer)
      const message = confirmables.send(to, (id) => encode(CON, code, id, token, withOptions, payload), done)
      return () => confirmables.cancel(to, message)
    },
    close() {
      requests.cancelAll()
      unanswered.clear()
      remembrance.clear()
      correspondents.clear((state) => confirmables.drop(state))
    },
  }
}

const NO_RECEIPT: Receipt = { acknowledge() {}, forget() {}, reset() {} }
