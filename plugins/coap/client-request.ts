/** What a client asks of a peer, and what it is answered. */
import { type Block, blockOf } from './block.ts'
import type { CoapMessage, Option } from './codec.ts'
import type { CoapError } from './errors.ts'
import { ACCEPT, CONTENT_FORMAT, find, findUint, uintOption, uriOptions } from './options.ts'
import type { Receipt } from './own-request.ts'

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

export function optionsOf(request: ClientRequest): Option[] {
  const options = [...uriOptions(request.path, request.query), ...(request.options ?? [])]
  if (request.contentFormat !== undefined) options.push(uintOption(CONTENT_FORMAT, request.contentFormat))
  if (request.accept !== undefined) options.push(uintOption(ACCEPT, request.accept))
  return options
}

export function blockIn(message: CoapMessage, number: number): Block | undefined {
  const value = find(message.options, number)
  return value && blockOf(value)
}

export function responseOf(message: CoapMessage, payload: Buffer): ClientResponse {
  return {
    code: message.code,
    contentFormat: findUint(message.options, CONTENT_FORMAT),
    options: message.options,
    payload,
  }
}
