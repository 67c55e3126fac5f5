import { gunzipSync } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestError } from '../../errors.ts'
import { callerOf } from '../access.ts'
import type { App, AppParts, DashboardFile } from '../parts.ts'

const PLAIN = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sluice</title>
<h1>Sluice</h1><p>This gateway runs without its dashboard. Its API:</p><ul>
<li><a href="/api/status">/api/status</a><li><a href="/api/devices">/api/devices</a>
<li><a href="/api/windows">/api/windows</a><li><a href="/api/commands">/api/commands</a>
<li><a href="/api/outbox">/api/outbox</a><li><a href="/api/audit">/api/audit</a>
<li><a href="/api/deadletters">/api/deadletters</a><li><a href="/metrics">/metrics</a>
<li><a href="/healthz">/healthz</a></ul></html>
`

/** The dashboard's files, or without them a plain page. */
export function pageRoutes(app: App, { access, dashboard }: AppParts): void {
  const schema = { hide: true }
  app.get('/', { schema }, async (request, reply) => {
    const file = dashboard?.('/')
    if (!file) return reply.type('text/html; charset=utf-8').send(PLAIN)
    // The form to sign in is what the page shows to those who may not see more.
    const signedIn = access.credentials().length === 0 || callerOf(access, request.raw) !== undefined
    return sendFile(request, reply.code(signedIn ? 200 : 401), file)
  })
  if (!dashboard) return
  app.get('/*', { schema }, async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '/'
    const file = dashboard(path)
    if (!file) throw new RequestError(404, 'SLUICE_NOT_FOUND', `there is nothing at ${path}`)
    return sendFile(request, reply, file)
  })
}

function sendFile(request: FastifyRequest, reply: FastifyReply, file: DashboardFile): FastifyReply {
  if (file.lasting) reply.header('cache-control', 'public, max-age=31536000, immutable')
  reply.type(file.type)
  if (!file.gzip) return reply.send(file.body)
  reply.header('vary', 'accept-encoding')
  if (!/\bgzip\b/.test(String(request.headers['accept-encoding']))) return reply.send(gunzipSync(file.body))
  return reply.header('content-encoding', 'gzip').send(file.body)
}
