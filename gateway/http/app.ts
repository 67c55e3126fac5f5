/** The application: hooks, failures and routes, wired to an `Api`, not yet listening. */
import Fastify, { type HTTPMethods } from 'fastify'
import { z } from 'zod'
import { createSessions } from '../dashboard/sessions.ts'
import { sessionRoutes } from '../dashboard/sign-in.ts'
import { RequestError } from '../errors.ts'
import { checkAccess } from './access.ts'
import { fail } from './failures.ts'
import { SECURITY_HEADERS } from './headers.ts'
import type { App, AppParts, ZodTypes } from './parts.ts'
import { alertRoutes } from './routes/alerts.ts'
import { changeRoutes } from './routes/changes.ts'
import { commandRoutes } from './routes/commands.ts'
import { configRoutes } from './routes/config.ts'
import { deviceRoutes } from './routes/devices.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { historyRoutes } from './routes/history.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { outboxRoutes } from './routes/outbox.ts'
import { pageRoutes } from './routes/page.ts'
import { telemetryRoutes } from './routes/telemetry.ts'

const METHODS: readonly HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** @param prepare runs before the routes are added, for what must see them (the OpenAPI generator) */
export async function createApp(given: AppParts, prepare?: (app: App) => Promise<void>): Promise<App> {
  const sessions = createSessions(given.clock)
  const { dashboard } = given
  const page = (path: string) => dashboard?.(path) !== undefined
  const parts = { ...given, access: { ...given.access, session: sessions.tokenOf, page } }
  const app: App = Fastify({
    logger: false,
    bodyLimit: parts.maxBody,
    exposeHeadRoutes: true,
    // Fastify loads its own compilers, about a megabyte of memory, unless it is given others from the start.
    schemaController: {
      compilersFactory: { buildValidator: unusedCompiler, buildSerializer: () => () => JSON.stringify },
    },
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: (error, _request, reply) => void fail(error, reply, parts.log),
  }).withTypeProvider<ZodTypes>()
  app.setValidatorCompiler(validator)
  app.setSerializerCompiler(() => JSON.stringify)
  guard(app, parts)
  await prepare?.(app)
  const offered = countMethods(app)
  addRoutes(app, parts)
  sessionRoutes(app, parts, sessions)
  await app.after()
  refuseOtherMethods(app, offered)
  await app.ready()
  return app
}

/** Every route's schemas go to the compilers that are set below. */
function unusedCompiler() {
  return (): never => {
    throw new TypeError('a schema reached the compiler that is not used')
  }
}

/** Requests are checked by zod; answers are sent as they are. */
function validator({ schema, httpPart }: { schema: unknown; httpPart?: string | undefined }) {
  return (data: unknown) => {
    if (!(schema instanceof z.ZodType)) return { value: data }
    const checked = schema.safeParse(data)
    if (checked.success) return { value: checked.data }
    return { error: new RequestError(400, 'SLUICE_BAD_REQUEST', mistakes(httpPart ?? 'request', checked.error)) }
  }
}

function mistakes(part: string, error: z.ZodError): string {
  return error.issues
    .map((issue) => `${[part, ...issue.path.map(String)].join('.')}: ${issue.message.toLowerCase()}`)
    .join('; ')
}

function guard(app: App, parts: AppParts): void {
  app.decorateRequest('caller', null)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS)
    request.caller = checkAccess(parts.access, request.raw) ?? null
  })
  app.setErrorHandler((error, _request, reply) => fail(error, reply, parts.log))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]
    return fail(new RequestError(404, 'SLUICE_NOT_FOUND', `there is nothing at ${path}`), reply, parts.log)
  })
}

function addRoutes(app: App, parts: AppParts): void {
  healthRoutes(app, parts)
  deviceRoutes(app, parts)
  changeRoutes(app, parts)
  configRoutes(app, parts)
  historyRoutes(app, parts)
  commandRoutes(app, parts)
  alertRoutes(app, parts)
  outboxRoutes(app, parts)
  ledgerRoutes(app, parts)
  eventRoutes(app, parts)
  telemetryRoutes(app, parts)
  pageRoutes(app, parts)
}

function countMethods(app: App): Map<string, Set<string>> {
  const offered = new Map<string, Set<string>>()
  app.addHook('onRoute', (route) => {
    const methods = offered.get(route.url) ?? new Set()
    for (const method of [route.method].flat()) methods.add(method)
    offered.set(route.url, methods)
  })
  return offered
}

/** A known path asked with a method it does not have is 405, not 404. */
function refuseOtherMethods(app: App, offered: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, methods] of [...offered]) {
    const allow = [...methods].join(', ')
    const refuse = async (request: { method: string }, reply: { header(name: string, value: string): unknown }) => {
      reply.header('allow', allow)
      throw new RequestError(405, 'SLUICE_METHOD_NOT_ALLOWED', `${request.method} is not for this path, but ${allow}`)
    }
    const rest = METHODS.filter((method) => !methods.has(method))
    app.route({ method: rest, url, schema: { hide: true }, onRequest: refuse, handler: refuse })
  }
}
