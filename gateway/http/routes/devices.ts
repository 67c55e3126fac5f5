import { z } from 'zod'
import { RequestError } from '../../errors.ts'
import type { App, AppParts } from '../app.ts'
import * as schemas from '../schemas.ts'

const params = z.object({ id: z.string() })

/** Devices with their last readings, and window results. */
export function deviceRoutes(app: App, { api }: AppParts): void {
  app.get(
    '/api/devices',
    {
      schema: {
        tags: ['data'],
        summary: 'Devices and their last readings',
        querystring: schemas.deviceQuery,
        response: { 200: schemas.devicePage },
      },
    },
    async (request) => api.devices(request.query),
  )

  app.get(
    '/api/devices/:id',
    {
      schema: {
        tags: ['data'],
        summary: 'One device',
        params,
        response: { 200: schemas.device, 404: schemas.failure },
      },
    },
    async (request) => {
      const device = api.device(request.params.id)
      if (!device) throw new RequestError(404, 'SLUICE_UNKNOWN_DEVICE', `no reading of ${request.params.id} so far`)
      return device
    },
  )

  app.get(
    '/api/windows',
    {
      schema: {
        tags: ['data'],
        summary: 'Window definitions and their latest results',
        querystring: schemas.windowQuery,
        response: { 200: schemas.windowPage },
      },
    },
    async (request) => api.windows(request.query),
  )
}
