import { Readable } from 'node:stream'
import { z } from 'zod'
import { notRemoved, unknownSink } from '../../outbox/unknown.ts'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'
import { recordChange } from './changes.ts'

/** What waits to go upstream: looking, trying again, giving up, taking a copy. */
export function outboxRoutes(app: App, parts: AppParts): void {
  const { api, trends } = parts

  app.get(
    '/api/outbox',
    { schema: { tags: ['outbox'], summary: 'What waits, per upstream', response: { 200: schemas.outbox } } },
    async () => trends.rated(api.outbox()),
  )

  app.get(
    '/api/outbox/history',
    {
      schema: {
        tags: ['outbox'],
        summary: 'What waited per upstream and class, and how fast it came and left',
        querystring: schemas.outboxHistoryQuery,
        response: { 200: schemas.outboxHistory },
      },
    },
    async (request) => trends.history(request.query.span),
  )

  app.post(
    '/api/outbox/:sink/retry',
    {
      schema: {
        tags: ['outbox'],
        summary: 'Try now',
        params: schemas.sinkParams,
        response: { 200: schemas.outboxSink, 404: schemas.failure },
      },
    },
    async (request) => {
      const { sink } = request.params
      const status = found(await api.retrySink(sink), sink)
      await recordChange(parts, request, 'outbox.retry', `let upstream ${sink} try now`, { sink })
      return status
    },
  )

  app.post(
    '/api/outbox/:sink/skip',
    {
      schema: {
        tags: ['outbox'],
        summary: 'Give up what waits; recorded as a gap',
        params: schemas.sinkParams,
        body: schemas.skipRequest,
        response: { 200: schemas.skipped, 404: schemas.failure },
      },
    },
    async (request) => {
      const { sink } = request.params
      const skipped = found(await api.skipSink(sink, request.body ?? {}), sink)
      await recordChange(parts, request, 'outbox.skip', `gave up ${skipped} records of upstream ${sink}`, {
        sink,
        skipped,
        ...request.body,
      })
      return { skipped }
    },
  )

  app.post(
    '/api/outbox/:sink/forget',
    {
      schema: {
        tags: ['outbox'],
        summary: 'Drop what is kept for an upstream that left the config',
        params: schemas.sinkParams,
        response: { 204: z.null().describe('forgotten'), 404: schemas.failure },
      },
    },
    async (request, reply) => {
      const { sink } = request.params
      if (!(await api.forgetSink(sink))) throw notRemoved(sink)
      await recordChange(parts, request, 'outbox.forget', `dropped what was kept for upstream ${sink}`, { sink })
      return reply.code(204).send()
    },
  )

  app.get(
    '/api/outbox/:sink/export',
    {
      schema: {
        tags: ['outbox'],
        summary: 'A copy of what waits, one JSON record per line',
        params: schemas.sinkParams,
        querystring: schemas.exportQuery,
        response: schemas.content('application/x-ndjson', 'oldest first, events before results before readings'),
      },
    },
    async (request, reply) => {
      const { sink } = request.params
      const records = found(api.exportSink(sink, request.query.class), sink)
      return reply
        .type('application/x-ndjson; charset=utf-8')
        .send(Readable.from(lines(records), { objectMode: false }))
    },
  )
}

const PIECE = 64 * 1024
const NEWLINE = Buffer.from('\n')

/** Joins records into pieces, so that a small record is not a write of its own. */
async function* lines(records: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = []
  let size = 0
  for await (const record of records) {
    waiting.push(record, NEWLINE)
    size += record.length + 1
    if (size < PIECE) continue
    yield Buffer.concat(waiting, size)
    waiting = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(waiting, size)
}

function found<T>(value: T | undefined, sink: string): T {
  if (value === undefined) throw unknownSink(sink)
  return value
}
