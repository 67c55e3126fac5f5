import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Served, serve } from './serve.ts'

const CREDENTIALS = [
  { name: 'operator', role: 'operator', token: 'op' },
  { name: 'anna', role: 'operator', token: 'of-anna' },
  { name: 'wall', role: 'viewer', token: 'look' },
] as const

const CHANGES = [
  ['POST', '/api/commands', { device: 'd', command: 'on' }],
  ['DELETE', '/api/commands/c1'],
  ['POST', '/api/alerts/7/ack', {}],
  ['POST', '/api/outbox/cloud/retry'],
  ['POST', '/api/outbox/cloud/skip', {}],
  ['POST', '/api/outbox/old/forget'],
  ['PUT', '/api/devices/lamp', { name: 'Lamp' }],
  ['DELETE', '/api/devices/lamp'],
  ['POST', '/api/config', { yaml: 'log: {}' }],
  ['POST', '/api/config/check', { yaml: 'log: {}' }],
  ['PUT', '/api/log-level', { level: 'debug' }],
  ['POST', '/api/telemetry/d', { t: 1 }],
] as const

describe('roles', () => {
  let served: Served
  before(async () => {
    served = await serve({ credentials: () => CREDENTIALS })
  })
  after(() => served.server.stop())

  const as = (token: string, method: string, path: string, body?: unknown) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const headers = { authorization: `Bearer ${token}`, ...type }
    return served.ask(method, path, { headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  }

  test('a viewer sees, also with HEAD, and changes nothing', async () => {
    for (const path of ['/api/status', '/api/devices', '/api/outbox', '/api/changes', '/api/devices.yaml', '/metrics'])
      for (const method of ['GET', 'HEAD'])
        assert.equal((await as('look', method, path)).status, 200, `${method} ${path}`)
    for (const [method, path, body] of CHANGES) {
      const answer = await as('look', method, path, body)
      assert.deepEqual([answer.status, answer.json.code], [403, 'SLUICE_OPERATOR_ONLY'], `${method} ${path}`)
    }
    assert.deepEqual([served.api.changed, [...served.api.sent], served.api.taken], [[], [], []])
    assert.equal((await as('look', 'GET', '/api/config/file')).json.code, 'SLUICE_OPERATOR_ONLY')
  })

  test('an operator may do all of it', async () => {
    await as('op', 'POST', '/api/commands', { id: 'c1', device: 'd', command: 'on' })
    for (const [method, path, body] of CHANGES)
      assert.ok((await as('op', method, path, body)).status < 300, `${method} ${path}`)
    assert.equal((await as('op', 'GET', '/api/config/file')).status, 200)
  })

  test('what was changed is on record, with who did it', async () => {
    const changes = served.api.changed.map(({ who, role, action }) => [who, role, action])
    assert.deepEqual(changes, [
      ['operator', 'operator', 'alert.acknowledge'],
      ['operator', 'operator', 'outbox.retry'],
      ['operator', 'operator', 'outbox.skip'],
      ['operator', 'operator', 'outbox.forget'],
      ['operator', 'operator', 'device.describe'],
      ['operator', 'operator', 'device.forget'],
      ['operator', 'operator', 'config.apply'],
      ['operator', 'operator', 'log.level'],
    ])
    const { changes: shown } = (await as('look', 'GET', '/api/changes?limit=1')).json as {
      changes: { action: string }[]
    }
    assert.deepEqual(
      shown.map(({ action }) => action),
      ['log.level'],
    )
  })

  test('a user with a name stands by it, the others are the api', async () => {
    assert.equal(
      (await as('of-anna', 'POST', '/api/commands', { id: 'c2', device: 'd', command: 'on' })).json.by,
      'api:anna',
    )
    assert.equal((await as('op', 'POST', '/api/commands', { id: 'c3', device: 'd', command: 'on' })).json.by, 'api')
    const seen = await as('of-anna', 'POST', '/api/alerts/7/ack', { by: 'somebody else' })
    assert.equal(seen.json.by, 'api:anna')
    assert.equal(served.api.changed.at(-1)?.who, 'anna')
  })

  test('a browser that signed in has the role of its token', async () => {
    const json = { 'content-type': 'application/json' }
    const origin = `http://127.0.0.1:${served.port}`
    const { headers } = await served.ask('POST', '/api/session', { headers: json, body: '{"token":"look"}' })
    const cookie = headers['set-cookie']?.[0]?.split(';', 1)[0] ?? ''
    const session = await served.ask('GET', '/api/session', { headers: { cookie } })
    assert.deepEqual([session.json.user, session.json.role], ['wall', 'viewer'])
    const own = { cookie, origin, host: `127.0.0.1:${served.port}` }
    assert.equal(
      (await served.ask('POST', '/api/outbox/cloud/retry', { headers: own })).json.code,
      'SLUICE_OPERATOR_ONLY',
    )
    assert.equal((await served.ask('DELETE', '/api/session', { headers: own })).status, 204)
    assert.equal((await served.ask('GET', '/api/status', { headers: { cookie } })).status, 401)
  })
})

test('without a token the config file is not for everybody on this machine', async () => {
  const served = await serve()
  const change = { headers: { 'content-type': 'application/json' }, body: '{"yaml":"log: {}"}' }
  for (const answer of [await served.ask('GET', '/api/config/file'), await served.ask('POST', '/api/config', change)])
    assert.deepEqual([answer.status, answer.json.code], [403, 'SLUICE_TOKEN_NEEDED'])
  assert.equal((await served.ask('POST', '/api/config/check', change)).status, 200)
  await served.server.stop()
})
