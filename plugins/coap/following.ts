/**
 * One resource of a peer that we observe (RFC 7641), from the first request to the last notification. A class, as there
 * may be ten thousand of them: made of closures each took five times the memory.
 */
import type { Clock } from '../../gateway/plugin.ts'
import {
  blockIn,
  type ClientObservation,
  type ClientRequest,
  type ClientResponse,
  type ObservationHandler,
  optionsOf,
  responseOf,
} from './client-request.ts'
import { type CoapMessage, codeText } from './codec.ts'
import { isSuccess } from './codes.ts'
import type { Endpoint } from './endpoint.ts'
import { CoapError } from './errors.ts'
import { isNews, type LastHeard, NONE } from './observe.ts'
import { BLOCK2, findUint, OBSERVE, uintOption } from './options.ts'
import type { OutgoingRequest, Pending, Receipt, ResponseHandler } from './own-request.ts'
import type { Peer } from './transport.ts'

/** What it needs of its client. */
export interface FollowingParts {
  readonly clock: Clock
  readonly endpoint: Endpoint
  /** Fetches what is left of a response that came in its first block. */
  complete(peer: Peer, request: ClientRequest, first: CoapMessage, signal?: AbortSignal): Promise<ClientResponse>
  once(peer: Peer, request: OutgoingRequest, signal: AbortSignal | undefined): Promise<CoapMessage>
}

export class Following implements ClientObservation, ResponseHandler, LastHeard {
  last = NONE
  at = 0
  readonly #parts: FollowingParts
  readonly #peer: Peer
  readonly #request: ClientRequest
  readonly #handler: ObservationHandler
  readonly #pending: Pending
  /** Made when it is needed: it takes more memory than all else. */
  #stop: AbortController | undefined = undefined
  #over = false

  constructor(parts: FollowingParts, peer: Peer, request: ClientRequest, handler: ObservationHandler) {
    this.#parts = parts
    this.#peer = peer
    this.#request = request
    this.#handler = handler
    const options = [...optionsOf(request), uintOption(OBSERVE, 0)]
    this.#pending = parts.endpoint.request(peer, { code: request.code, options }, this)
  }

  response(message: CoapMessage, given: Receipt): void {
    const sequence = findUint(message.options, OBSERVE)
    if (sequence !== undefined && !isNews(this, sequence, this.#parts.clock.monotonic())) {
      given.acknowledge()
      return
    }
    const receipt: Receipt = {
      acknowledge: () => given.acknowledge(),
      reset: () => given.reset(),
      forget: () => {
        this.last = NONE
        given.forget()
      },
    }
    if (!blockIn(message, BLOCK2)?.more) this.#deliver(responseOf(message, message.payload), sequence, receipt)
    else this.#fetch(message, sequence, receipt)
  }

  failed(error: CoapError): void {
    if (this.#over) return
    this.#end()
    this.#handler.ended(error)
  }

  cancel(tell = false): void {
    if (this.#over) return
    this.#end()
    if (!tell) return
    const { code } = this.#request
    const options = [...optionsOf(this.#request), uintOption(OBSERVE, 1)]
    this.#parts.once(this.#peer, { code, options, token: this.#pending.token }, undefined).catch(() => {})
  }

  #fetch(first: CoapMessage, sequence: number | undefined, receipt: Receipt): void {
    this.#stop ??= new AbortController()
    this.#parts.complete(this.#peer, this.#request, first, this.#stop.signal).then(
      (response) => this.#deliver(response, sequence, receipt),
      // It changed meanwhile, and then a newer notification is on its way; or the peer is gone, and it is silent.
      () => receipt.forget(),
    )
  }

  #deliver(response: ClientResponse, sequence: number | undefined, receipt: Receipt): void {
    if (this.#over) return
    const { code } = response
    const { path } = this.#request
    if (!isSuccess(code)) {
      receipt.acknowledge()
      this.failed(new CoapError(`${path}: ${codeText(code)}`, { response: code }))
      return
    }
    this.#handler.notification(response, receipt)
    if (sequence === undefined) this.failed(new CoapError(`${path} cannot be observed`, { response: code }))
  }

  #end(): void {
    this.#over = true
    this.#stop?.abort()
    this.#pending.cancel()
  }
}
