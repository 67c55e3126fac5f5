/** `/api/session`: the token for a cookie, and back. */
import { z } from 'zod'
import { RequestError } from '../errors.ts'
import { isKnown } from '../http/access.ts'
import type { App, AppParts } from '../http/app.ts'
import { failure } from '../http/schemas.ts'
import { createAttempts } from './attempts.ts'
import { sessionCookie, sessionOf } from './cookie.ts'
import { SESSION_LENGTH, type Sessions } from './sessions.ts'

const session = z
  .object({
    needed: z.boolean().describe('whether this gateway has a token'),
    signedIn: z.boolean(),
    gateway: z.string().optional().describe('only for those who are signed in'),
  })
  .describe('whether who asks may see more')

const signIn = z.strictObject({ token: z.string().max(4096) }).describe('what a person typed')

export function sessionRoutes(app: App, { access, api, clock }: AppParts, sessions: Sessions): void {
  const attempts = createAttempts(clock)
  const tags = ['session']

  app.get(
    '/api/session',
    { schema: { tags, summary: 'Whether one must sign in', response: { 200: session } } },
    async ({ raw }) => {
      const needed = access.token() !== undefined
      const signedIn = !needed || isKnown(access, raw)
      return { needed, signedIn, ...(signedIn ? { gateway: api.gateway } : {}) }
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
      const token = access.token()
      if (token === undefined) return reply.code(204).send()
      const wait = attempts.take(request.raw.socket.remoteAddress ?? '')
      if (wait > 0) {
        reply.header('retry-after', String(wait))
        throw new RequestError(429, 'SLUICE_TOO_MANY_TRIES', `too many tries: wait ${wait} s`)
      }
      const asking = { ...bare(request.raw), headers: { authorization: `Bearer ${request.body.token}` } }
      if (!isKnown(access, asking)) throw new RequestError(401, 'SLUICE_UNAUTHORIZED', 'wrong token')
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

function bare({ method, url, socket }: Raw) {
  return { method: method ?? 'POST', url: url ?? '', socket }
}

function visitor({ headers, socket }: Raw) {
  const { localPort } = socket
  return { headers, socket: { localPort, encrypted: 'encrypted' in socket && socket.encrypted === true } }
}
