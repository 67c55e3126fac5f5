import assert from 'node:assert/strict'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { createMosquitto, freePort, NO_MOSQUITTO, subscribe } from '../plugins/mosquitto.ts'
import { createInbox } from '../support/batches.ts'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { startHttpUpstream } from '../support/http-upstream.ts'
import { publishAll } from '../support/mqtt-device.ts'
import { startMqttUpstream } from '../support/mqtt-upstream.ts'
import { eventually } from '../support/within.ts'

const BASE = Date.UTC(2026, 10, 23, 7, 44)
const common = {
  mqtt: { listen: '127.0.0.1:0' },
  http: { listen: '127.0.0.1:0' },
  decode: [{ topic: 'telemetry/{device}', time: 't' }],
  windows: { w: { tumbling: '10s', by: ['device'] } },
}

let undo: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const step of undo.reverse()) await step()
  undo = []
})

function createTestSite(config: object): Site {
  const site = createSite(config)
  undo.push(() => site.remove())
  return site
}

async function start(site: Site): Promise<GatewayProcess> {
  const gateway = await site.start()
  undo.push(async () => void (await gateway.kill('SIGKILL')))
  return gateway
}

/** A reading per second for each of ten devices; all windows but the last of each device are over. */
function* readings(from: number, to: number) {
  for (let second = from; second < to; second++)
    for (let device = 0; device < 10; device++) {
      const payload = JSON.stringify({ t: BASE + second * 1000, v: second })
      yield { topic: `telemetry/dev-${device}`, payload }
    }
}

/** A line of mosquitto's password file, as mosquitto_passwd writes it. */
function passwordLine(user: string, password: string): string {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, 101, 64, 'sha512')
  return `${user}:$7$101$${salt.toString('base64')}$${hash.toString('base64')}\n`
}

const complaints = (gateway: GatewayProcess) =>
  gateway
    .log()
    .split('\n')
    .filter((line) => line.includes('does not take batches'))

test('upstreams: batches on a real mosquitto are what the format says, also after a restart', {
  skip: NO_MOSQUITTO,
}, async () => {
  const upstream = await startMqttUpstream('batcher')
  undo.push(() => upstream.dispose())
  const cloud = { mqtt: { url: upstream.url }, raw: true, batch: { count: 50, age: '100ms' } }
  const site = createTestSite({ ...common, gateway: { id: 'batcher' }, upstreams: { cloud } })
  const { inbox } = upstream
  for (const [from, to, results] of [
    [0, 35, 30],
    [35, 61, 60],
  ] as const) {
    const gateway = await start(site)
    await publishAll(gateway.ports.mqtt as number, readings(from, to))
    const all = () => inbox.readings().length === to * 10 && inbox.windows('w').length === results
    await inbox.until('all records', all)
    assert.equal(await gateway.kill(), 0)
  }
  assert.ok(inbox.batches.every(({ count }) => count <= 50))
  assert.ok(inbox.batches.filter((batch) => batch.class === 'reading').length <= 40, 'readings are put together')
  for (const { kind, count, fields } of inbox.windows('w')) {
    assert.deepEqual([kind, count, fields.v?.count], ['window', 10, 10])
    assert.equal(Number(fields.v?.max) - Number(fields.v?.min), 9)
  }
  const [first] = inbox.windows('w')
  const names = ['seq', 'kind', 'window', 'key', 'start', 'end', 'count', 'fields']
  assert.deepEqual(Object.keys(first ?? {}), names)
  assert.deepEqual(Object.keys(first?.fields.v ?? {}), ['count', 'min', 'max', 'sum', 'mean', 'ssd', 'stddev'])
  assert.deepEqual([first?.start, first?.end], ['2026-11-23T07:44:00.000Z', '2026-11-23T07:44:10.000Z'])
})

test('upstreams: HTTP requests carry a key that names gateway, epoch and numbers', async () => {
  const upstream = await startHttpUpstream('poster')
  undo.push(() => upstream.close())
  const lake = { http: { url: upstream.url }, raw: true, batch: { count: 100, age: '100ms' } }
  const site = createTestSite({ ...common, gateway: { id: 'poster' }, upstreams: { lake } })
  const gateway = await start(site)
  await publishAll(gateway.ports.mqtt as number, readings(0, 21))
  const { inbox } = upstream
  await inbox.until('all records', () => inbox.readings().length === 210 && inbox.windows('w').length === 20)
  assert.ok(upstream.requests.length >= 3)
  for (const { headers, batch } of upstream.requests) {
    const { gateway: id, epoch, first, last } = batch
    assert.equal(headers['idempotency-key'], `${id}/${epoch}/${first}-${last}`)
    assert.match(headers['content-type'] ?? '', /^application\/json/)
    assert.equal(headers['content-encoding'], undefined)
  }
})

test('upstreams: those that are down at the start stop nothing, and get everything once they are up', {
  skip: NO_MOSQUITTO,
}, async () => {
  const mosquitto = await createMosquitto()
  undo.push(() => mosquitto.dispose())
  const port = await freePort()
  const batch = { age: '50ms' }
  const cloud = { mqtt: { url: `mqtt://127.0.0.1:${mosquitto.port}` }, raw: true, batch }
  const lake = { http: { url: `http://127.0.0.1:${port}/ingest` }, raw: true, batch }
  const site = createTestSite({
    ...common,
    gateway: { id: 'patient' },
    outbox: { retry: { max: '500ms' } },
    upstreams: { cloud, lake },
  })
  const gateway = await start(site)
  await publishAll(gateway.ports.mqtt as number, readings(0, 21))
  const names = () => complaints(gateway).map((line) => (JSON.parse(line) as { upstream: string }).upstream)
  await eventually('both are missed', () => names().length === 2)
  await mosquitto.start()
  const inbox = createInbox('patient')
  const subscriber = await subscribe(mosquitto.port, ['-t', 'sluice/patient/batch'], (line) => void inbox.take(line))
  undo.push(() => subscriber.end())
  const upstream = await startHttpUpstream('patient', port)
  undo.push(() => upstream.close())
  for (const one of [inbox, upstream.inbox])
    await one.until('all records', () => one.readings().length === 210 && one.windows('w').length === 20)
  assert.deepEqual(names().sort(), ['cloud', 'lake'], 'each was missed once')
})

test('upstreams: refused credentials are said once, and once they are right the backlog goes', {
  skip: NO_MOSQUITTO,
}, async () => {
  const mosquitto = await createMosquitto([
    'allow_anonymous false',
    'password_file DIR/passwords',
    'log_dest file DIR/log',
  ])
  undo.push(() => mosquitto.dispose())
  writeFileSync(join(mosquitto.directory, 'passwords'), passwordLine('site', 'right'))
  await mosquitto.start()
  const inbox = createInbox('stranger')
  const login = ['-u', 'site', '-P', 'right']
  const subscriber = await subscribe(
    mosquitto.port,
    [...login, '-t', 'sluice/stranger/batch'],
    (line) => void inbox.take(line),
  )
  undo.push(() => subscriber.end())
  const config = (password: string) => {
    const mqtt = { url: `mqtt://127.0.0.1:${mosquitto.port}`, username: 'site', password }
    return { ...common, gateway: { id: 'stranger' }, upstreams: { cloud: { mqtt, batch: { age: '50ms' } } } }
  }
  const site = createTestSite(config('wrong'))
  const gateway = await start(site)
  await publishAll(gateway.ports.mqtt as number, readings(0, 21))
  const refused = () => readFileSync(join(mosquitto.directory, 'log'), 'utf8').split('not authorised').length - 1
  await eventually('several attempts', () => refused() >= 4, 30_000)
  const [complaint, ...more] = complaints(gateway)
  assert.match(complaint ?? '', /SLUICE_MQTT_CREDENTIALS/)
  assert.doesNotMatch(gateway.log(), /wrong/, 'the password is not logged')
  assert.deepEqual(more, [])
  site.configure(config('right'))
  gateway.child.kill('SIGHUP')
  await inbox.until('the backlog', () => inbox.windows('w').length === 20)
})
