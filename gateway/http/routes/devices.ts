import { z } from 'zod'
import { RequestError } from '../../errors.ts'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'
import { recordChange } from './changes.ts'

const params = z.object({ id: z.string() })

/** Devices with their last readings, and window results. */
export function deviceRoutes(app: App, parts: AppParts): void {
  const { api } = parts

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
    '/api/devices.yaml',
    {
      schema: {
        tags: ['data'],
        summary: 'What is said of devices as a `devices` section of the config, for version control',
        response: schemas.content('application/yaml', 'without addresses of webhooks for a viewer'),
      },
    },
    async (request, reply) =>
      reply
        .type('application/yaml; charset=utf-8')
        .serializer(String)
        .send(api.devicesYaml(request.caller?.role === 'operator')),
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

  app.put(
    '/api/devices/:id',
    {
      bodyLimit: 64 * 1024,
      schema: {
        tags: ['data'],
        summary: 'Say what a device is: name, room, kind, units, commands; as in the `devices` section of the config',
        params,
        body: schemas.deviceDescription,
        response: { 200: schemas.device, 400: schemas.failure, 409: schemas.failure },
      },
    },
    async (request) => {
      const { id } = request.params
      const device = await api.describeDevice(id, request.body)
      await recordChange(parts, request, 'device.describe', `described device ${id}`, { id })
      return device
    },
  )

  app.delete(
    '/api/devices/:id',
    {
      schema: {
        tags: ['data'],
        summary: 'Forget what was said of a device; its readings stay',
        params,
        response: { 204: z.null().describe('forgotten'), 404: schemas.failure, 409: schemas.failure },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      if (!(await api.forgetDescription(id)))
        throw new RequestError(404, 'SLUICE_UNKNOWN_DEVICE', `nothing was said of device ${id}`)
      await recordChange(parts, request, 'device.forget', `forgot the description of device ${id}`, { id })
      return reply.code(204).send()
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
