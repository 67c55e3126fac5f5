import type { FastifyRequest } from 'fastify'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'

/** Who changed what. */
export function changeRoutes(app: App, { api }: AppParts): void {
  app.get(
    '/api/changes',
    {
      schema: {
        tags: ['status'],
        summary: 'What people changed, newest first; commands are listed with the commands',
        querystring: schemas.changeQuery,
        response: { 200: schemas.changeList },
      },
    },
    async (request) => ({ changes: await api.changes(request.query.limit) }),
  )
}

/** Puts a change that was made on record, with whoever asked for it. */
export async function recordChange(
  { api }: Pick<AppParts, 'api'>,
  { caller, raw }: Pick<FastifyRequest, 'caller' | 'raw'>,
  action: string,
  what: string,
  details?: Record<string, unknown>,
): Promise<void> {
  const address = raw.socket.remoteAddress
  await api.recordChange({
    who: caller?.name ?? 'local',
    role: caller?.role ?? 'operator',
    ...(address === undefined ? {} : { address }),
    action,
    what,
    ...(details === undefined ? {} : { details }),
  })
}
