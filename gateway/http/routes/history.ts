import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'

/** What a field was. */
export function historyRoutes(app: App, { api }: AppParts): void {
  app.get(
    '/api/history',
    {
      schema: {
        tags: ['data'],
        summary: "One field over time, of a device's readings or a window's results",
        querystring: schemas.historyQuery,
        response: { 200: schemas.history, 400: schemas.failure, 404: schemas.failure },
      },
    },
    async (request) => api.history(request.query),
  )
}
