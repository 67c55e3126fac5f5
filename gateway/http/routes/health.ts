import { exposition } from '../metrics.ts'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'

/** `/healthz`: do the stages move? `/readyz`: may traffic come? `/metrics`, `/api/status`: the numbers. */
export function healthRoutes(app: App, { api, pulse, clock }: AppParts): void {
  const started = clock.monotonic()
  const uptime = () => Math.round((clock.monotonic() - started) / 1000)

  app.get(
    '/healthz',
    { schema: { tags: ['health'], summary: 'Progress, not mere liveness', response: both(schemas.health) } },
    async (_request, reply) => {
      const reason = api.trouble() ?? pulse.stuck()
      if (reason === undefined) return { status: 'ok', uptime: uptime() }
      return reply.code(503).send({ status: 'stuck', reason, uptime: uptime() })
    },
  )

  app.get(
    '/readyz',
    { schema: { tags: ['health'], summary: 'Whether it takes traffic', response: both(schemas.readiness) } },
    async (_request, reply) => {
      const readiness = api.ready()
      return reply.code(readiness.ready ? 200 : 503).send(readiness)
    },
  )

  app.get(
    '/metrics',
    {
      schema: {
        tags: ['health'],
        summary: 'Every stage in numbers, for Prometheus',
        response: schemas.content('text/plain', 'exposition format 0.0.4'),
      },
    },
    async (_request, reply) => {
      const text = await exposition(api.numbers(), { gateway: api.gateway, version: api.version })
      return reply.type('text/plain; version=0.0.4; charset=utf-8').serializer(String).send(text)
    },
  )

  app.get(
    '/api/status',
    { schema: { tags: ['status'], summary: 'One screen of everything', response: { 200: schemas.status } } },
    async () => ({ ...api.status(), stages: pulse.stages(true) }),
  )
}

function both<T>(schema: T): { 200: T; 503: T } {
  return { 200: schema, 503: schema }
}
