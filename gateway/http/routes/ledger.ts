import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'

/** Where every reading went: the loss ledger, and the messages that could not be decoded. */
export function ledgerRoutes(app: App, { api }: AppParts): void {
  app.get(
    '/api/audit',
    { schema: { tags: ['ledger'], summary: 'The loss ledger', response: { 200: schemas.audit } } },
    async () => api.audit(),
  )

  app.get(
    '/api/deadletters',
    {
      schema: {
        tags: ['ledger'],
        summary: 'Messages that could not be decoded',
        querystring: schemas.deadLetterQuery,
        response: { 200: schemas.deadLetters },
      },
    },
    async (request) => api.deadLetters(request.query.limit),
  )
}
