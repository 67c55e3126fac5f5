/**
 * Requests of ours, from the first datagram to the response, or, for an observation, to the last of many.
 *
 *   waiting (NSTART) ─▶ under way ─response─▶ …          also before the acknowledgement, which it then stands for (§5.2.2)
 *                           ├─RST, no ACK─▶ failed
 *                           └─ACK, then nothing for 247 s─▶ failed
 */
import type { Clock, Timer } from '../../gateway/plugin.ts'
import { CON, type CoapMessage, encode, NON, type Option } from './codec.ts'
import type { Confirmables } from './confirmable.ts'
import type { Correspondent, Correspondents } from './correspondent.ts'
import { CoapError } from './errors.ts'
import { SEPARATE_RESPONSE_WAIT } from './parameters.ts'
import { createTokens } from './token.ts'
import type { Peer } from './transport.ts'

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

export interface OwnRequests {
  send(peer: Peer, what: OutgoingRequest, handler: ResponseHandler): Pending
  /** The request that a response with this token answers. */
  find(peer: Peer, token: Buffer): OwnRequest | undefined
  /** The session of a peer ended. */
  drop(to: Correspondent): void
  cancelAll(): void
}

interface Parts {
  readonly clock: Clock
  readonly correspondents: Correspondents
  readonly confirmables: Confirmables
  transmit(to: Correspondent, data: Buffer): boolean
}

export function createOwnRequests(parts: Parts): OwnRequests {
  const { correspondents, confirmables } = parts
  const tokens = createTokens()
  /** By token, as text. */
  const all = new Map<string, OwnRequest>()

  /** No request of ours to anybody has it. */
  function fresh(): Buffer {
    for (;;) {
      const token = tokens.next()
      if (!all.has(token.toString('latin1'))) return token
    }
  }

  return {
    send(peer, what, handler) {
      const to = correspondents.of(peer)
      // We speak first, to an address a person configured or that has registered: that is proof enough.
      to.verified = true
      const token = what.token ?? fresh()
      const request = new OwnRequest(parts, all, to, token.toString('latin1'), handler)
      const datagram = (id: number, type: typeof CON | typeof NON) =>
        encode(type, what.code, id, token, what.options, what.payload)
      if (what.confirmable === false) parts.transmit(to, datagram(correspondents.nextId(to), NON))
      else
        confirmables.send(
          to,
          (id) => datagram(id, CON),
          (outcome) => {
            if (outcome === 'acknowledged') handler.acknowledged?.()
            else if (outcome === 'reset') request.fail('refused the message', true)
            else request.fail(outcome === 'gone' ? 'session ended' : 'no acknowledgement')
          },
          token,
        )
      return request
    },
    find(peer, token) {
      const request = all.get(token.toString('latin1'))
      return request?.to.peer.key === peer.key ? request : undefined
    },
    drop(to) {
      for (const request of [...all.values()]) if (request.to === to) request.fail('session ended')
    },
    cancelAll() {
      for (const request of [...all.values()]) request.cancel()
    },
  }
}

export class OwnRequest implements Pending {
  readonly to: Correspondent
  /** As text: a buffer takes four times the memory. */
  readonly #token: string
  readonly #confirmables: Confirmables
  readonly #handler: ResponseHandler
  /** Not a closure that takes it out: an observation would hold on to the request that began it. */
  readonly #among: Map<string, OwnRequest>
  #timeout: Timer | undefined
  #over = false

  constructor(
    { clock, confirmables }: Parts,
    among: Map<string, OwnRequest>,
    to: Correspondent,
    token: string,
    handler: ResponseHandler,
  ) {
    this.to = to
    this.#token = token
    this.#confirmables = confirmables
    this.#handler = handler
    this.#among = among
    among.set(token, this)
    this.#timeout = clock.after(SEPARATE_RESPONSE_WAIT, () => this.fail('no response in time'))
  }

  get token(): Buffer {
    return Buffer.from(this.#token, 'latin1')
  }

  responded(message: CoapMessage, receipt: Receipt): void {
    this.#settle()
    this.#handler.response(message, receipt)
  }

  /** @param refused the peer has not acted on it */
  fail(text: string, refused = false): void {
    if (this.#over) return
    this.#end()
    const { address, port } = this.to.peer
    this.#handler.failed(new CoapError(`${address}:${port}: ${text}`, { refused }))
  }

  cancel(): void {
    if (!this.#over) this.#confirmables.settleToken(this.to, this.token)
    this.#end()
  }

  #end(): void {
    this.#over = true
    this.#settle()
    if (this.#among.get(this.#token) === this) this.#among.delete(this.#token)
  }

  /** An observation lives on; its timer need not. */
  #settle(): void {
    this.#timeout?.cancel()
    this.#timeout = undefined
  }
}
