/** `/api/session`: the token for a cookie, and back. */
import { z } from 'zod'
import { RequestError } from '../errors.ts'
import { callerOf, credentialOf } from '../http/access.ts'
import type { App, AppParts } from '../http/parts.ts'
import { failure } from '../http/schemas.ts'
import { createAttempts } from './attempts.ts'
import { sessionCookie, sessionOf } from './cookie.ts'
import { SESSION_LENGTH, type Sessions } from './sessions.ts'

const session = z
  .object({
    needed: z.boolean().describe('whether this gateway has a token'),
    signedIn: z.boolean(),
    user: z.string().optional().describe('who asks: `local`, `cli`, `operator`, or the name of a user'),
    role: z.enum(['operator', 'viewer']).optional().describe('a viewer may look, an operator also change'),
    gateway: z.string().optional().describe('only for those who are signed in'),
  })
  .describe('whether who asks may see more')

const signIn = z.strictObject({ token: z.string().max(4096) }).describe('what a person typed')

export function sessionRoutes(app: App, { access, api, clock, log }: AppParts, sessions: Sessions): void {
  const attempts = createAttempts(clock)
  const tags = ['session']

  app.get(
    '/api/session',
    { schema: { tags, summary: 'Whether one must sign in', response: { 200: session } } },
    async ({ raw }) => {
      const needed = access.credentials().length > 0
      const caller = needed ? callerOf(access, raw) : { name: 'local', role: 'operator' as const }
      if (!caller) return { needed, signedIn: false }
      return { needed, signedIn: true, user: caller.name, role: caller.role, gateway: api.gateway }
    },
  )

  app.post(
    '/api/session',
    {
      bodyLimit: 8192,
      schema: {
        tags,
        summary: 'Sign in: the token for an HttpOnly cookie',
        body: signIn,
        response: { 204: z.null().describe('signed in'), 401: failure, 429: failure },
      },
    },
    async (request, reply) => {
      if (access.credentials().length === 0) return reply.code(204).send()
      const wait = attempts.take(request.raw.socket.remoteAddress ?? '')
      if (wait > 0) {
        reply.header('retry-after', String(wait))
        throw new RequestError(429, 'SLUICE_TOO_MANY_TRIES', `too many tries: wait ${wait} s`)
      }
      const { token } = request.body
      const caller = credentialOf(access, token)
      const address = request.raw.socket.remoteAddress
      if (!caller) {
        log.warn({ address }, 'a wrong token was tried')
        throw new RequestError(401, 'SLUICE_UNAUTHORIZED', 'wrong token')
      }
      log.info({ who: caller.name, address }, `${caller.name} signed in`)
      const cookie = sessionCookie(sessions.open(token), SESSION_LENGTH, visitor(request.raw))
      return reply.header('set-cookie', cookie).code(204).send()
    },
  )

  app.delete(
    '/api/session',
    { schema: { tags, summary: 'Sign out', response: { 204: z.null().describe('signed out') } } },
    async (request, reply) => {
      const id = sessionOf(request.raw)
      if (id !== undefined) sessions.close(id)
      return reply
        .header('set-cookie', sessionCookie('', 0, visitor(request.raw)))
        .code(204)
        .send()
    },
  )
}

type Raw = import('node:http').IncomingMessage

function visitor({ headers, socket }: Raw) {
  const { localPort } = socket
  return { headers, socket: { localPort, encrypted: 'encrypted' in socket && socket.encrypted === true } }
}
