/**
 * `GET /api/events`: server-sent events (WHATWG HTML, section 9.2).
 *
 * Each event has a type and one line of JSON. A comment every 15 s keeps proxies and idle time-outs quiet. How
 * events are sampled is in `live.ts`, how they are written in `event-sender.ts`.
 */
import type { ServerResponse } from 'node:http'
import { z } from 'zod'
import { BusyError } from '../../errors.ts'
import { createSender } from '../event-sender.ts'
import { SECURITY_HEADERS } from '../headers.ts'
import { EVENT_TYPES, type EventType } from '../live.ts'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'

const HEARTBEAT = 15_000
const STATUS_EVERY = 1000
const MAX_READERS = 64

const query = z.object({
  types: z
    .string()
    .max(256)
    .transform((text) => text.split(',').map((type) => type.trim()))
    .pipe(z.array(z.enum(EVENT_TYPES)))
    .optional()
    .describe(`comma-separated, of ${EVENT_TYPES.join(', ')}; default all`),
  match: z
    .string()
    .max(512)
    .optional()
    .describe('glob over device ids, or an MQTT filter over telemetry/{device}/{stream}'),
})

export function eventRoutes(app: App, parts: AppParts): void {
  const readers = new Set<Reader>()
  app.addHook('preClose', (done) => {
    for (const reader of readers) reader.close()
    done()
  })

  const schema = {
    tags: ['events'],
    summary: 'What happens, live (server-sent events)',
    querystring: query,
    response: schemas.content(
      'text/event-stream',
      `events of the types ${EVENT_TYPES.join(', ')}, each with one line of JSON`,
    ),
  }
  app.get('/api/events', { schema, exposeHeadRoute: false }, (request, reply) => {
    if (readers.size >= MAX_READERS) throw new BusyError('SLUICE_TOO_MANY_READERS', `${MAX_READERS} readers already`)
    reply.hijack()
    const types = new Set<EventType>(request.query.types ?? EVENT_TYPES)
    const reader = serve(parts, reply.raw, types, request.query.match)
    readers.add(reader)
    reply.raw.once('close', () => {
      readers.delete(reader)
      reader.close()
    })
  })
}

interface Reader {
  close(): void
}

function serve(parts: AppParts, response: ServerResponse, types: ReadonlySet<EventType>, match?: string): Reader {
  const { api, clock, pulse } = parts
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  const sender = createSender(response, clock)
  const { send } = sender
  const status = () => send('status', { ...api.status(), stages: pulse.stages() })
  if (types.has('ready'))
    send('ready', { gateway: api.gateway, version: api.version, now: new Date(clock.now()).toISOString() })
  if (types.has('status')) status()
  const stops = [api.subscribe({ types, match }, (event) => send(event.type, event.data))]
  const heartbeat = clock.every(HEARTBEAT, () => sender.comment('still here'))
  stops.push(() => heartbeat.cancel())
  if (types.has('status')) {
    const timer = clock.every(STATUS_EVERY, status)
    stops.push(() => timer.cancel())
  }
  return {
    close() {
      for (const stop of stops.splice(0)) stop()
      sender.stop()
      response.end()
    },
  }
}
