/**
 * A CoAP server: finds the resource of a request, gathers large bodies, calls the handler and shapes its response.
 *
 *   request ─▶ options understood? ─▶ resource and method ─▶ whole body (Block1) ─▶ handler
 *                4.02, 5.05              4.04, 4.05             2.31, 4.08, 4.13        │
 *   reply ◀─ fits the datagram, and what the peer may be sent (Block2, Echo) ◀─ Observe ◀┘
 *
 * How a response becomes a reply is in `reply.ts`, who observes what in `observation.ts`.
 */
import type { Clock } from '../../gateway/plugin.ts'
import { type BlockwiseLimits, createUploads, DEFAULT_LIMITS } from './blockwise.ts'
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
} from './codes.ts'
import { LINK_FORMAT } from './content-format.ts'
import { createEcho } from './echo.ts'
import { createEndpoint, type Endpoint } from './endpoint.ts'
import type { Exchange } from './exchange.ts'
import { filterLinks, formatLinks, type Link } from './link-format.ts'
import { createLocating } from './locating.ts'
import { createServerObservations } from './observation.ts'
import type { Observation } from './observe.ts'
import { OBSERVE, SIZE1, uintOption } from './options.ts'
import type { Parameters } from './parameters.ts'
import { createReplies, transferKey } from './reply.ts'
import { type Demands, demandsOf, ReceivedRequest, type Request, type Wishes, wishesOf } from './request.ts'
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

export function createServer(options: ServerOptions): Server {
  const { clock } = options
  const limits: BlockwiseLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const wellKnown: Resource = { path: '.well-known/core', get: discover }
  const locate = createLocating(createRouter([wellKnown, ...options.resources]))
  const uploads = createUploads(clock, limits)
  const echo = createEcho(clock)
  const replies = createReplies(clock, limits, echo)
  const { finish } = replies
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
    shape: replies.notification,
  })

  function discover(request: Request, respond: (response: Response) => void): void {
    const links: Link[] = options.resources
      .filter((r) => r.attributes)
      .map((r) => ({
        path: `/${r.path.replace(/\/\{.*/, '')}`,
        attributes: { ...r.attributes, ...(r.observed && { obs: true as const }) },
      }))
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
    const further = furtherBlock(exchange, demands)
    if (further) {
      finish(exchange, wishes, further)
      return
    }
    const payload = demands.block1 ? gather(exchange, demands, wishes) : message.payload
    if (payload) serve(exchange, demands, wishes, match, handler, path, payload)
  }

  /** The response of which another block is asked for. Undefined: the handler is asked, also again for a GET that is not kept. */
  function furtherBlock(exchange: Exchange, { block2 }: Demands): Response | undefined {
    if (!block2 || block2.num === 0) return undefined
    const kept = replies.kept(exchange)
    if (kept || exchange.message.code === GET) return kept
    return { code: REQUEST_ENTITY_INCOMPLETE }
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
    const request = new ReceivedRequest(exchange, demands, path, match.params, payload)
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

  return {
    endpoint,
    changed: (path) => observations.changed(path),
    get observers() {
      return observations.size
    },
    get transferBytes() {
      return uploads.bytes + replies.bytes
    },
    close() {
      observations.clear()
      uploads.clear()
      replies.clear()
      endpoint.close()
    },
  }
}

/** A response with a text for whoever reads the exchange (RFC 7252 §5.5.2). */
export function diagnostic(code: number, text: string): Response {
  return { code, payload: Buffer.from(text) }
}
