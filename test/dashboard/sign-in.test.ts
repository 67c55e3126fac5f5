import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { createAttempts } from '../../gateway/dashboard/attempts.ts'
import { createDashboard } from '../../gateway/dashboard/dashboard.ts'
import { createSessions, SESSION_LENGTH } from '../../gateway/dashboard/sessions.ts'
import { startHttp } from '../../gateway/http/server.ts'
import { type Ask, ask, operatorWith, SECRET, type Served, serve } from '../http/serve.ts'
import { FakeClock } from '../support/clock.ts'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { go, noBrowser, openBrowser, openPage } from './browser.ts'

describe('signing in', () => {
  let served: Served
  let token: string | undefined = 'change-me'
  let origin: string
  before(async () => {
    served = await serve({ token: () => token })
    origin = `http://127.0.0.1:${served.port}`
  })
  after(() => served.server.stop())

  const json = { 'content-type': 'application/json' }
  const signIn = (given: string, headers: Record<string, string> = {}) =>
    served.ask('POST', '/api/session', { headers: { ...json, ...headers }, body: JSON.stringify({ token: given }) })
  const cookieOf = async () => {
    await served.clock.advance(600_000)
    const { headers } = await signIn('change-me')
    return headers['set-cookie']?.[0] ?? ''
  }
  const withCookie = async (method: string, path: string, cookie: string, options: Ask = {}) =>
    served.ask(method, path, { ...options, headers: { cookie: cookie.split(';', 1)[0] ?? '', ...options.headers } })

  test('the right token gives a cookie that no script reads and no other site sends', async () => {
    const cookie = await cookieOf()
    assert.match(cookie, /^sluice-\d+=[\w-]{32}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/)
    assert.equal((await withCookie('GET', '/api/status', cookie)).status, 200)
    assert.deepEqual((await withCookie('GET', '/api/session', cookie)).json, {
      needed: true,
      signedIn: true,
      user: 'operator',
      role: 'operator',
      gateway: 'site-7',
    })
  })

  test('a wrong token gives none, and nothing is said of the gateway', async () => {
    const answer = await signIn('nope')
    assert.equal(answer.status, 401)
    assert.equal(answer.headers['set-cookie'], undefined)
    assert.deepEqual((await served.ask('GET', '/api/session')).json, { needed: true, signedIn: false })
    assert.equal((await withCookie('GET', '/api/status', `sluice-${served.port}=made-up`)).status, 401)
  })

  test('with a cookie a change must come from a page of this gateway', async () => {
    const cookie = await cookieOf()
    const retry = (headers: Record<string, string>) =>
      withCookie('POST', '/api/outbox/cloud/retry', cookie, { headers })
    assert.equal((await retry({ origin, host: `127.0.0.1:${served.port}` })).status, 200)
    assert.equal((await retry({})).status, 403)
    assert.equal((await retry({ origin: 'http://evil.example' })).status, 403)
    assert.equal(
      (await withCookie('GET', '/api/status', cookie, { headers: { 'sec-fetch-site': 'same-site' } })).status,
      403,
    )
  })

  test('another site cannot sign its visitors in', async () => {
    assert.equal((await signIn('change-me', { origin: 'http://evil.example' })).status, 403)
  })

  test('signing out ends the session, not only the cookie', async () => {
    const cookie = await cookieOf()
    assert.equal(
      (await withCookie('DELETE', '/api/session', cookie, { headers: { origin, host: `127.0.0.1:${served.port}` } }))
        .status,
      204,
    )
    assert.equal((await withCookie('GET', '/api/status', cookie)).status, 401)
  })

  test('a changed token ends all sessions', async () => {
    const cookie = await cookieOf()
    token = 'changed'
    assert.equal((await withCookie('GET', '/api/status', cookie)).status, 401)
    token = 'change-me'
  })

  test('tries are limited, and the answer says when to come back', async () => {
    await served.clock.advance(600_000)
    for (let i = 0; i < 5; i++) assert.equal((await signIn('nope')).status, 401)
    const refused = await signIn('change-me')
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], '10')
  })
})

test('each address has its own tries, an IPv6 network one', async () => {
  const clock = new FakeClock()
  const attempts = createAttempts(clock)
  for (let i = 0; i < 5; i++) assert.equal(attempts.take(`fd00:1:2:3::${i}`), 0)
  assert.ok(attempts.take('fd00:1:2:3::9') > 0)
  assert.equal(attempts.take('10.0.0.1'), 0)
  await clock.advance(10_000)
  assert.equal(attempts.take('fd00:1:2:3::9'), 0)
})

test('a session ends after twelve hours', async () => {
  const clock = new FakeClock()
  const sessions = createSessions(clock)
  const id = sessions.open('t')
  await clock.advance(SESSION_LENGTH * 1000 - 1)
  assert.equal(sessions.tokenOf(id, ['t']), 't')
  await clock.advance(1)
  assert.equal(sessions.tokenOf(id, ['t']), undefined)
})

test('with a token the page is a form, its files are open, and programs are refused', async () => {
  const served = await serve()
  const gzip = 'H4sIAAAAAAAAA0vOSCzKTSxRSEksSQQAiVdQxAwAAAA='
  const dashboard = createDashboard([
    { path: '/', type: 'text/html', gzip },
    { path: '/assets/app-1.js', type: 'text/javascript', gzip },
  ])
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const options = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    credentials: () => operatorWith('change-me'),
    secret: SECRET,
  }
  const server = await startHttp({ options, api: served.api, clock: served.clock, log, dashboard })
  const get = (path: string, headers: Record<string, string> = {}) =>
    ask(server.addresses[0]?.port ?? 0, 'GET', path, { headers })
  const compressed = { 'accept-encoding': 'gzip' }
  try {
    assert.equal((await get('/')).status, 401)
    const page = await get('/', { accept: 'text/html', ...compressed })
    assert.equal(page.status, 401)
    assert.match(page.headers['content-type'] ?? '', /text\/html/)
    const script = await get('/assets/app-1.js', compressed)
    assert.equal(script.status, 200)
    assert.equal(script.headers['content-encoding'], 'gzip')
    assert.match(script.headers['cache-control'] ?? '', /immutable/)
    assert.equal((await get('/assets/other.js', compressed)).status, 401)
  } finally {
    await server.stop()
    await served.server.stop()
  }
})

const lamp = { power: { kind: 'switch', name: 'Power', args: { on: { type: 'boolean' } } } }

describe('the form in a browser', { skip: noBrowser, timeout: 60_000 }, () => {
  let site: Site
  let gateway: GatewayProcess
  let browser: Browser
  const signIn = async (page: Page, token: string) => {
    await page.getByLabel('Token').fill(token)
    await page.keyboard.press('Enter')
  }
  before(async () => {
    site = createSite({
      mqtt: { listen: [] },
      http: { listen: '127.0.0.1:0', token: 'change-me', users: { wall: { token: 'look-only', role: 'viewer' } } },
      upstreams: { cloud: { http: { url: 'http://127.0.0.1:9/' } } },
      devices: { 'lamp-1': { name: 'Desk lamp', room: 'Office', commands: lamp } },
    })
    ;[gateway, browser] = await Promise.all([site.start(), openBrowser()])
  })
  after(async () => {
    await browser?.close()
    await gateway?.kill()
    site?.remove()
  })

  test('a wrong token is refused, the right one opens, and stays after a reload', async () => {
    const { page, context, troubles } = await openPage(browser, `http://127.0.0.1:${gateway.ports.http}/`)
    await signIn(page, 'guess')
    await page.getByText('That is not the token.').waitFor()
    await signIn(page, 'change-me')
    await page.locator('.connection.live').waitFor()
    await page.reload()
    await page.locator('.connection.live').waitFor()
    await go(page, 'control')
    assert.ok(await page.getByRole('switch').isEnabled())
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a viewer sees everything and no control that acts', async () => {
    const { page, context, troubles } = await openPage(browser, `http://127.0.0.1:${gateway.ports.http}/#/control`)
    await signIn(page, 'look-only')
    await page.getByRole('switch', { name: 'Power' }).waitFor()
    const acting = /^(Send|Try now|Skip…|Describe…|Check|Apply|Mark as seen|Cancel)$/
    for (const at of ['control', 'outbox', 'devices/lamp-1', 'settings', 'alerts']) {
      await go(page, at)
      await page.getByText('Loading…').waitFor({ state: 'detached' })
      assert.equal(await page.getByRole('button', { name: acting }).count(), 0, at)
      for (const control of await page.locator('[role=switch], [aria-label="Log level"] button').all())
        assert.ok(await control.isDisabled(), at)
    }
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a config is checked before it is applied, and the change is on record', async () => {
    const { page, context, troubles } = await openPage(browser, `http://127.0.0.1:${gateway.ports.http}/#/settings`)
    await signIn(page, 'change-me')
    const text = page.getByLabel('The config, YAML')
    await page.locator('textarea:not(:placeholder-shown)').waitFor()
    const given = await text.inputValue()
    await text.fill(given.replace('"upstreams"', '"upstream"'))
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText(/did you mean/).waitFor()
    assert.ok(await page.getByRole('button', { name: 'Apply' }).isDisabled())
    await text.fill(given.replace('"Office"', '"Study"'))
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('No mistakes.').waitFor()
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('applied a changed config').waitFor()
    await page.getByRole('button', { name: 'warn', exact: true }).click()
    await page.getByText('set the log level to warn').waitFor()
    assert.deepEqual(troubles, [])
    await context.close()
  })
})
