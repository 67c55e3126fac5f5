/** Every failure leaves as `{"code","message"}` with a stable code; what was not foreseen leaves without its details. */
import type { FastifyReply } from 'fastify'
import { BusyError, RequestError, reasonOf } from '../errors.ts'
import type { PluginLog } from '../plugin.ts'

interface Answer {
  readonly status: number
  readonly code: string
  readonly message: string
  /** Seconds. */
  readonly retryAfter?: number
}

/** Fastify's own codes that mean something to a caller; any other below 500 is a bad request. */
const FASTIFY: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'SLUICE_TOO_LARGE', 'the body is too large: http.maxBody says how much is taken'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'SLUICE_MEDIA_TYPE', 'this takes JSON: send content-type: application/json'],
  FST_ERR_MAX_PARAM_LENGTH: [414, 'SLUICE_URL_TOO_LONG', 'a part of the address is too long'],
}

/** Codes of Node's HTTP parser, for requests that never reach a route. */
const PARSER: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'SLUICE_HEADERS_TOO_LARGE', 'headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'SLUICE_TIMEOUT', 'the request took too long to arrive'],
}

function answerTo(error: unknown): Answer {
  if (error instanceof RequestError) return { status: error.status, code: error.code, message: error.message }
  if (error instanceof BusyError) return { status: 503, code: error.code, message: error.message, retryAfter: 1 }
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  const known = typeof code === 'string' ? FASTIFY[code] : undefined
  if (known) return { status: known[0], code: known[1], message: known[2] }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return { status: statusCode, code: 'SLUICE_BAD_REQUEST', message: lower(reasonOf(error)) }
  return { status: 500, code: 'SLUICE_DEFECT', message: 'unexpected failure, see the log' }
}

function lower(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1)
}

/** Answers a request that failed; only what is a defect is logged. */
export function fail(error: unknown, reply: FastifyReply, log: PluginLog): FastifyReply {
  const { status, code, message, retryAfter } = answerTo(error)
  if (status === 500) log.error({ err: error, route: reply.request.routeOptions.url }, 'request failed unexpectedly')
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="sluice"')
  if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
  // Fastify closes after a body it refused. A client still sending it would be reset, and never read the answer: Node drains the rest instead.
  reply.removeHeader('connection')
  return reply.code(status).type('application/json; charset=utf-8').send({ code, message })
}

/** The whole answer to bytes that are no HTTP request. */
export function parserFailure(code: string | undefined): string {
  const [status, name, message] = PARSER[code ?? ''] ?? [400, 'SLUICE_BAD_REQUEST', 'not an HTTP request']
  const body = JSON.stringify({ code: name, message })
  return [
    `HTTP/1.1 ${status} ${name}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}
