/**
 * A CoAP client on an endpoint: one call is a whole exchange, however many blocks it takes (RFC 7959), and observing is
 * a stream of notifications in their order (RFC 7641).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { blockOption, blockSize, LARGEST_SZX, slice } from './block.ts'
import {
  blockIn,
  type ClientObservation,
  type ClientRequest,
  type ClientResponse,
  type ObservationHandler,
  optionsOf,
  responseOf,
} from './client-request.ts'
import { type CoapMessage, codeText, NOTHING, type Option } from './codec.ts'
import { CONTINUE, isSuccess, REQUEST_ENTITY_TOO_LARGE, UNAUTHORIZED } from './codes.ts'
import type { Endpoint } from './endpoint.ts'
import { CoapError } from './errors.ts'
import { Following, type FollowingParts } from './following.ts'
import { BLOCK1, BLOCK2, ECHO, ETAG, find, refusedOption, SIZE1, uintOption } from './options.ts'
import type { OutgoingRequest, Pending } from './own-request.ts'
import type { Peer } from './transport.ts'

export type { ClientObservation, ClientRequest, ClientResponse, ObservationHandler } from './client-request.ts'

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
  const parts: FollowingParts = { clock, endpoint, complete, once }

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

  return {
    async request(peer, request, signal) {
      return complete(peer, request, await upload(peer, request, signal), signal)
    },
    observe: (peer, request, handler) => new Following(parts, peer, request, handler),
  }
}
