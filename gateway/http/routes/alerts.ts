import { z } from 'zod'
import { RequestError } from '../../errors.ts'
import { type App, type AppParts, byOf } from '../parts.ts'
import * as schemas from '../schemas.ts'
import { recordChange } from './changes.ts'

const params = z.object({ id: z.string() })

/** Alerts that are raised, and that somebody has seen them. */
export function alertRoutes(app: App, parts: AppParts): void {
  const { api } = parts

  app.get(
    '/api/alerts',
    {
      schema: {
        tags: ['alerts'],
        summary: 'Alerts that are raised, and what alerts did last',
        response: { 200: schemas.alertList },
      },
    },
    async () => ({ alerts: api.alerts(), history: api.alertHistory() }),
  )

  app.post(
    '/api/alerts/:id/ack',
    {
      schema: {
        tags: ['alerts'],
        summary: 'Somebody has seen the alert: it is not said again',
        params,
        body: schemas.acknowledgement,
        response: { 200: schemas.alert, 404: schemas.failure },
      },
    },
    async (request) => {
      const { id } = request.params
      const alert = api.alerts().find((one) => one.id === id)
      const { by, note } = request.body ?? {}
      const known = byOf(request)
      // A user with a name of their own has seen it under that name.
      const seen = { by: known === 'api' ? (by ?? known) : known, ...(note === undefined ? {} : { note }) }
      if (!alert || !(await api.acknowledgeAlert(id, seen)))
        throw new RequestError(404, 'SLUICE_UNKNOWN_ALERT', `no alert that is raised has the id ${id}`)
      await recordChange(parts, request, 'alert.acknowledge', `acknowledged alert ${id} of rule ${alert.rule}`, {
        id,
        ...seen,
      })
      return { ...alert, acknowledged: true, ...seen }
    },
  )
}
