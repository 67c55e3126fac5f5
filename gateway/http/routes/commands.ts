import { z } from 'zod'
import { RequestError } from '../../errors.ts'
import { type App, type AppParts, byOf } from '../parts.ts'
import * as schemas from '../schemas.ts'

const params = z.object({ id: z.string() })

/** Telecommands: sending, and how far they are. */
export function commandRoutes(app: App, { api }: AppParts): void {
  app.get(
    '/api/commands',
    {
      schema: {
        tags: ['commands'],
        summary: 'Commands, newest first',
        querystring: schemas.commandQuery,
        response: { 200: schemas.commandList },
      },
    },
    async (request) => ({ commands: api.commands(request.query) }),
  )

  app.get(
    '/api/commands/:id',
    {
      schema: {
        tags: ['commands'],
        summary: 'One command',
        params,
        response: { 200: schemas.command, 404: schemas.failure },
      },
    },
    async (request) => {
      const command = api.command(request.params.id)
      if (!command) throw new RequestError(404, 'SLUICE_UNKNOWN_COMMAND', `no command has the id ${request.params.id}`)
      return command
    },
  )

  app.delete(
    '/api/commands/:id',
    {
      schema: {
        tags: ['commands'],
        summary: 'Cancel a command; one that is done stays as it is',
        params,
        response: { 200: schemas.command, 404: schemas.failure },
      },
    },
    async (request) => {
      const { id } = request.params
      const command = await api.cancelCommand(id, byOf(request))
      if (!command) throw new RequestError(404, 'SLUICE_UNKNOWN_COMMAND', `no command has the id ${id}`)
      return command
    },
  )

  app.post(
    '/api/commands',
    {
      bodyLimit: 256 * 1024,
      schema: {
        tags: ['commands'],
        summary: 'Send a command; the same id twice is one command',
        body: schemas.commandRequest,
        response: { 200: schemas.command, 202: schemas.command, 400: schemas.failure },
      },
    },
    async (request, reply) => {
      const { repeated, command } = await api.sendCommand(request.body, byOf(request))
      return reply.code(repeated ? 200 : 202).send(command)
    },
  )
}
