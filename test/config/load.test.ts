import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { defaultGatewayId } from '../../gateway/config/identity.ts'
import { checkConfig, loadConfig } from '../../gateway/config/load.ts'
import { ConfigError } from '../../gateway/errors.ts'
import { anyPlugin, fileOf, load, loadDefaults, mistakesIn, PLUGINS } from './given.ts'

/** As the contract shows it. */
const WHOLE = `
gateway: { id: site-7 }
data: ./data
mqtt: { listen: 127.0.0.1:1883, anonymous: true, durability: fsync }
http: { listen: 127.0.0.1:8080, token: change-me }
decode:
  - { topic: "telemetry/{device}", time: event_time }
windows:
  per-device: { tumbling: 10s, by: [device], delay: 2s }
upstreams:
  cloud: { mqtt: { url: "mqtt://127.0.0.1:1884" }, batch: { count: 500, age: 1s } }
  lake:  { http: { url: "http://127.0.0.1:9000/ingest" }, raw: false }
outbox: { maxBytes: 1GB, whenFull: drop_oldest }
journal: { maxBytes: 4GB, commit: 20ms }
sources:
  zmq:    { zeromq: { pull: "tcp://127.0.0.1:5557" } }
  amqp1:  { amqp: { listen: 127.0.0.1:5672, anonymous: true } }
  rabbit: { amqp: { url: "amqp://127.0.0.1:5673", queue: telemetry } }
  other:  { mqtt: { url: "mqtt://127.0.0.1:1885", topics: ["telemetry/#"] }, durability: interval }
  coap:   { coap: { listen: 127.0.0.1:5683, anonymous: true, dtls: { listen: 127.0.0.1:5684, pskFile: ./keys } } }
  lwm2m:  { lwm2m: { listen: 127.0.0.1:5783, anonymous: true } }
plugins: [./my-plugin.js]
`

test('without a file the defaults run, on loopback only', async () => {
  const { config, file, effective } = await loadDefaults()
  assert.equal(file, undefined)
  assert.equal(config.gateway.id, 'pi-0123')
  assert.deepEqual(config.mqtt.listen, [{ host: '127.0.0.1', port: 1883 }])
  assert.deepEqual(config.http.listen, [{ host: '127.0.0.1', port: 8080 }])
  assert.deepEqual(
    config.decode.map((rule) => rule.topic),
    ['telemetry/{device}', 'telemetry/{device}/{stream}'],
  )
  const { 'per-device': perDevice } = config.windows
  assert.deepEqual(perDevice?.kind, { tumbling: 10_000 })
  assert.equal(perDevice?.delay, 2000)
  assert.equal(perDevice?.idle, 60_000)
  assert.equal(config.journal.commit, 20)
  assert.equal(config.outbox.maxBytes, 1_000_000_000)
  assert.deepEqual((effective as { journal: unknown }).journal, {
    maxBytes: '4GB',
    commit: '20ms',
    compress: 'auto',
    segment: '8MB',
    buffer: '8MB',
  })
})

test('a whole config becomes numbers, lists and one plugin per entry', async (t) => {
  const { config } = await load(t, WHOLE)
  assert.equal(config.gateway.id, 'site-7')
  assert.equal(config.mqtt.anonymous, true)
  assert.equal(config.decode[0]?.time, 'event_time')
  assert.equal(config.decode[0]?.future, 3_600_000)
  assert.deepEqual(config.outbox.whenFull, { event: 'drop_oldest', result: 'drop_oldest', reading: 'drop_oldest' })
  assert.deepEqual(config.upstreams.cloud, {
    plugin: 'mqtt',
    options: { url: 'mqtt://127.0.0.1:1884', qos: 1 },
    batch: { count: 500, bytes: 256_000, age: 1000 },
    raw: false,
    classes: ['event', 'result'],
  })
  assert.deepEqual(config.sources.rabbit, {
    plugin: 'amqp',
    options: { url: 'amqp://127.0.0.1:5673', queue: 'telemetry' },
    durability: 'fsync',
  })
  assert.equal(config.sources.other?.durability, 'interval')
  assert.deepEqual(config.plugins, ['./my-plugin.js'])
})

test('an upstream that wants readings gets their class, and may leave others out', async (t) => {
  const { config } = await load(
    t,
    `upstreams:
  all: { http: { url: a }, raw: true }
  readings: { http: { url: a }, classes: [reading] }
  alerts: { http: { url: a }, classes: [event], rate: 10 }
`,
  )
  const seen = Object.entries(config.upstreams).map(([name, { raw, classes }]) => [name, raw, classes])
  assert.deepEqual(seen, [
    ['all', true, ['event', 'result', 'reading']],
    ['readings', true, ['reading']],
    ['alerts', false, ['event']],
  ])
  assert.equal(config.upstreams.alerts?.rate, 10)
})

test('decode rules reach the decoder in its own words', async (t) => {
  const { config } = await load(
    t,
    `decode:
  - topic: meters/{utility}
    codec: csv
    columns: [service, "-", kwh, time]
    device: service
    text: [zip]
    fields: { kwh: { type: number, min: 0 } }
    set: { floor: 3 }
    future: 5m
`,
  )
  assert.deepEqual(config.decode, [
    {
      topic: 'meters/{utility}',
      codec: 'csv',
      timeUnit: 'auto',
      future: 300_000,
      columns: ['service', '', 'kwh', 'time'],
      unknown: 'accept',
      set: { floor: '3' },
      deviceField: 'service',
      fields: { zip: { type: 'text' }, kwh: { type: 'number', min: 0 } },
    },
  ])
})

test('windows reach the window stage in its own words', async (t) => {
  const { config } = await load(
    t,
    `windows:
  hop: { hopping: { size: 45s, slide: 15s }, by: [type], attach: true, attachType: type, where: { floor: 3 } }
  quiet: { session: 30s, by: [], statistics: [p99.9, distinct], publish: "stats/{window}" }
`,
  )
  const { hop, quiet } = config.windows
  assert.deepEqual(hop?.kind, { hopping: { size: 45_000, slide: 15_000 } })
  assert.deepEqual(hop?.where, { floor: '3' })
  assert.equal(hop?.attachType, 'type')
  assert.deepEqual(quiet?.kind, { session: 30_000 })
  assert.deepEqual([quiet?.by, quiet?.statistics, quiet?.publish], [[], ['p99.9', 'distinct'], 'stats/{window}'])
})

test('paths are relative to the config file', async (t) => {
  const { resolve: path, file } = await load(t, 'mqtt: { passwordFile: users }\n')
  assert.equal(path('users'), join(dirname(file ?? ''), 'users'))
  assert.equal(path('/etc/users'), '/etc/users')
  assert.equal((await loadDefaults()).resolve('users'), resolve('users'))
})

test('a section whose lines are all comments is as if it were not there', async (t) => {
  const { config, origins } = await load(t, 'windows:\n  # a: { tumbling: 1s }\nmqtt:\n')
  assert.deepEqual(Object.keys(config.windows), ['per-device'])
  assert.equal(origins['mqtt.listen'], 'default')
  assert.deepEqual(await mistakesIn(t, ''), [])
})

test('anchors and merge keys work, and mistakes in them have a place', async (t) => {
  const yaml = `windows:
  a: &base { tumbling: 10s, delay: 2s }
  b: { <<: *base, by: [stream] }
  c: *base
`
  const { config } = await load(t, yaml)
  assert.equal(config.windows.b?.delay, 2000)
  assert.deepEqual(await mistakesIn(t, yaml.replace('2s', '2')), [
    '2:36: 2 has no unit: write 2s, or one of ms, m, h, d, w',
    '3:6: 2 has no unit: write 2s, or one of ms, m, h, d, w',
  ])
})

test('a file that was asked for must be there, the one of the system need not', async (t) => {
  assert.deepEqual(await checkConfig('/nowhere/a.yaml', { plugins: PLUGINS, env: {} }), [
    { file: '/nowhere/a.yaml', line: 1, column: 1, message: 'there is no such file' },
  ])
  assert.deepEqual(
    (await checkConfig('/', { plugins: PLUGINS, env: {} })).map((one) => one.message),
    ['this is a directory, name the file in it'],
  )
  const systemFile = await fileOf(t, 'gateway: { id: from-the-system }\n')
  const { config, file } = await loadDefaults({ systemFile })
  assert.deepEqual([config.gateway.id, file], ['from-the-system', systemFile])
})

test('plugins of the config are loaded first, and their options checked', async (t) => {
  const asked: string[] = []
  const loadPlugin = async (file: string) => {
    asked.push(file)
    if (file.endsWith('broken.js')) throw new Error('unexpected token')
    return anyPlugin(file.endsWith('twice.js') ? 'mqtt' : 'modbus')
  }
  const yaml = 'plugins: [./modbus.js]\nsources: { plc: { modbus: { host: 10.0.0.4 } } }\n'
  const { config, plugins, resolve: path } = await load(t, yaml, { loadPlugin })
  assert.deepEqual(asked, [path('modbus.js')])
  assert.deepEqual(config.sources.plc?.options, { host: '10.0.0.4' })
  assert.equal(plugins.at(-1)?.name, 'modbus')
  assert.deepEqual(await mistakesIn(t, 'plugins:\n  - broken.js\n  - twice.js\n', { loadPlugin }), [
    '2:5: plugin broken.js: unexpected token',
    '3:5: plugin twice.js: there is already a plugin `mqtt`',
  ])
})

test('says where each value comes from, and hides secrets', async (t) => {
  const yaml = `http: { token: very-secret }
upstreams: { a: { mqtt: { url: "mqtts://me:hidden@host", password: also-secret } } }
`
  const { origins, effective } = await load(t, yaml, { env: { SLUICE__MQTT__LISTEN: '127.0.0.1:0' } })
  assert.equal(origins['http.token'], 'file')
  assert.equal(origins['http.listen'], 'default')
  assert.equal(origins['mqtt.listen'], 'env')
  assert.equal(origins['windows.per-device.tumbling'], 'default')
  assert.equal(origins['upstreams.a.mqtt.qos'], 'default')
  const text = JSON.stringify(effective)
  assert.doesNotMatch(text, /secret|hidden/)
  assert.match(text, /mqtts:\/\/me:\*\*\*@host/)
})

test('the examples are valid', async () => {
  for (const name of ['bikes', 'meters', 'modems']) {
    const file = join('examples', name, 'sluice.yaml')
    assert.ok((await readFile(file, 'utf8')).length > 0)
    assert.deepEqual(await checkConfig(file, { plugins: PLUGINS, env: {} }), [], name)
  }
})

test('a gateway is named after its host and its machine', () => {
  assert.match(defaultGatewayId('pi.local', 'abc'), /^pi-[0-9a-f]{4}$/)
  assert.equal(defaultGatewayId('pi', 'abc'), defaultGatewayId('pi', 'abc'))
  assert.notEqual(defaultGatewayId('pi', 'abc'), defaultGatewayId('pi', 'abd'))
  assert.match(defaultGatewayId('pi', undefined), /^pi-[0-9a-f]{4}$/)
  assert.match(defaultGatewayId('', 'abc'), /^gateway-/)
})

test('the machine it runs on gives an id that the config accepts', async (t) => {
  const { config } = await loadConfig({ plugins: PLUGINS, env: {}, systemFile: '/nowhere/sluice.yaml' })
  await assert.doesNotReject(load(t, `gateway: { id: ${config.gateway.id} }\n`))
  await assert.rejects(load(t, 'gateway: { id: "a/b" }\n'), ConfigError)
})
