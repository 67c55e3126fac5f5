/** Every documented route of a running gateway answers in its documented shape, and shows nothing that is not documented. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { systemClock } from '../../gateway/clock.ts'
import { createApp } from '../../gateway/http/app.ts'
import { exposition } from '../../gateway/http/metrics.ts'
import { openapi } from '../../gateway/http/openapi.ts'
import type { App } from '../../gateway/http/parts.ts'
import { createPulse } from '../../gateway/http/pulse.ts'
import { failure } from '../../gateway/http/schemas.ts'
import { createTrends } from '../../gateway/http/trends.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'

interface Route {
  readonly method: string
  readonly url: string
  readonly response: Readonly<Record<string, unknown>>
}

/** A key of the config; an object with it in plain sight would pass for a promise. */
const THEN = 'then'

const CONFIG = {
  windows: { w: { tumbling: '1s', by: ['device'], delay: '0s' }, all: { tumbling: '1s', by: [], delay: '0s' } },
  rules: { hot: { when: { field: 't', above: 30 }, [THEN]: ['alert'] } },
  devices: { lamp: { name: 'Lamp', room: 'Office', commands: { on: { kind: 'switch' } } } },
  upstreams: { cloud: { http: { url: 'http://127.0.0.1:9/' } } },
}

/** What is asked of each route, in this order: later ones need what earlier ones did. */
const REQUESTS: readonly (readonly [method: string, url: string, path: string, body?: unknown])[] = [
  ['GET', '/healthz', '/healthz'],
  ['GET', '/readyz', '/readyz'],
  ['GET', '/api/status', '/api/status'],
  ['GET', '/api/session', '/api/session'],
  ['POST', '/api/session', '/api/session', { token: 'none needed' }],
  ['DELETE', '/api/session', '/api/session'],
  ['POST', '/api/telemetry/:device', '/api/telemetry/a', { t: 1 }],
  ['POST', '/api/telemetry/:device', '/api/telemetry/a', 'neither number nor JSON {'],
  ['POST', '/api/telemetry/:device/:stream', '/api/telemetry/a/s', { t: 40, on: true, state: 'x' }],
  ['GET', '/api/devices', '/api/devices'],
  ['GET', '/api/devices/:id', '/api/devices/a'],
  ['GET', '/api/devices/:id', '/api/devices/lamp'],
  ['GET', '/api/devices/:id', '/api/devices/nobody'],
  ['PUT', '/api/devices/:id', '/api/devices/b', { name: 'B', units: { t: '°C' }, webhook: 'http://127.0.0.1:9/' }],
  ['PUT', '/api/devices/:id', '/api/devices/b', { name: ['B'] }],
  ['PUT', '/api/devices/:id', '/api/devices/lamp', { name: 'B' }],
  ['DELETE', '/api/devices/:id', '/api/devices/b'],
  ['GET', '/api/history', '/api/history?device=a&field=t'],
  ['GET', '/api/history', '/api/history?device=a&stream=s&field=state&from=30d'],
  ['GET', '/api/history', '/api/history?window=all&field=t'],
  ['GET', '/api/history', '/api/history?window=none&field=t'],
  ['GET', '/api/history', '/api/history?device=a&field=t&from=yesterday'],
  ['GET', '/api/windows', '/api/windows'],
  ['POST', '/api/commands', '/api/commands', { id: 'c1', device: 'lamp', command: 'on', deadline: '1h' }],
  ['POST', '/api/commands', '/api/commands', { id: 'c1', device: 'lamp', command: 'on' }],
  ['POST', '/api/commands', '/api/commands', { device: 'lamp' }],
  ['GET', '/api/commands', '/api/commands'],
  ['GET', '/api/commands/:id', '/api/commands/c1'],
  ['GET', '/api/commands/:id', '/api/commands/none'],
  ['DELETE', '/api/commands/:id', '/api/commands/c1'],
  ['GET', '/api/alerts', '/api/alerts'],
  ['POST', '/api/alerts/:id/ack', '/api/alerts/ALERT/ack', { note: 'seen' }],
  ['POST', '/api/alerts/:id/ack', '/api/alerts/none/ack'],
  ['GET', '/api/alerts', '/api/alerts'],
  ['GET', '/api/outbox', '/api/outbox'],
  ['GET', '/api/outbox/history', '/api/outbox/history'],
  ['POST', '/api/outbox/:sink/retry', '/api/outbox/cloud/retry'],
  ['POST', '/api/outbox/:sink/retry', '/api/outbox/none/retry'],
  ['POST', '/api/outbox/:sink/skip', '/api/outbox/cloud/skip', { class: 'event' }],
  ['POST', '/api/outbox/:sink/forget', '/api/outbox/cloud/forget'],
  ['GET', '/api/audit', '/api/audit'],
  ['GET', '/api/deadletters', '/api/deadletters'],
  ['GET', '/api/config', '/api/config'],
  ['GET', '/api/config/file', '/api/config/file'],
  ['POST', '/api/config/check', '/api/config/check', { yaml: 'log: { level: warn }' }],
  ['POST', '/api/config', '/api/config', { yaml: 'log: { level: warn }' }],
  ['GET', '/api/log-level', '/api/log-level'],
  ['PUT', '/api/log-level', '/api/log-level', { level: 'error' }],
  ['GET', '/api/changes', '/api/changes'],
]

describe('the document', () => {
  let site: TestGateway
  let app: App
  const routes: Route[] = []
  const ends: (() => void)[] = []

  before(async () => {
    site = await startTestGateway(CONFIG)
    const { api } = site.gateway
    const pulse = createPulse(systemClock, () => api.numbers())
    const trends = createTrends(systemClock, () => api.outbox())
    ends.push(pulse.stop, trends.stop)
    const quiet = () => undefined
    app = await createApp(
      {
        api,
        access: { credentials: () => [], secret: 's', hosts: [] },
        clock: systemClock,
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
        pulse,
        trends,
        maxBody: 1 << 20,
        dashboard: undefined,
      },
      async (instance) => {
        instance.addHook('onRoute', ({ method, url, schema }) => {
          if (schema && 'hide' in schema && schema.hide) return
          for (const one of [method].flat())
            if (one !== 'HEAD')
              routes.push({ method: one, url, response: (schema?.response ?? {}) as Route['response'] })
        })
      },
    )
  })
  after(async () => {
    for (const end of ends) end()
    await app.close()
    await site.close()
  })

  test('what each route answers is what its document says, no less and no more', async () => {
    for (const [method, url, path, body] of REQUESTS) {
      const asked = path.replace('ALERT', site.gateway.api.alerts()[0]?.id ?? 'none')
      const answer = await app.inject({
        method: method as 'GET',
        url: asked,
        headers: { host: 'localhost', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const route = routes.find((one) => one.method === method && one.url === url)
      const schema = route?.response[answer.statusCode] ?? (answer.statusCode >= 400 ? failure : undefined)
      const said = `${method} ${asked} ${answer.statusCode} ${answer.body.slice(0, 300)}`
      assert.ok(schema instanceof z.ZodType, `not documented: ${said}`)
      const json: unknown = answer.body === '' ? null : JSON.parse(answer.body)
      const parsed = schema.safeParse(json)
      assert.ok(parsed.success, `${said}\n${parsed.error?.message}`)
      // zod leaves out what is not in the schema.
      assert.deepEqual(parsed.data, json, said)
    }
  })

  test('metrics keep to the conventions of Prometheus, and every stage is timed', async () => {
    const text = await exposition(site.gateway.api.numbers(), { gateway: 'g', version: 'v' })
    const helps = new Map([...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, help]) => [name, help]))
    for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      assert.match(name, /^sluice_[a-z0-9_]+$/)
      assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
      assert.doesNotMatch(name, /_(ms|millis|kb|mb|percent)(_|$)/)
      assert.match(helps.get(name) ?? '', /^\S.*\.$/, `the help of ${name} is a sentence`)
    }
    for (const stage of ['decode', 'journal', 'window', 'rules', 'outbox', 'upstream'])
      assert.match(text, new RegExp(`sluice_stage_latency_seconds_count\\{stage="${stage}"`), `${stage} is timed`)
    assert.match(text, /sluice_upstream_connected\{upstream="cloud"\} 0/)
    assert.match(text, /sluice_outbox_waiting_records\{upstream="cloud",class="event"\} \d/)
  })

  test('every route with a documented answer was asked', () => {
    const asked = new Set(REQUESTS.map(([method, url]) => `${method} ${url}`))
    const all = routes.filter(({ response }) => Object.values(response).some((one) => one instanceof z.ZodType))
    assert.deepEqual(
      all.map(({ method, url }) => `${method} ${url}`).filter((one) => !asked.has(one)),
      [],
    )
  })

  test('the document names every route, each with a summary and an answer', async () => {
    const { paths } = (await openapi()) as {
      paths: Record<string, Record<string, { summary?: string; responses?: object }>>
    }
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((one) => `${one} ${path}`),
    )
    const known = routes.map(({ method, url }) => `${method.toLowerCase()} ${url.replace(/:(\w+)/g, '{$1}')}`)
    assert.deepEqual(documented.toSorted(), [...new Set(known)].toSorted())
    for (const [path, methods] of Object.entries(paths))
      for (const [method, { summary, responses }] of Object.entries(methods)) {
        assert.ok(summary, `${method} ${path} has no summary`)
        assert.ok(Object.keys(responses ?? {}).length > 0, `${method} ${path} has no answer`)
      }
  })
})
