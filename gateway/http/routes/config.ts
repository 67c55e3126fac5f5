import type { FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.ts'
import type { App, AppParts } from '../parts.ts'
import * as schemas from '../schemas.ts'
import { recordChange } from './changes.ts'

const BODY = 5 * 1024 * 1024

/** The config as it runs, as it stands in its file, and as it could be; and how much is logged. */
export function configRoutes(app: App, parts: AppParts): void {
  const { api, access } = parts
  const tags = ['config']

  app.get(
    '/api/config',
    {
      schema: {
        tags,
        summary: 'The config as it runs, and where each value comes from',
        response: { 200: schemas.runningConfig },
      },
    },
    async () => api.config(),
  )

  app.get(
    '/api/config/file',
    {
      schema: {
        tags,
        summary: 'The config file, secrets included: for operators with a token',
        response: { 200: schemas.configFile, 403: schemas.failure, 404: schemas.failure },
      },
    },
    async (request) => {
      refuseStrangers(request, access)
      return api.configFile()
    },
  )

  app.post(
    '/api/config/check',
    {
      bodyLimit: BODY,
      schema: {
        tags,
        summary: 'Every mistake in a changed config, and what it would change; nothing is written',
        body: schemas.configText,
        response: { 200: schemas.configCheck },
      },
    },
    async (request) => api.checkConfig(request.body.yaml),
  )

  app.post(
    '/api/config',
    {
      bodyLimit: BODY,
      schema: {
        tags,
        summary: 'Put a changed config in the file and take it, as SIGHUP does; the file before is kept beside it',
        body: schemas.configText,
        response: { 200: schemas.configCheck, 400: schemas.failure, 403: schemas.failure, 409: schemas.failure },
      },
    },
    async (request) => {
      refuseStrangers(request, access)
      const { yaml, digest } = request.body
      const applied = await api.applyConfig(yaml, digest)
      const { apply, restart, backup } = applied
      await recordChange(parts, request, 'config.apply', 'applied a changed config', { apply, restart, backup })
      return applied
    },
  )

  app.get(
    '/api/log-level',
    { schema: { tags, summary: 'How much is logged', response: { 200: schemas.logLevel } } },
    async () => ({ level: api.logLevel() }),
  )

  app.put(
    '/api/log-level',
    {
      schema: {
        tags,
        summary: 'Log more or less, until the next reload or restart',
        body: schemas.logLevel,
        response: { 200: schemas.logLevel },
      },
    },
    async (request) => {
      const { level } = request.body
      api.setLogLevel(level)
      await recordChange(parts, request, 'log.level', `set the log level to ${level}`, { level })
      return { level }
    },
  )
}

/** The config decides what the gateway runs as its own user, so it takes more than being on this machine. */
function refuseStrangers({ caller }: Pick<FastifyRequest, 'caller'>, access: AppParts['access']): void {
  if (caller?.role === 'operator' && caller.name !== 'local') return
  if (access.credentials().length === 0)
    throw new RequestError(
      403,
      'SLUICE_TOKEN_NEEDED',
      'anybody on this machine could change the config: set http.token first',
    )
  throw new RequestError(403, 'SLUICE_OPERATOR_ONLY', 'the config file holds secrets: sign in as an operator')
}
