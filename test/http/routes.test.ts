import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { RequestError, StartError } from '../../gateway/errors.ts'
import { openapi } from '../../gateway/http/openapi.ts'
import { startHttp } from '../../gateway/http/server.ts'
import { SECRET, type Served, serve } from './serve.ts'

describe('the API', () => {
  let served: Served
  before(async () => {
    served = await serve()
  })
  after(() => served.server.stop())

  const get = (path: string) => served.ask('GET', path)
  const post = (path: string, body?: unknown) =>
    served.ask(
      'POST',
      path,
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
    )

  test('status shows the stages in flow order with their rates', async () => {
    const { json } = await get('/api/status')
    const stages = json.stages as { stage: string; inRate: number; errors: object }[]
    assert.deepEqual(
      stages.map((stage) => stage.stage),
      ['ingest', 'window'],
    )
    assert.deepEqual(stages[0]?.errors, { dropped: 2 })
    assert.equal(json.gateway, 'site-7')
  })

  test('devices are listed and found by id', async () => {
    assert.equal((await get('/api/devices')).json.total, 2)
    assert.equal((await get('/api/devices?match=dvc3002')).json.total, 1)
    assert.equal((await get('/api/devices/dvc3001')).json.id, 'dvc3001')
    const missing = await get('/api/devices/nobody')
    assert.deepEqual([missing.status, missing.json.code], [404, 'SLUICE_UNKNOWN_DEVICE'])
  })

  test('windows, audit and dead letters are shown', async () => {
    assert.equal((await get('/api/windows')).status, 200)
    assert.equal((await get('/api/audit')).json.balanced, true)
    const letters = await get('/api/deadletters')
    assert.deepEqual(letters.json.reasons, { json: 2 })
    assert.ok('total' in letters.json && 'last' in letters.json)
  })

  test('a query that makes no sense is refused with the reason', async () => {
    const answer = await get('/api/devices?limit=0')
    assert.equal(answer.status, 400)
    assert.equal(answer.json.code, 'SLUICE_BAD_REQUEST')
    assert.match(String(answer.json.message), /limit/)
  })

  test('a command is accepted with 202, and with 200 when its id is repeated', async () => {
    const body = { id: 'a1', device: 'dvc3001', command: 'reboot', args: { delay: 5 }, deadline: '30s' }
    const first = await post('/api/commands', body)
    assert.deepEqual([first.status, first.json.state, first.json.by], [202, 'accepted', 'api'])
    assert.equal((await post('/api/commands', body)).status, 200)
    assert.equal((await get('/api/commands/a1')).json.device, 'dvc3001')
    assert.equal((await get('/api/commands/zz')).status, 404)
    assert.equal(((await get('/api/commands')).json.commands as unknown[]).length, 1)
  })

  test('a command without a device, with an unknown key or no JSON is refused', async () => {
    for (const body of [{ command: 'x' }, { device: 'a', command: 'x', comand: 1 }, [], 'x', null])
      assert.equal((await post('/api/commands', body)).status, 400, JSON.stringify(body))
    const torn = await served.ask('POST', '/api/commands', {
      headers: { 'content-type': 'application/json' },
      body: '{"a',
    })
    assert.deepEqual([torn.status, torn.json.code], [400, 'SLUICE_BAD_REQUEST'])
    const poisoned = '{"device":"a","command":"x","__proto__":{"admin":1}}'
    assert.equal(
      (await served.ask('POST', '/api/commands', { headers: { 'content-type': 'application/json' }, body: poisoned }))
        .status,
      400,
    )
  })

  test('an upstream is retried, skipped and exported by name', async () => {
    assert.equal((await post('/api/outbox/cloud/retry')).status, 200)
    assert.deepEqual((await post('/api/outbox/cloud/skip')).json, { skipped: 12 })
    assert.deepEqual((await post('/api/outbox/cloud/skip', { through: 5 })).json, { skipped: 5 })
    assert.equal((await post('/api/outbox/nowhere/skip')).json.code, 'SLUICE_UNKNOWN_UPSTREAM')
    assert.equal((await post('/api/outbox/old/forget')).status, 204)
    assert.equal((await post('/api/outbox/cloud/forget')).status, 404)
    const copy = await get('/api/outbox/cloud/export?class=result')
    assert.match(copy.headers['content-type'] ?? '', /ndjson/)
    assert.equal(copy.text, '{"seq":1,"of":"result"}\n{"seq":2,"of":"result"}\n{"seq":3,"of":"result"}\n')
    assert.equal((await get('/api/outbox/nowhere/export')).status, 404)
  })

  test('an unknown path is 404 and a wrong method 405, both coded', async () => {
    const nowhere = await get('/nowhere')
    assert.deepEqual([nowhere.status, nowhere.json.code], [404, 'SLUICE_NOT_FOUND'])
    const wrong = await served.ask('DELETE', '/api/commands', {
      body: 'not json',
      headers: { 'content-type': 'application/json' },
    })
    assert.deepEqual([wrong.status, wrong.json.code], [405, 'SLUICE_METHOD_NOT_ALLOWED'])
    assert.match(wrong.headers.allow ?? '', /GET.*POST/)
    assert.equal((await post('/healthz')).status, 405)
  })

  test('every answer has the security headers, errors too', async () => {
    for (const path of ['/api/status', '/nowhere', '/']) {
      const { headers } = await get(path)
      assert.equal(headers['x-content-type-options'], 'nosniff', path)
      assert.match(String(headers['content-security-policy']), /frame-ancestors 'none'/)
      assert.equal(headers['cache-control'], 'no-store')
    }
  })

  test('a body that is too large is 413, headers that are too large 431, and no request at all 400', async () => {
    const large = await served.ask('POST', '/api/commands', {
      headers: { 'content-type': 'application/json' },
      body: 'x'.repeat(1024 * 1024 + 1),
    })
    assert.deepEqual([large.status, large.json.code], [413, 'SLUICE_TOO_LARGE'])
    const heavy = await get('/healthz').then(() =>
      served.ask('GET', '/healthz', { headers: { 'x-heavy': 'x'.repeat(20_000) } }),
    )
    assert.deepEqual([heavy.status, heavy.json.code], [431, 'SLUICE_HEADERS_TOO_LARGE'])
    assert.match(await raw(served.port, 'hello there\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"code":"SLUICE_BAD_REQUEST"/)
  })

  test('a defect answers 500 without its details and is logged once', async () => {
    const { api } = served
    const audit = api.audit
    api.audit = async () => {
      throw new TypeError('secret internals')
    }
    const answer = await get('/api/audit')
    api.audit = audit
    assert.deepEqual([answer.status, answer.json.code], [500, 'SLUICE_DEFECT'])
    assert.doesNotMatch(answer.text, /secret|at /)
    assert.equal(served.errors.length, 1)
  })

  test('a request error of the gateway keeps its status and code', async () => {
    const { api } = served
    const send = api.sendCommand
    api.sendCommand = async () => {
      throw new RequestError(409, 'SLUICE_COMMAND_ID', 'that id is another command')
    }
    const answer = await post('/api/commands', { device: 'a', command: 'b' })
    api.sendCommand = send
    assert.deepEqual([answer.status, answer.json.code], [409, 'SLUICE_COMMAND_ID'])
  })

  test('the plain page links the API until there is a dashboard', async () => {
    const { text, headers } = await get('/')
    assert.match(headers['content-type'] ?? '', /text\/html/)
    assert.match(text, /href="\/api\/status"/)
  })
})

test('a dashboard serves its files, and the API stays where it is', async () => {
  const served = await serve()
  const dashboard = (path: string) =>
    path === '/' || path === '/app.js' ? { body: Buffer.from(path), type: 'text/plain' } : undefined
  const { api, clock } = served
  const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const options = { listen: [{ host: '127.0.0.1', port: 0 }], credentials: () => [], secret: SECRET }
  const server = await startHttp({ options, api, clock, log: quiet, dashboard })
  const other = { ...served, port: server.addresses[0]?.port ?? 0 }
  const { ask } = await import('./serve.ts')
  assert.equal((await ask(other.port, 'GET', '/app.js')).text, '/app.js')
  assert.equal((await ask(other.port, 'GET', '/')).text, '/')
  assert.equal((await ask(other.port, 'GET', '/other.js')).status, 404)
  assert.equal((await ask(other.port, 'GET', '/api/status')).json.gateway, 'site-7')
  await server.stop()
  await served.server.stop()
})

test('a port in use is one clear start error', async () => {
  const served = await serve()
  await assert.rejects(serve({ listen: [{ host: '127.0.0.1', port: served.port }] }), (error) => {
    assert.ok(error instanceof StartError)
    assert.equal(error.code, 'SLUICE_PORT_IN_USE')
    assert.equal(
      error.message,
      `http: cannot listen on 127.0.0.1:${served.port}: the port is in use; is another gateway running?`,
    )
    return true
  })
  await served.server.stop()
})

test('an unreadable certificate is one clear start error', async () => {
  const tls = { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' }
  await assert.rejects(serve({ tls }), {
    code: 'SLUICE_CERT_UNREADABLE',
    message: /cannot read certificate file \/nowhere\/cert\.pem/,
  })
})

test('it listens on several addresses at once', async () => {
  const served = await serve({
    listen: [
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.2', port: 0 },
    ],
  })
  assert.equal(served.server.addresses.length, 2)
  assert.equal(served.server.addresses[1]?.host, '127.0.0.2')
  await served.server.stop()
})

test('the OpenAPI document describes every route with its shapes', async () => {
  const document = JSON.parse(JSON.stringify(await openapi()))
  const paths = Object.keys(document.paths)
  for (const path of [
    '/healthz',
    '/metrics',
    '/api/status',
    '/api/devices/{id}',
    '/api/telemetry/{device}/{stream}',
    '/api/outbox/{sink}/export',
  ])
    assert.ok(paths.includes(path), path)
  assert.ok(!paths.includes('/'))
  const body = document.paths['/api/commands'].post.requestBody.content['application/json'].schema
  assert.deepEqual(body.required, ['device', 'command'])
  assert.ok(document.paths['/api/status'].get.responses['200'].content['application/json'].schema.properties.stages)
  assert.ok(!document.paths['/api/status'].delete)
})

/** What comes back for bytes sent as they are. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}
