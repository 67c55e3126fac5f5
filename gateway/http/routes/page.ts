import { RequestError } from '../../errors.ts'
import type { App, AppParts } from '../app.ts'

const PLAIN = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sluice</title>
<h1>Sluice</h1><p>This gateway runs without its dashboard. Its API:</p><ul>
<li><a href="/api/status">/api/status</a><li><a href="/api/devices">/api/devices</a>
<li><a href="/api/windows">/api/windows</a><li><a href="/api/commands">/api/commands</a>
<li><a href="/api/outbox">/api/outbox</a><li><a href="/api/audit">/api/audit</a>
<li><a href="/api/deadletters">/api/deadletters</a><li><a href="/metrics">/metrics</a>
<li><a href="/healthz">/healthz</a></ul></html>
`

/** The dashboard's files, or until there is one a plain page. */
export function pageRoutes(app: App, { dashboard }: AppParts): void {
  const schema = { hide: true }
  app.get('/', { schema }, async (_request, reply) => {
    const file = dashboard?.('/') ?? { body: Buffer.from(PLAIN), type: 'text/html; charset=utf-8' }
    return reply.type(file.type).send(file.body)
  })
  if (!dashboard) return
  app.get('/*', { schema }, async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '/'
    const file = dashboard(path)
    if (!file) throw new RequestError(404, 'SLUICE_NOT_FOUND', `there is nothing at ${path}`)
    return reply.type(file.type).send(file.body)
  })
}
