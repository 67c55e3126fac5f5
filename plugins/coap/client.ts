/**
 * A CoAP client on an endpoint: one call is a whole exchange, however many blocks it takes (RFC 7959), and observing is
 * a stream of notifications in their order (RFC 7641).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { type Block, blockOf, blockOption, blockSize, LARGEST_SZX, slice } from './block.ts'
import { type CoapMessage, codeText, NOTHING, type Option } from './codec.ts'
import { CONTINUE, GET, isSuccess, REQUEST_ENTITY_TOO_LARGE, UNAUTHORIZED } from './codes.ts'
import type { Endpoint } from './endpoint.ts'
import { CoapError } from './errors.ts'
import { createNotificationOrder } from './observe.ts'
import {
  ACCEPT,
  BLOCK1,
  BLOCK2,
  CONTENT_FORMAT,
  ECHO,
  ETAG,
  find,
  findUint,
  OBSERVE,
  refusedOption,
  SIZE1,
  uintOption,
  uriOptions,
} from './options.ts'
import type { OutgoingRequest, Pending, Receipt } from './own-request.ts'
import type { Peer } from './transport.ts'

export interface ClientRequest {
  /** Method, see `codes.ts`. */
  readonly code: number
  /** Segments divided by slashes, percent-encoded where they contain one. */
  readonly path: string
  readonly query?: readonly string[]
  readonly contentFormat?: number
  readonly accept?: number
  readonly payload?: Uint8Array
  readonly options?: readonly Option[]
  /** Default true. */
  readonly confirmable?: boolean
}

export interface ClientResponse {
  readonly code: number
  readonly contentFormat: number | undefined
  readonly options: readonly Option[]
  /** The whole body. */
  readonly payload: Buffer
}

export interface ObservationHandler {
  /**
   * A representation newer than the last. A confirmable notification is sent again until `receipt` says it was taken,
   * or refused; call one of its functions.
   */
  notification(response: ClientResponse, receipt: Receipt): void
  /** Nothing more comes: refused, ended by the peer, or unreachable. */
  ended(error: CoapError): void
}

export interface ClientObservation {
  /** @param tell also asks the peer to stop; otherwise its next notification is refused, which stops it too */
  cancel(tell?: boolean): void
}

export interface Client {
  /**
   * Resolves with the response whatever its code.
   * @throws CoapError when there is none; the signal's reason when it aborts
   */
  request(peer: Peer, request: ClientRequest, signal?: AbortSignal): Promise<ClientResponse>
  observe(peer: Peer, request: ClientRequest, handler: ObservationHandler): ClientObservation
}

export interface ClientOptions {
  readonly clock: Clock
  readonly endpoint: Endpoint
  /** Largest body taken, in bytes. Default 1 MiB. */
  readonly maxBody?: number
}

export function createClient({ clock, endpoint, maxBody = 1024 * 1024 }: ClientOptions): Client {
  /** One message and its response, without acknowledging more than the message layer does by itself. */
  function once(peer: Peer, request: OutgoingRequest, signal: AbortSignal | undefined): Promise<CoapMessage> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      let pending: Pending | undefined
      const aborted = () => {
        pending?.cancel()
        reject(signal?.reason)
      }
      const settle = () => signal?.removeEventListener('abort', aborted)
      pending = endpoint.request(peer, request, {
        response(message, receipt) {
          settle()
          const refused = refusedOption(message.options)
          if (refused >= 0) {
            receipt.reset()
            reject(new CoapError(`the response has option ${refused}, which is critical and not understood`))
          } else {
            receipt.acknowledge()
            resolve(message)
          }
          pending?.cancel()
        },
        failed(error) {
          settle()
          reject(error)
        },
      })
      signal?.addEventListener('abort', aborted, { once: true })
    })
  }

  /** Sends once more with Echo when the server asks for it (RFC 9175 §2.3). */
  async function exchange(
    peer: Peer,
    request: ClientRequest,
    more: readonly Option[],
    payload: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<CoapMessage> {
    const { code, confirmable = true } = request
    const options = [...optionsOf(request), ...more]
    const response = await once(peer, { code, options, payload, confirmable }, signal)
    const echo = response.code === UNAUTHORIZED ? find(response.options, ECHO) : undefined
    if (!echo) return response
    return once(peer, { code, options: [...options, { number: ECHO, value: echo }], payload, confirmable }, signal)
  }

  /** Sends the body in blocks, smaller ones when the server asks for them. Returns the response to the last. */
  async function upload(peer: Peer, request: ClientRequest, signal: AbortSignal | undefined): Promise<CoapMessage> {
    const body = request.payload ?? NOTHING
    let szx = LARGEST_SZX
    if (body.length <= blockSize(szx)) return exchange(peer, request, [], body, signal)
    let num = 0
    for (;;) {
      const { part, more } = slice(body, num, szx)
      const size = num === 0 ? [uintOption(SIZE1, body.length)] : []
      const response = await exchange(peer, request, [blockOption(BLOCK1, { num, more, szx }), ...size], part, signal)
      const theirs = blockIn(response, BLOCK1)
      const smaller = theirs !== undefined && theirs.szx < szx ? theirs.szx : undefined
      if (response.code === REQUEST_ENTITY_TOO_LARGE && smaller !== undefined && num === 0) {
        szx = smaller
        continue
      }
      if (response.code !== CONTINUE || !more) return response
      const sent = (num + 1) * blockSize(szx)
      if (smaller !== undefined) szx = smaller
      num = sent / blockSize(szx)
    }
  }

  /** Fetches what is left of a response that came in its first block. */
  async function download(
    peer: Peer,
    request: ClientRequest,
    first: CoapMessage,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    const block = blockIn(first, BLOCK2)
    if (!block?.more) return first.payload
    const etag = find(first.options, ETAG)
    const parts = [first.payload]
    let length = first.payload.length
    let { szx } = block
    for (;;) {
      const num = length / blockSize(szx)
      const ask = blockOption(BLOCK2, { num, more: false, szx })
      const next = await exchange(peer, request, [ask], NOTHING, signal)
      const got = blockIn(next, BLOCK2)
      if (!isSuccess(next.code) || !got || got.num * blockSize(got.szx) !== length)
        throw new CoapError(`block ${num} of ${request.path} did not come: ${codeText(next.code)}`)
      if (etag && !find(next.options, ETAG)?.equals(etag))
        throw new CoapError(`${request.path} changed while it was fetched`)
      parts.push(next.payload)
      length += next.payload.length
      if (length > maxBody) throw new CoapError(`${request.path} is larger than ${maxBody} bytes`)
      if (!got.more) return Buffer.concat(parts)
      if (next.payload.length !== blockSize(got.szx)) throw new CoapError(`block ${num} of ${request.path} is short`)
      szx = got.szx
    }
  }

  async function complete(
    peer: Peer,
    request: ClientRequest,
    first: CoapMessage,
    signal?: AbortSignal,
  ): Promise<ClientResponse> {
    return responseOf(first, await download(peer, request, first, signal))
  }

  function observe(peer: Peer, request: ClientRequest, handler: ObservationHandler): ClientObservation {
    const order = createNotificationOrder()
    // Made when it is needed: it takes more memory than all else of an observation.
    let stop: AbortController | undefined
    let over = false
    const plain: ClientRequest = { ...request, code: request.code || GET }
    const end = (error: CoapError) => {
      if (over) return
      over = true
      stop?.abort()
      pending.cancel()
      handler.ended(error)
    }
    const take = (message: CoapMessage, given: Receipt) => {
      const receipt: Receipt = {
        ...given,
        forget() {
          order.forget()
          given.forget()
        },
      }
      const sequence = findUint(message.options, OBSERVE)
      if (sequence !== undefined && !order.isNewer(sequence, clock.monotonic())) {
        receipt.acknowledge()
        return
      }
      const deliver = (response: ClientResponse) => {
        if (over) return
        if (isSuccess(message.code)) handler.notification(response, receipt)
        else receipt.acknowledge()
        if (!isSuccess(message.code))
          end(new CoapError(`${request.path}: ${codeText(message.code)}`, { response: message.code }))
        else if (sequence === undefined)
          end(new CoapError(`${request.path} cannot be observed`, { response: message.code }))
      }
      if (!blockIn(message, BLOCK2)?.more) deliver(responseOf(message, message.payload))
      else {
        stop ??= new AbortController()
        complete(peer, plain, message, stop.signal).then(deliver, () => {
          // It changed meanwhile, and then a newer notification is on its way; or the peer is gone, and it is silent.
          receipt.forget()
        })
      }
    }
    const pending = endpoint.request(
      peer,
      { code: plain.code, options: [...optionsOf(plain), uintOption(OBSERVE, 0)] },
      { response: take, failed: end },
    )
    return {
      cancel(tell = false) {
        if (over) return
        over = true
        stop?.abort()
        pending.cancel()
        if (!tell) return
        const bye = { code: plain.code, options: [...optionsOf(plain), uintOption(OBSERVE, 1)], token: pending.token }
        once(peer, bye, undefined).catch(() => {})
      },
    }
  }

  return {
    async request(peer, request, signal) {
      return complete(peer, request, await upload(peer, request, signal), signal)
    },
    observe,
  }
}

function optionsOf(request: ClientRequest): Option[] {
  const options = [...uriOptions(request.path, request.query), ...(request.options ?? [])]
  if (request.contentFormat !== undefined) options.push(uintOption(CONTENT_FORMAT, request.contentFormat))
  if (request.accept !== undefined) options.push(uintOption(ACCEPT, request.accept))
  return options
}

function blockIn(message: CoapMessage, number: number): Block | undefined {
  const value = find(message.options, number)
  return value && blockOf(value)
}

function responseOf(message: CoapMessage, payload: Buffer): ClientResponse {
  return {
    code: message.code,
    contentFormat: findUint(message.options, CONTENT_FORMAT),
    options: message.options,
    payload,
  }
}
