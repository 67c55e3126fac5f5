import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { connectActuator } from './actuator.ts'

type Json = Record<string, unknown>

async function post(site: TestGateway, body: Json): Promise<{ status: number; body: Json }> {
  const response = await fetch(`http://127.0.0.1:${site.port('http')}/api/commands`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Json }
}

/** Resolves when the command has reached one of these states. */
function reached(site: TestGateway, id: string, ...states: string[]): Promise<Json> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${id} did not become ${states}: ${now()?.state}`)), 5000)
    const now = () => site.gateway.api.command(id)
    const look = () => {
      const command = now()
      if (!command || !states.includes(command.state)) return
      clearTimeout(timer)
      stop()
      resolve(command)
    }
    const stop = site.gateway.api.subscribe({ types: new Set(['command']) }, () => setImmediate(look))
    look()
  })
}

test('an MQTT device is commanded over HTTP and answers', async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const lamp = await connectActuator(site.port('mqtt'), 'lamp-3')
  t.after(() => lamp.close())
  const { status, body } = await post(site, { id: 'a1', device: 'lamp-3', command: 'on', args: { level: 40 } })
  assert.equal(status, 202)
  assert.equal(body.id, 'a1')
  const done = await reached(site, 'a1', 'acknowledged')
  assert.deepEqual(done.result, { done: 'on' })
  assert.deepEqual(lamp.done.get('a1'), { name: 'on', args: { level: 40 } })
  assert.equal((await post(site, { id: 'a1', device: 'lamp-3', command: 'on' })).status, 200)
  assert.deepEqual(lamp.received, ['a1'])
})

test('a command waits for its device through a restart of the gateway', async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  assert.equal((await post(site, { id: 'w1', device: 'lamp', command: 'on' })).body.state, 'accepted')
  await site.restart()
  assert.equal(site.gateway.api.command('w1')?.state, 'accepted')
  const lamp = await connectActuator(site.port('mqtt'), 'lamp')
  t.after(() => lamp.close())
  await reached(site, 'w1', 'acknowledged')
  assert.deepEqual(lamp.received, ['w1'])
})

test('nobody but the device acknowledges its command', async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const lamp = await connectActuator(site.port('mqtt'), 'lamp', { answers: false })
  t.after(() => lamp.close())
  await post(site, { id: 'f1', device: 'lamp', command: 'on', deadline: '2s' })
  await reached(site, 'f1', 'sent')
  const other = await connectAsync(`mqtt://127.0.0.1:${site.port('mqtt')}`, { clientId: 'other', reconnectPeriod: 0 })
  const ended = new Promise((resolve) => other.once('close', () => resolve(undefined)))
  other.publish('command/lamp/on/ack', JSON.stringify({ id: 'f1', ok: true }), { qos: 1 }, () => undefined)
  await ended
  await reached(site, 'f1', 'unconfirmed')
})

test('an upstream broker commands devices, also with what it kept while the gateway was away', async (t) => {
  const cloud = await startTestGateway({})
  t.after(() => cloud.close())
  const config = { upstreams: { cloud: { mqtt: { url: `mqtt://127.0.0.1:${cloud.port('mqtt')}` } } } }
  const site = await startTestGateway(config)
  t.after(() => site.close())
  const lamp = await connectActuator(site.port('mqtt'), 'lamp')
  t.after(() => lamp.close())
  const boss = await connectAsync(`mqtt://127.0.0.1:${cloud.port('mqtt')}`, { reconnectPeriod: 0 })
  t.after(() => boss.endAsync(true))
  const records: Json[] = []
  const arrived = new Promise<void>((resolve) => {
    boss.on('message', (_, payload) => {
      const { records: batch } = JSON.parse(payload.toString()) as { records: Json[] }
      records.push(...batch)
      if (batch.some((record) => record.id === 'u1' && record.state === 'acknowledged')) resolve()
    })
  })
  await boss.subscribeAsync('sluice/test/batch', { qos: 1 })
  await upstreamConnected(site, 'cloud')
  const order = (id: string) => JSON.stringify({ id, device: 'lamp', command: 'on' })
  await boss.publishAsync('sluice/test/command', order('u1'), { qos: 1 })
  await arrived
  const states = records.filter(({ id }) => id === 'u1').map(({ state }) => state)
  assert.deepEqual(states, ['accepted', 'sent', 'acknowledged'])
  assert.equal(records.find(({ id }) => id === 'u1')?.by, 'upstream:cloud')
})

test('a device behind a webhook is commanded, and its no is a failure', async (t) => {
  const bodies: Json[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      const body = JSON.parse(text) as Json
      bodies.push(body)
      response.statusCode = body.command === 'off' ? 409 : 200
      response.end(JSON.stringify({ ok: true, result: 7 }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const site = await startTestGateway({ devices: { fan: { webhook: `http://127.0.0.1:${port}/` } } })
  t.after(() => site.close())
  await post(site, { id: 'h1', device: 'fan', command: 'on' })
  assert.equal((await reached(site, 'h1', 'acknowledged')).result, 7)
  await post(site, { id: 'h2', device: 'fan', command: 'off' })
  await reached(site, 'h2', 'failed')
  assert.deepEqual(bodies[0], { id: 'h1', device: 'fan', command: 'on' })
})

test('a cancelled command never reaches its device', async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  await post(site, { id: 'x1', device: 'lamp', command: 'on' })
  const url = `http://127.0.0.1:${site.port('http')}/api/commands/x1`
  const response = await fetch(url, { method: 'DELETE' })
  assert.equal(((await response.json()) as Json).state, 'failed')
  const lamp = await connectActuator(site.port('mqtt'), 'lamp')
  t.after(() => lamp.close())
  await post(site, { id: 'x2', device: 'lamp', command: 'on' })
  await reached(site, 'x2', 'acknowledged')
  assert.deepEqual(lamp.received, ['x2'])
})

function upstreamConnected(site: TestGateway, name: string): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      const upstream = site.gateway.api.status().upstreams.find((one) => one.name === name)
      if (upstream?.state !== 'connected') return
      stop()
      resolve()
    }
    const stop = site.gateway.api.subscribe({ types: new Set(['upstream']) }, () => setImmediate(look))
    look()
  })
}

test('a device that people described is listed with what it can be told, though it never sent anything', async (t) => {
  const lamp = { name: 'Desk lamp', webhook: 'http://127.0.0.1:1/secret', commands: { on: { kind: 'switch' } } }
  const site = await startTestGateway({ devices: { lamp } })
  t.after(() => site.close())
  const [device] = site.gateway.api.devices({ limit: 10 }).devices
  assert.equal(device?.name, 'Desk lamp')
  assert.deepEqual(device?.commands, { on: { kind: 'switch', args: {} } })
  assert.ok(!JSON.stringify(device).includes('secret'))
  assert.equal((await post(site, { device: 'lamp', command: 'off' })).body.state, 'rejected')
})

test('commands from upstream wait for the gateway while it is away', async (t) => {
  const cloud = await startTestGateway({})
  t.after(() => cloud.close())
  const config = { upstreams: { cloud: { mqtt: { url: `mqtt://127.0.0.1:${cloud.port('mqtt')}` } } } }
  const first = await startTestGateway(config)
  await upstreamConnected(first, 'cloud')
  await first.close()
  const boss = await connectAsync(`mqtt://127.0.0.1:${cloud.port('mqtt')}`, { reconnectPeriod: 0 })
  t.after(() => boss.endAsync(true))
  const order = JSON.stringify({ id: 'k1', device: 'lamp', command: 'on' })
  await boss.publishAsync('sluice/test/command', order, { qos: 1 })
  const second = await startTestGateway(config)
  t.after(() => second.close())
  await reached(second, 'k1', 'accepted')
})

const SLEEPER = `module.exports = ({ z }) => ({
  name: 'sleeper',
  roles: ['commander'],
  config: z.object({}),
  create: () => ({
    commander: {
      reaches: () => false,
      waiting: (device) => (device === 'valve' ? 'the device to wake' : undefined),
      describe: (device) => (device === 'valve' ? { state: 'asleep', details: { lifetime: 300 } } : undefined),
      execute: () => Promise.reject(new Error('asleep')),
    },
  }),
})`

test('a device that sleeps shows as such, and its command says what it waits for', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sleeper-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'sleeper.js')
  await writeFile(file, SLEEPER)
  const site = await startTestGateway({
    plugins: [file],
    sources: { field: { sleeper: {} } },
    devices: { valve: { kind: 'valve' }, other: {} },
  })
  t.after(() => site.close())
  const { devices } = site.gateway.api.devices({ limit: 10 })
  assert.deepEqual(
    devices.map(({ id, connection }) => [id, connection]),
    [
      ['other', undefined],
      ['valve', { source: 'field', state: 'asleep', details: { lifetime: 300 } }],
    ],
  )
  const { body } = await post(site, { id: 's1', device: 'valve', command: 'open' })
  assert.deepEqual([body.state, body.reason], ['accepted', 'waits for the device to wake'])
})
