import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connectAsync } from 'mqtt'
import { NO_MOSQUITTO, publish, subscribe } from '../plugins/mosquitto.ts'
import type { SentReading } from '../support/batches.ts'
import { type Certificates, makeCertificates, NO_OPENSSL } from '../support/certificates.ts'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'

const skip = NO_MOSQUITTO || NO_OPENSSL

let upstream: HttpUpstream
let site: Site
let gateway: GatewayProcess
let certificates: Certificates
const port = (name: string) => gateway.ports[name] as number

before(async () => {
  if (skip) return
  upstream = await startHttpUpstream('clients')
  site = createSite({
    gateway: { id: 'clients' },
    mqtt: {
      listen: '127.0.0.1:0',
      tls: { listen: '127.0.0.1:0', cert: 'server.pem', key: 'server.key' },
      websocket: { listen: '127.0.0.1:0' },
    },
    http: { listen: '127.0.0.1:0' },
    windows: { spoken: { tumbling: '1s', by: ['device'], publish: 'stats/{window}/{device}' } },
    upstreams: { lake: { http: { url: upstream.url }, raw: true, batch: { age: '50ms' } } },
  })
  certificates = makeCertificates(site.folder)
  gateway = await site.start()
})

after(async () => {
  await gateway?.kill()
  await upstream?.close()
  site?.remove()
})

async function readingsOf(device: string, count: number): Promise<readonly SentReading[]> {
  const own = () => upstream.inbox.readings().filter((reading) => reading.device === device)
  await upstream.inbox.until(`readings of ${device}`, () => own().length >= count)
  return own()
}

for (const qos of ['0', '1', '2']) {
  test(`clients: what mosquitto_pub sends with QoS ${qos} is one reading`, { skip }, async () => {
    await publish(port('mqtt'), ['-q', qos, '-t', `telemetry/tcp-${qos}`, '-m', '{"v":1.5,"s":"on"}'])
    const [reading, ...more] = await readingsOf(`tcp-${qos}`, 1)
    assert.deepEqual({ ...reading?.fields }, { v: 1.5, s: 'on' })
    assert.deepEqual(more, [])
  })
}

test('clients: mosquitto_pub with a stream, many lines over one connection', { skip }, async () => {
  const lines = Array.from({ length: 200 }, (_, i) => `{"n":${i}}`).join('\n')
  await publish(port('mqtt'), ['-q', '1', '-t', 'telemetry/many/boiler', '-l'], `${lines}\n`)
  const readings = await readingsOf('many', 200)
  assert.deepEqual(
    readings.map(({ tags, fields }) => [tags.stream, fields.n]),
    Array.from({ length: 200 }, (_, i) => ['boiler', i]),
  )
})

test('clients: mosquitto_pub and mosquitto_sub over TLS, trusting the authority that signed', { skip }, async () => {
  const trust = ['--cafile', certificates.ca]
  const subscriber = await subscribe(port('mqtts'), [...trust, '-t', 'telemetry/tls'])
  await publish(port('mqtts'), [...trust, '-q', '1', '-t', 'telemetry/tls', '-m', '{"v":2}'])
  await subscriber.count(1)
  await subscriber.end()
  assert.deepEqual(subscriber.lines, ['{"v":2}'])
  const [reading] = await readingsOf('tls', 1)
  assert.deepEqual({ ...reading?.fields }, { v: 2 })
})

test('clients: a client that trusts another authority does not get through TLS', { skip }, async () => {
  await assert.rejects(publish(port('mqtts'), ['--cafile', '/etc/hostname', '-q', '1', '-t', 'telemetry/x', '-m', '1']))
  await assert.rejects(
    publish(port('mqtts'), ['-q', '1', '-t', 'telemetry/x', '-m', '1']),
    'plain MQTT on the TLS port',
  )
})

test('clients: a WebSocket client publishes and subscribes', { skip }, async () => {
  const client = await connectAsync(`ws://127.0.0.1:${port('ws')}/mqtt`, { reconnectPeriod: 0 })
  try {
    await client.subscribeAsync('telemetry/web', { qos: 1 })
    const arrived = new Promise<string>((resolve) =>
      client.once('message', (_, payload) => resolve(payload.toString())),
    )
    await client.publishAsync('telemetry/web', '{"v":3}', { qos: 1 })
    assert.equal(await arrived, '{"v":3}')
  } finally {
    await client.endAsync()
  }
  const [reading] = await readingsOf('web', 1)
  assert.deepEqual({ ...reading?.fields }, { v: 3 })
})

test('clients: ordinary traffic passes: a retained message greets who subscribes later', { skip }, async () => {
  await publish(port('mqtt'), ['-q', '1', '-r', '-t', 'site/notice', '-m', 'closed on Monday'])
  const subscriber = await subscribe(port('mqtt'), ['-F', '%r %q %t %p', '-t', 'site/#'])
  await subscriber.count(1)
  await subscriber.end()
  assert.deepEqual(subscriber.lines, ['1 1 site/notice closed on Monday'])
  await publish(port('mqtt'), ['-q', '1', '-r', '-t', 'site/notice', '-n'])
  const later = await subscribe(port('mqtt'), ['-F', '%r %p', '-t', 'site/#'])
  await publish(port('mqtt'), ['-q', '1', '-t', 'site/other', '-m', 'live'])
  await later.count(1)
  await later.end()
  assert.deepEqual(later.lines, ['0 live'], 'the empty retained message removed it')
})

test('clients: ordinary traffic passes: QoS 2 from mosquitto_pub to mosquitto_sub exactly once', { skip }, async () => {
  const subscriber = await subscribe(port('mqtt'), ['-q', '2', '-F', '%q %p', '-t', 'site/exactly'])
  const lines = Array.from({ length: 50 }, (_, i) => `m${i}`)
  await publish(port('mqtt'), ['-q', '2', '-t', 'site/exactly', '-l'], `${lines.join('\n')}\n`)
  await publish(port('mqtt'), ['-q', '2', '-t', 'site/exactly', '-m', 'end'])
  await subscriber.count(51)
  await subscriber.end()
  assert.deepEqual(
    subscriber.lines,
    [...lines, 'end'].map((line) => `2 ${line}`),
  )
})

test('clients: a window with publish speaks to a mosquitto_sub', { skip }, async () => {
  const subscriber = await subscribe(port('mqtt'), ['-F', '%t %p', '-t', 'stats/spoken/talker'])
  await publish(port('mqtt'), ['-q', '1', '-t', 'telemetry/talker', '-m', '{"v":4}'])
  await subscriber.count(1)
  await subscriber.end()
  const [topic, ...rest] = (subscriber.lines[0] ?? '').split(' ')
  const record = JSON.parse(rest.join(' ')) as Record<string, unknown>
  assert.equal(topic, 'stats/spoken/talker')
  assert.deepEqual(
    [record.kind, record.window, record.key, record.count],
    ['window', 'spoken', { device: 'talker' }, 1],
  )
})
