import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planReload } from '../../gateway/config/reload.ts'
import { load } from './given.ts'

const BEFORE = `gateway: { id: a }
mqtt: { listen: 127.0.0.1:1883 }
windows: { a: { tumbling: 10s } }
upstreams: { cloud: { http: { url: a } } }
`

test('a config that says the same in other words needs nothing', async (t) => {
  const old = await load(t, BEFORE)
  const next = await load(t, `${BEFORE.replace('10s', '10000ms')}log: { level: info }\n`)
  assert.deepEqual(planReload(old.config, next.config), { apply: [], restart: [] })
})

test('windows, rules of decoding, upstreams, access and log level change live', async (t) => {
  const old = await load(t, BEFORE)
  const next = await load(
    t,
    `gateway: { id: a }
mqtt: { listen: 127.0.0.1:1883, acl: [{ publish: ["#"] }], limits: { connections: 10 } }
http: { token: new }
decode: [{ topic: "a/{device}" }]
lookups: { places: { file: p.csv } }
windows: { a: { tumbling: 20s }, b: { session: 5s } }
upstreams: {}
rules: { hot: { when: { field: t, above: 30 } } }
log: { level: debug }
`,
  )
  assert.deepEqual(planReload(old.config, next.config), {
    apply: ['decode', 'lookups', 'windows', 'rules', 'upstreams', 'log', 'mqtt.acl', 'mqtt.limits', 'http.token'],
    restart: [],
  })
})

test('what needs a restart is named with its reason, and the rest is applied', async (t) => {
  const old = await load(t, BEFORE)
  const next = await load(
    t,
    `gateway: { id: b }
data: ./elsewhere
mqtt: { listen: 127.0.0.1:1884, durability: none }
windows: { a: { tumbling: 20s } }
upstreams: { cloud: { http: { url: a } } }
journal: { segment: 4MB }
sources: { z: { zeromq: {} } }
`,
  )
  const { apply, restart } = planReload(old.config, next.config)
  assert.deepEqual(apply, ['windows'])
  assert.deepEqual(
    restart.map(({ path }) => path),
    ['gateway.id', 'data', 'mqtt.listen', 'mqtt.durability', 'sources.z', 'journal.segment'],
  )
  for (const { reason } of restart) assert.notEqual(reason, '')
})
