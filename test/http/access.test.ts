import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { checkAccess, isLoopback } from '../../gateway/http/access.ts'
import { SECRET, type Served, serve } from './serve.ts'

describe('without a token', () => {
  let served: Served
  before(async () => {
    served = await serve()
  })
  after(() => served.server.stop())

  test('this machine may ask by any of its loopback names', async () => {
    for (const host of [
      'localhost',
      'localhost:8080',
      '127.0.0.1',
      '127.0.0.1:9',
      '[::1]:8080',
      'pi.localhost',
      'LOCALHOST.',
    ])
      assert.equal((await served.ask('GET', '/api/status', { headers: { host } })).status, 200, host)
  })

  test('a name bound to the loopback address is refused', async () => {
    for (const host of [
      'evil.example',
      'evil.example:8080',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      'evillocalhost',
      '10.0.0.1',
      '[::2]',
      'a b',
      '@localhost',
    ]) {
      const answer = await served.ask('GET', '/api/status', { headers: { host } })
      assert.equal(answer.status, 421, host)
      assert.equal(answer.json.code, 'SLUICE_HOST_REFUSED')
    }
  })

  test('health is behind the same rule, so that nothing leaks to a rebound name', async () => {
    assert.equal((await served.ask('GET', '/healthz', { headers: { host: 'evil.example' } })).status, 421)
  })

  test('a page of this gateway may ask, a page of another site may not', async () => {
    const host = `127.0.0.1:${served.port}`
    const by = (origin: string) => served.ask('POST', '/api/outbox/cloud/retry', { headers: { host, origin } })
    assert.equal((await by(`http://${host}`)).status, 200)
    for (const origin of [
      'http://evil.example',
      'null',
      'http://127.0.0.1:1',
      `http://localhost:${served.port}`,
      `file://${host}`,
    ]) {
      const answer = await by(origin)
      assert.equal(answer.status, 403, origin)
      assert.equal(answer.json.code, 'SLUICE_ORIGIN_REFUSED')
    }
  })

  test('a cross-site request without an origin is refused, a followed link is not', async () => {
    const site = { 'sec-fetch-site': 'cross-site' }
    assert.equal((await served.ask('GET', '/api/status', { headers: site })).status, 403)
    const link = { ...site, 'sec-fetch-mode': 'navigate' }
    assert.equal((await served.ask('GET', '/', { headers: link })).status, 200)
    assert.equal((await served.ask('POST', '/api/outbox/cloud/retry', { headers: link })).status, 403)
  })

  test('nothing was done for those that were refused', () => {
    assert.deepEqual(served.api.retried, ['cloud'])
  })
})

describe('with a token', () => {
  let served: Served
  let token = 'change-me'
  before(async () => {
    served = await serve({ token: () => token })
  })
  after(() => served.server.stop())

  test('everything but health needs it', async () => {
    for (const path of ['/', '/metrics', '/api/status', '/api/events', '/nowhere']) {
      const answer = await served.ask('GET', path)
      assert.equal(answer.status, 401, path)
      assert.equal(answer.json.code, 'SLUICE_UNAUTHORIZED')
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/)
    }
    for (const path of ['/healthz', '/readyz', '/healthz?verbose=1'])
      assert.equal((await served.ask('GET', path)).status, 200, path)
  })

  test('the right one opens, from any host name', async () => {
    const headers = { authorization: 'Bearer change-me', host: 'gateway.example' }
    assert.equal((await served.ask('GET', '/api/status', { headers })).status, 200)
  })

  test('a wrong one, a prefix and another scheme do not', async () => {
    for (const authorization of [
      'Bearer nope',
      'Bearer change-m',
      'Bearer change-me2',
      'Bearer',
      'Basic change-me',
      'change-me',
    ])
      assert.equal((await served.ask('GET', '/api/status', { headers: { authorization } })).status, 401, authorization)
  })

  test('the local secret opens too', async () => {
    assert.equal(
      (await served.ask('GET', '/api/status', { headers: { authorization: `Bearer ${SECRET}` } })).status,
      200,
    )
  })

  test('a reloaded token takes effect at once', async () => {
    token = 'changed'
    assert.equal(
      (await served.ask('GET', '/api/status', { headers: { authorization: 'Bearer change-me' } })).status,
      401,
    )
    assert.equal((await served.ask('GET', '/api/status', { headers: { authorization: 'Bearer changed' } })).status, 200)
  })
})

test('without a token another machine is refused, whatever it says, unless it knows the local secret', () => {
  const access = { credentials: () => [], secret: SECRET, hosts: ['0.0.0.0'] }
  const asking = (headers: object) => ({
    headers: { host: 'localhost', ...headers },
    method: 'GET',
    url: '/healthz',
    socket: { remoteAddress: '10.0.0.5' },
  })
  assert.throws(() => checkAccess(access, asking({})), { status: 403, code: 'SLUICE_LOOPBACK_ONLY' })
  assert.throws(() => checkAccess(access, asking({ 'x-forwarded-for': '127.0.0.1' })), { code: 'SLUICE_LOOPBACK_ONLY' })
  checkAccess(access, asking({ authorization: `Bearer ${SECRET}` }))
})

test('loopback is 127.0.0.0/8 and ::1, also when mapped into IPv6', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(address), address)
  for (const address of [undefined, '', '10.0.0.1', '::ffff:10.0.0.1', '128.0.0.1', '127.0.0.1.evil', '::2'])
    assert.ok(!isLoopback(address), address)
})
