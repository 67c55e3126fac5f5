/**
 * Telemetry over HTTP: the body is one message with the topic `telemetry/{device}[/{stream}]`, taken as it is.
 *
 *   204  durable            400  kept as a dead letter, or not a topic        413  too large
 *   503  no room, or not durable in time: send it again after Retry-After. It may have become durable meanwhile.
 */
import { z } from 'zod'
import type { Clock } from '../../clock.ts'
import { BusyError, RequestError } from '../../errors.ts'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'

/** What all senders together may have in memory here, bytes; beyond it they come back later. */
const MAX_HELD = 32 * 1024 * 1024
/** How long a sender waits for its message to be durable, ms. */
const DURABLE_WITHIN = 10_000
const MAX_TOPIC = 65_535

const params = z.object({ device: z.string(), stream: z.string().optional() })
const response = { 204: z.null().describe('durable'), 400: schemas.failure, 413: schemas.failure, 503: schemas.failure }

export function telemetryRoutes(app: App, parts: AppParts): void {
  // A scope of its own: here, and only here, any content type is taken unparsed.
  app.register(async (scope: App) => {
    scope.removeAllContentTypeParsers()
    // Fastify refuses what is no proper media type before it looks for a parser; sensors are not that proper.
    scope.addHook('onRequest', async ({ raw }) => {
      if (raw.headers['content-type'] !== undefined) raw.headers['content-type'] = 'application/octet-stream'
    })
    boundMemory(scope, Math.max(MAX_HELD, parts.maxBody), parts.maxBody)
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    for (const url of ['/api/telemetry/:device', '/api/telemetry/:device/:stream']) {
      const schema = { tags: ['telemetry'], summary: 'One message of a device', params, response }
      scope.post(url, { schema }, async (request, reply) => {
        const { headers, body } = request
        refuseEncoding(headers['content-encoding'])
        const topic = topicOf(request.params.device, request.params.stream)
        const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
        const taking = parts.api.telemetry(topic, bytes, contentTypeOf(request.raw.rawHeaders))
        const { dead } = await inTime(parts.clock, taking)
        if (dead !== undefined) throw new RequestError(400, 'SLUICE_DECODE', dead)
        return reply.code(204).send()
      })
    }
  })
}

/** Room is reserved before a body is read, as much as is announced or, of unknown length, as much as is allowed. */
function boundMemory(scope: App, most: number, maxBody: number): void {
  let held = 0
  scope.addHook('onRequest', async ({ headers }, reply) => {
    const announced = Number(headers['content-length'] ?? maxBody)
    const size = Math.min(announced, maxBody)
    if (held + size > most) throw new BusyError('SLUICE_BUSY', 'too much is waiting to become durable')
    held += size
    reply.raw.once('close', () => {
      held -= size
    })
  })
}

function topicOf(device: string, stream: string | undefined): string {
  for (const level of [device, stream ?? 'x'])
    if (level === '' || /[/+#\0]/.test(level))
      throw new RequestError(400, 'SLUICE_TOPIC', 'device and stream must not be empty nor hold /, +, # or NUL')
  const topic = stream === undefined ? `telemetry/${device}` : `telemetry/${device}/${stream}`
  if (Buffer.byteLength(topic) > MAX_TOPIC) throw new RequestError(400, 'SLUICE_TOPIC', 'the topic is too long')
  return topic
}

/** gzip is recognised by its first bytes when it is decoded. */
function refuseEncoding(encoding: string | undefined): void {
  if (encoding !== undefined && !/^(gzip|x-gzip|identity)$/i.test(encoding))
    throw new RequestError(415, 'SLUICE_MEDIA_TYPE', `content encoding ${encoding} is not supported, gzip is`)
}

/** What clients send without being asked says nothing of the body. */
function contentTypeOf(rawHeaders: readonly string[]): string | undefined {
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type')
  const bare = at < 0 ? undefined : rawHeaders[at + 1]?.split(';', 1)[0]?.trim().toLowerCase()
  return bare === 'application/x-www-form-urlencoded' || bare === 'application/octet-stream' ? undefined : bare
}

function inTime<T>(clock: Clock, taking: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new BusyError('SLUICE_NOT_DURABLE', 'not durable yet: send it again'))
    const timer = clock.after(DURABLE_WITHIN, late)
    taking.then(resolve, reject).finally(() => timer.cancel())
  })
}
