/**
 * A CoAP server: finds the resource of a request, gathers large bodies, calls the handler and shapes its response.
 *
 *   request ─▶ options understood? ─▶ resource and method ─▶ whole body (Block1) ─▶ handler
 *                4.02, 5.05              4.04, 4.05             2.31, 4.08, 4.13        │
 *   reply ◀─ fits the datagram, and what the peer may be sent (Block2, Echo) ◀─ Observe ◀┘
 *
 * To a peer whose address is not proved a large response goes in blocks small enough to be no amplification; when not
 * even 16 bytes would fit, it is asked to prove its address with Echo (4.01, RFC 9175 §2.4).
 */
import type { Clock } from '../../gateway/plugin.ts'
import { blockOption, blockSize, LARGEST_SZX, slice } from './block.ts'
import { type BlockwiseLimits, createShelf, createUploads, DEFAULT_LIMITS } from './blockwise.ts'
import { NO_OPTIONS, NOTHING, type Option, optionsLength } from './codec.ts'
import {
  BAD_OPTION,
  BAD_REQUEST,
  CONTENT,
  CONTINUE,
  GET,
  INTERNAL_SERVER_ERROR,
  isSuccess,
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  PROXYING_NOT_SUPPORTED,
  REQUEST_ENTITY_INCOMPLETE,
  REQUEST_ENTITY_TOO_LARGE,
  UNAUTHORIZED,
} from './codes.ts'
import { LINK_FORMAT } from './content-format.ts'
import { createEcho } from './echo.ts'
import { createEndpoint, type Endpoint } from './endpoint.ts'
import type { Exchange } from './exchange.ts'
import { filterLinks, formatLinks, type Link } from './link-format.ts'
import { createLocating } from './locating.ts'
import { createServerObservations } from './observation.ts'
import type { Observation } from './observe.ts'
import { BLOCK1, BLOCK2, CONTENT_FORMAT, ECHO, ETAG, MAX_AGE, OBSERVE, SIZE1, SIZE2, uintOption } from './options.ts'
import type { Parameters } from './parameters.ts'
import { fingerprint } from './remembrance.ts'
import { type Demands, demandsOf, queryOf, type Request, type Wishes, wishesOf } from './request.ts'
import {
  createRouter,
  type Handler,
  handlerOf,
  type Match,
  type Resource,
  type Respond,
  type Response,
} from './resource.ts'
import type { Peer } from './transport.ts'

export interface ServerOptions {
  readonly clock: Clock
  readonly resources: readonly Resource[]
  readonly limits?: Partial<BlockwiseLimits>
  readonly parameters?: Partial<Parameters>
  /** Observations of all peers together. Default 10,000. */
  readonly maxObservers?: number
  readonly count?: (event: string) => void
  /** A handler threw. */
  readonly failed?: (error: unknown) => void
  /** A session of a secure transport ended. */
  readonly gone?: (peer: Peer) => void
}

export interface Server {
  /** Attach transports here; requests of our own go out the same way. */
  readonly endpoint: Endpoint
  /** The state of an observable resource changed: its observers are sent what its GET gives now. */
  changed(path: string): void
  readonly observers: number
  /** Bytes held for transfers that are not finished. */
  readonly transferBytes: number
  close(): void
}

/** A response whose body is kept while the client fetches it block by block. */
interface Download {
  readonly length: number
  readonly response: Response
}

export function createServer(options: ServerOptions): Server {
  const { clock } = options
  const limits: BlockwiseLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const wellKnown: Resource = { path: '.well-known/core', get: discover }
  const locate = createLocating(createRouter([wellKnown, ...options.resources]))
  const uploads = createUploads(clock, limits)
  const downloads = createShelf<Download>(clock, limits)
  const echo = createEcho(clock)
  const endpoint = createEndpoint({
    clock,
    onRequest: handle,
    onGone(peer) {
      observations.gone(peer)
      options.gone?.(peer)
    },
    ...(options.parameters && { parameters: options.parameters }),
    ...(options.count && { count: options.count }),
  })
  const observations = createServerObservations({
    endpoint,
    limit: options.maxObservers ?? 10_000,
    shape: (response, extra) => shaped(undefined, response, undefined, extra, Number.POSITIVE_INFINITY, 8),
  })

  function discover(request: Request, respond: (response: Response) => void): void {
    const links: Link[] = options.resources
      .filter((r) => r.attributes && !r.path.includes('{'))
      .map((r) => ({ path: `/${r.path}`, attributes: { ...r.attributes, ...(r.observed && { obs: true as const }) } }))
    const text = formatLinks(filterLinks(links, request.query))
    respond({ code: CONTENT, contentFormat: LINK_FORMAT, payload: Buffer.from(text) })
  }

  function handle(exchange: Exchange): void {
    const { message } = exchange
    const demands = demandsOf(message)
    if (demands.echo && echo.valid(exchange.peer, demands.echo)) exchange.verified()
    const wishes = wishesOf(demands)
    if (demands.problem) {
      refuse(exchange, demands, wishes)
      return
    }
    const { match, path } = locate(message, demands)
    const handler = match && handlerOf(match.resource, message.code)
    if (!match || !handler) {
      finish(exchange, wishes, { code: match ? METHOD_NOT_ALLOWED : NOT_FOUND })
      return
    }
    if (demands.block2 && demands.block2.num > 0 && continueDownload(exchange, wishes)) return
    const payload = demands.block1 ? gather(exchange, demands, wishes) : message.payload
    if (payload) serve(exchange, demands, wishes, match, handler, path, payload)
  }

  function serve(
    exchange: Exchange,
    demands: Demands,
    wishes: Wishes,
    match: Match,
    handler: Handler,
    path: readonly string[],
    payload: Buffer,
  ): void {
    const { message } = exchange
    const request: Request = {
      peer: exchange.peer,
      confirmable: exchange.confirmable,
      code: message.code,
      path,
      query: queryOf(message, demands),
      contentFormat: demands.contentFormat,
      accept: demands.accept,
      get options() {
        return message.options
      },
      payload,
      params: match.params,
    }
    const observed = message.code === GET ? match.resource.observed : undefined
    if (observed) observe(exchange, wishes, match, handler, request, observed)
    else call(handler, request, responder(exchange, wishes))
    if (match.resource.brief && !demands.block1) exchange.letGo()
  }

  function refuse(exchange: Exchange, demands: Demands, wishes: Wishes): void {
    // A non-confirmable request with an option that is not understood is rejected, not answered (RFC 7252 §5.4.1).
    if (demands.problem === 'option' && !exchange.confirmable) exchange.ignore()
    else if (demands.problem === 'option')
      finish(exchange, wishes, diagnostic(BAD_OPTION, `option ${demands.refused} is not understood`))
    else if (demands.problem === 'proxy') finish(exchange, wishes, { code: PROXYING_NOT_SUPPORTED })
    else finish(exchange, wishes, diagnostic(BAD_REQUEST, 'block size 7 is reserved'))
  }

  /** The whole body, or undefined when the request is answered already. */
  function gather(exchange: Exchange, demands: Demands, wishes: Wishes): Buffer | undefined {
    const { message } = exchange
    const block = demands.block1
    if (!block || (block.num === 0 && !block.more)) return message.payload
    const upload = uploads.take(transferKey(exchange), block, message.payload, demands.size1)
    if (upload.state === 'complete') return upload.body
    if (upload.state === 'continue') finish(exchange, wishes, { code: CONTINUE })
    else if (upload.code === REQUEST_ENTITY_TOO_LARGE)
      finish(exchange, wishes, { code: upload.code, options: [uintOption(SIZE1, limits.maxBody)] })
    else finish(exchange, wishes, { code: upload.code })
    return undefined
  }

  /** Made here and not where it is used, so that it holds on to nothing else. */
  function responder(exchange: Exchange, wishes: Wishes): Respond {
    return (response) => finish(exchange, wishes, response)
  }

  function call(handler: Handler, request: Request, respond: Respond): void {
    try {
      handler(request, respond)
    } catch (error) {
      options.failed?.(error)
      respond({ code: INTERNAL_SERVER_ERROR })
    }
  }

  function observe(
    exchange: Exchange,
    wishes: Wishes,
    match: Match,
    handler: Handler,
    request: Request,
    observed: (observation: Observation) => void,
  ): void {
    const { token } = exchange.message
    // An address that is not proved is proved by acknowledging the first response, before any notification.
    if (wishes.observe === 0 && Number.isFinite(exchange.room())) exchange.separate()
    call(handler, request, (response) => {
      if (wishes.observe === 1) observations.cancel(request.peer, token)
      if (wishes.observe !== 0 || !isSuccess(response.code)) {
        finish(exchange, wishes, response)
        return
      }
      const observation = observations.add(request, match, token)
      const extra = observation ? [uintOption(OBSERVE, observation.sequence)] : []
      finish(exchange, wishes, response, extra, () => observation?.end())
      if (observation) observed(observation)
    })
  }

  /** Serves a further block of a response that was kept. False when there is none: the handler is asked again. */
  function continueDownload(exchange: Exchange, wishes: Wishes): boolean {
    const kept = downloads.get(transferKey(exchange))
    if (kept) {
      finish(exchange, wishes, kept.response)
      return true
    }
    if (exchange.message.code === GET) return false
    finish(exchange, wishes, { code: REQUEST_ENTITY_INCOMPLETE })
    return true
  }

  function finish(
    exchange: Exchange,
    wishes: Wishes,
    response: Response,
    extra: readonly Option[] = NO_OPTIONS,
    undelivered?: () => void,
  ): void {
    if (wishes.noResponse & (1 << ((response.code >> 5) - 1))) {
      exchange.ignore()
      return
    }
    const room = exchange.room()
    const { tokenLength } = exchange
    const reply = shaped(exchange, response, wishes, extra, room, tokenLength)
    if (4 + tokenLength + optionsLength(reply.options) + reply.payload.length + 1 <= room)
      exchange.respond(reply.code, reply.options, reply.payload, undelivered)
    else if (isSuccess(response.code)) {
      const proof: Option[] = [{ number: ECHO, value: echo.make(exchange.peer) }]
      exchange.respond(UNAUTHORIZED, 4 + tokenLength + optionsLength(proof) <= room ? proof : [])
    } else exchange.respond(response.code)
  }

  /** A response cut to one block when it does not fit whole; the rest is kept for the exchange's peer. */
  function shaped(
    exchange: Exchange | undefined,
    response: Response,
    wishes: Wishes | undefined,
    extra: readonly Option[],
    room: number,
    tokenLength: number,
  ): { code: number; options: readonly Option[]; payload: Uint8Array } {
    const { code, payload = NOTHING } = response
    const list: Option[] = [...extra, ...(response.options ?? NO_OPTIONS)]
    if (response.contentFormat !== undefined) list.push(uintOption(CONTENT_FORMAT, response.contentFormat))
    if (response.maxAge !== undefined) list.push(uintOption(MAX_AGE, response.maxAge))
    const block1 = wishes?.block1
    if (block1) list.push(blockOption(BLOCK1, { ...block1, more: code === CONTINUE }))
    const asked = wishes?.block2
    let szx = Math.min(asked?.szx ?? LARGEST_SZX, LARGEST_SZX)
    const head = 4 + tokenLength + optionsLength(list) + 1
    const whole = payload.length <= blockSize(szx) && !asked?.num && head + payload.length <= room
    if (whole || payload.length === 0) return { code, options: list, payload }
    // Block2 and ETag take up to nine bytes more.
    while (szx > 0 && head + 9 + blockSize(szx) > room) szx--
    const num = asked ? (asked.num * blockSize(asked.szx)) / blockSize(szx) : 0
    const { part, more } = slice(payload, num, szx)
    if (part.length === 0) return { code: BAD_REQUEST, options: [], payload: NOTHING }
    const etag = Buffer.alloc(4)
    etag.writeInt32BE(fingerprint(payload))
    list.push({ number: ETAG, value: etag }, blockOption(BLOCK2, { num, more, szx }))
    if (more && exchange) downloads.put(transferKey(exchange), { length: payload.length, response })
    return { code, options: list, payload: part }
  }

  return {
    endpoint,
    changed: (path) => observations.changed(path),
    get observers() {
      return observations.size
    },
    get transferBytes() {
      return uploads.bytes + downloads.bytes
    },
    close() {
      observations.clear()
      uploads.clear()
      downloads.clear()
      endpoint.close()
    },
  }
}

/** A response with a text for whoever reads the exchange (RFC 7252 §5.5.2). */
export function diagnostic(code: number, text: string): Response {
  return { code, payload: Buffer.from(text) }
}

const NOT_IN_KEY = new Set([BLOCK1, BLOCK2, SIZE1, SIZE2, OBSERVE, ECHO])

/** Same peer and same cache key: everything but the block options, Size, Observe and Echo (RFC 7252 §5.4.6). */
function transferKey(exchange: Exchange): string {
  const { code, options } = exchange.message
  let key = `${exchange.peer.key} ${code}`
  for (const { number, value } of options) {
    if (NOT_IN_KEY.has(number)) continue
    key += ` ${number}=${value.toString('latin1')}`
  }
  return key
}
