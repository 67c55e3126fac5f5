import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { PluginStore } from '../../../gateway/plugin.ts'
import {
  BAD_REQUEST,
  CHANGED,
  CONTENT,
  CREATED,
  DELETE,
  DELETED,
  NOT_FOUND,
  POST,
} from '../../../plugins/coap/codes.ts'
import type { Request } from '../../../plugins/coap/request.ts'
import type { Resource } from '../../../plugins/coap/resource.ts'
import { createCatalog } from '../../../plugins/lwm2m/catalog.ts'
import { encodings } from '../../../plugins/lwm2m/content.ts'
import { encodeSenmlCbor, encodeSenmlJson } from '../../../plugins/lwm2m/senml.ts'
import { quicker } from '../../support/clock.ts'
import { memoryStore } from '../contract.ts'
import { device, KEY, secureDevice, start, until } from './gateway.ts'

const LINKS = '</>;rt="oma.lwm2m";ct=11542,</1/0>,</3/0>,</3303/0>,</3311/0>'
const catalog = createCatalog()
const tlv = (path: number[], value: unknown) => encodings(path, value, catalog)[0]?.payload as Buffer

/** A resource that can be observed, and what it says now. */
function sensor(path: string, first: unknown) {
  const at = path.split('/').map(Number)
  const state = { value: first, observers: 0, query: [] as string[] }
  const resource: Resource = {
    path,
    get: (_request, respond) => respond({ code: CONTENT, contentFormat: 11542, payload: tlv(at, state.value) }),
    put: (request, respond) => {
      state.query.push(...request.query)
      respond({ code: CHANGED })
    },
    observed: (observation) => {
      state.observers++
      observation.onEnd(() => {
        state.observers--
      })
    },
  }
  return { state, resource }
}

const order = (name: string, args?: unknown, id = `id-${name}`) => ({
  id,
  device: 'lamp-3',
  command: name,
  args,
  deadline: Date.now() + 60_000,
})

const never = new AbortController().signal

test('registers a client, updates and removes it, and forgets it after its lifetime', async (t) => {
  const gateway = await start(t)
  const { register, update, client, ...dev } = await device(t, gateway)
  const own = await device(t, gateway)
  assert.equal(await own.register(['ep=lamp-3', 'lt=300', 'lwm2m=1.0', 'b=U'], LINKS), CREATED)
  assert.match(own.location, /^rd\/[\w-]{12}$/)
  assert.equal(gateway.roles.commander?.reaches('lamp-3'), true)
  assert.equal(await own.update(['lt=600']), CHANGED)
  assert.equal((await own.client.request(own.gateway, { code: DELETE, path: own.location })).code, DELETED)
  assert.equal(await own.update(), NOT_FOUND)
  assert.equal(gateway.roles.commander?.reaches('lamp-3'), false)
  assert.equal(await register(['ep=short', 'lt=5', 'lwm2m=1.1', 'b=U'], LINKS), CREATED)
  await until(() => (gateway.roles.commander?.reaches('short') ? undefined : true))
  assert.equal((await client.request(dev.gateway, { code: POST, path: 'rd/nothing' })).code, NOT_FOUND)
  assert.equal(typeof update, 'function')
})

test('refuses names that are no device, other versions and transports, and lists that are none', async (t) => {
  const gateway = await start(t)
  const { register } = await device(t, gateway)
  assert.equal(await register(['lt=300', 'lwm2m=1.1'], LINKS), BAD_REQUEST)
  assert.equal(await register(['ep=a/b', 'lwm2m=1.1'], LINKS), BAD_REQUEST)
  assert.equal(await register(['ep=a', 'lwm2m=1.2'], LINKS), 0x8c)
  assert.equal(await register(['ep=a', 'lwm2m=1.1', 'b=S'], LINKS), BAD_REQUEST)
  assert.equal(await register(['ep=a', 'lwm2m=1.1', 'lt=soon'], LINKS), BAD_REQUEST)
  assert.equal(await register(['ep=a', 'lwm2m=1.1'], 'what is this'), BAD_REQUEST)
})

test('observes every announced sensor value, and acknowledges a notification when it is durable', async (t) => {
  const gateway = await start(t)
  const { state, resource } = sensor('3303/0/5700', 21.5)
  const { register, server } = await device(t, gateway, [resource])
  await register(['ep=lamp-3', 'lt=300', 'lwm2m=1.1'], LINKS)
  await until(() => gateway.taken[0])
  assert.equal(gateway.taken[0]?.message.topic, 'telemetry/lamp-3')
  assert.equal(gateway.taken[0]?.message.contentType, 'application/json')
  assert.deepEqual(gateway.bodies(), [{ 'temperature.sensor_value': 21.5 }])
  await until(() => (state.observers === 1 ? true : undefined))
  const refusals: unknown[] = []
  gateway.take = (message, settled) => {
    settled(refusals.push(message) === 1 ? new Error('the journal is full') : null)
    return true
  }
  state.value = 22.25
  server.changed('/3303/0/5700')
  server.changed('3303/0/5700')
  await until(() => gateway.taken[2])
  assert.deepEqual(gateway.bodies().slice(1), [
    { 'temperature.sensor_value': 22.25 },
    { 'temperature.sensor_value': 22.25 },
  ])
})

test('observes what the config asks for, with its attributes, and tells instances apart', async (t) => {
  const options = {
    observe: [{ path: 'temperature.sensor_value', pmin: '10s', pmax: '1m', gt: 30 }],
    endpoints: { other: { observe: [] } },
  }
  const gateway = await start(t, { options })
  const first = sensor('3303/0/5700', 1)
  const second = sensor('3303/1/5700', 2)
  const own = await device(t, gateway, [first.resource, second.resource])
  await own.register(['ep=other', 'lwm2m=1.1'], '</3303/0>,</3303/1>')
  await own.register(['ep=lamp-3', 'lwm2m=1.1'], '</3303/0>,</3303/1>,</3304/0>')
  await until(() => gateway.taken[1])
  assert.deepEqual(gateway.bodies(), [{ 'temperature.0.sensor_value': 1 }, { 'temperature.1.sensor_value': 2 }])
  assert.deepEqual(first.state.query, ['pmin=10', 'pmax=60', 'gt=30'])
})

test('takes Send in both formats of SenML, and answers when it is durable', async (t) => {
  const gateway = await start(t, { options: { observe: [] } })
  const own = await device(t, gateway)
  const send = async (contentFormat: number, payload: Buffer) =>
    (await own.client.request(own.gateway, { code: POST, path: 'dp', contentFormat, payload })).code
  const items = [
    { name: '/3303/0/5700', value: 20.5 },
    { name: '/32769/0/1', value: 'on' },
  ]
  assert.equal(await send(110, encodeSenmlJson(items)), NOT_FOUND)
  await own.register(['ep=lamp-3', 'lwm2m=1.1'], LINKS)
  assert.equal(await send(110, encodeSenmlJson(items)), CHANGED)
  assert.equal(await send(112, encodeSenmlCbor(items)), CHANGED)
  const body = { 'temperature.sensor_value': 20.5, '32769/0/1': 'on' }
  assert.deepEqual(gateway.bodies(), [body, body])
  assert.equal(await send(112, encodeSenmlCbor([{ name: '/3303/0/5700', value: 19, time: 1_700_000_000 }])), CHANGED)
  assert.equal(gateway.taken[2]?.message.contentType, 'application/senml+json')
  assert.deepEqual(gateway.bodies()[2], [
    { bn: 'lamp-3/', n: 'temperature.sensor_value', u: 'Cel', t: 1_700_000_000, v: 19 },
  ])
  assert.equal(await send(112, Buffer.from('91'.repeat(60), 'hex')), BAD_REQUEST)
  assert.equal(await send(110, Buffer.from('[{"bn":"/3303/0/", "n":"5700","v":1},{"n":"/3304/0","v":2}]')), BAD_REQUEST)
  assert.equal(await send(0, Buffer.from('1')), 0x8f)
  gateway.take = (_message, settled) => {
    settled(new Error('the journal is full'))
    return true
  }
  assert.equal(await send(110, encodeSenmlJson(items)), 0xa3)
})

/** A lamp that remembers what it was told. */
function lamp() {
  const told: {
    method: string
    path: string
    format: number | undefined
    payload: Buffer
    query: readonly string[]
  }[] = []
  const answer =
    (method: string, code: number, body: { contentFormat?: number; payload?: Buffer } = {}) =>
    (request: Request, respond: (response: { code: number }) => void) => {
      told.push({
        method,
        path: request.path.join('/'),
        format: request.contentFormat,
        payload: request.payload,
        query: request.query,
      })
      respond({ code, ...body })
    }
  const resources: Resource[] = [
    {
      path: '3311/0/5850',
      get: answer('get', CONTENT, { contentFormat: 0, payload: Buffer.from('1') }),
      put: answer('put', CHANGED),
    },
    { path: '3/0/4', post: answer('post', CHANGED) },
    { path: '3/0', get: answer('get', CONTENT, { contentFormat: 11542, payload: tlv([3, 0], { 0: 'Acme', 9: 81 }) }) },
    {
      path: '3',
      get: answer('get', CONTENT, { contentFormat: 40, payload: Buffer.from('</3/0>;pmin=10,</3/0/0>') }),
    },
    { path: '3311/0', post: answer('post', CHANGED), delete: answer('delete', DELETED) },
    { path: '3311', post: answer('post', CREATED) },
  ]
  return { told, resources }
}

test('reads, writes, executes, discovers, creates and deletes by commands', async (t) => {
  const options = {
    observe: [],
    commands: { on: { write: '/3311/0/5850', value: true }, level: { write: 'light_control.dimmer' } },
    endpoints: { 'lamp-3': { commands: { reboot: { execute: '/3/0/4' } } } },
  }
  const gateway = await start(t, { options })
  const { told, resources } = lamp()
  const own = await device(t, gateway, resources)
  await own.register(['ep=lamp-3', 'lwm2m=1.1'], LINKS)
  const run = async (name: string, args?: unknown) => gateway.roles.commander?.execute(order(name, args), never)
  assert.deepEqual(await run('on'), { ok: true })
  assert.deepEqual(told.at(-1), {
    method: 'put',
    path: '3311/0/5850',
    format: 11542,
    payload: Buffer.from('e116da01', 'hex'),
    query: [],
  })
  assert.deepEqual(await run('write', { path: '/3311/0/5850', value: false }), { ok: true })
  assert.equal(told.at(-1)?.payload.toString('hex'), 'e116da00')
  assert.deepEqual(await run('read', { path: 'light_control.on_off' }), { ok: true, result: true })
  assert.deepEqual(await run('read', { path: '/3/0' }), { ok: true, result: { '/3/0/0': 'Acme', '/3/0/9': 81 } })
  assert.deepEqual(await run('reboot'), { ok: true })
  assert.deepEqual(await run('execute', { path: '/3/0/4', args: "0='now'" }), { ok: true })
  assert.equal(told.at(-1)?.payload.toString(), "0='now'")
  assert.deepEqual(await run('discover', { path: '/3' }), {
    ok: true,
    result: [
      { path: '/3/0', attributes: Object.assign(Object.create(null), { pmin: '10' }) },
      { path: '/3/0/0', attributes: Object.create(null) },
    ],
  })
  assert.deepEqual(await run('write-attributes', { path: '/3311/0/5850', pmin: 5, st: 0.5 }), { ok: true })
  assert.deepEqual(told.at(-1)?.query, ['pmin=5', 'st=0.5'])
  assert.deepEqual(await run('create', { path: '/3311', value: { 1: { 5850: true } } }), { ok: true })
  assert.equal(told.at(-1)?.payload.toString('hex'), '0401e116da01')
  assert.deepEqual(await run('write', { path: '/3311/0', value: { 5850: true } }), { ok: true })
  assert.equal(told.at(-1)?.method, 'post')
  assert.deepEqual(await run('delete', { path: '/3311/0' }), { ok: true })
  assert.deepEqual(await run('level', 50), { ok: false, reason: '4.04' })
  assert.match((await run('dance'))?.reason ?? '', /^there is no command dance/)
  assert.match((await run('write', { path: '/3311/0/5850', value: 'blue' }))?.reason ?? '', /boolean cannot be "blue"/)
  assert.match((await run('execute', { path: '/3' }))?.reason ?? '', /cannot be done at/)
  assert.match((await run('read', { path: 'nonsense' }))?.reason ?? '', /neither a path/)
})

test('tries another format when the device does not take the first', async (t) => {
  const gateway = await start(t, { options: { observe: [] } })
  const formats: unknown[] = []
  const put: Resource['put'] = (request, respond) => {
    formats.push(request.contentFormat)
    respond({ code: request.contentFormat === 112 ? CHANGED : 0x8f })
  }
  const own = await device(t, gateway, [{ path: '3311/0/5850', put }])
  await own.register(['ep=lamp-3', 'lwm2m=1.1'], LINKS)
  const done = await gateway.roles.commander?.execute(order('write', { path: '/3311/0/5850', value: true }), never)
  assert.deepEqual(done, { ok: true })
  assert.deepEqual(formats, [11542, 0, 112])
})

test('lets commands wait for a client in queue mode until it speaks', async (t) => {
  const gateway = await start(t, { options: { observe: [], awake: '2s' } })
  const { told, resources } = lamp()
  const own = await device(t, gateway, resources)
  const { commander } = gateway.roles
  const reachable: string[] = []
  commander?.onReachable?.((name) => reachable.push(name))
  await own.register(['ep=lamp-3', 'lwm2m=1.0', 'b=UQ'], LINKS)
  await until(() => reachable[0])
  assert.equal(commander?.reaches('lamp-3'), true)
  assert.deepEqual([commander?.describe?.('lamp-3')?.state, commander?.waiting?.('lamp-3')], ['online', undefined])
  await until(() => (commander?.reaches('lamp-3') ? undefined : true))
  const { state, details } = commander?.describe?.('lamp-3') ?? {}
  const { contact, ...rest } = details ?? {}
  const said = { protocol: 'LwM2M 1.0', binding: 'UQ', queue: true, lifetime: 86_400, security: 'none' }
  assert.deepEqual([state, rest], ['asleep', { ...said, objects: '/1/0 /3/0 /3303/0 /3311/0' }])
  assert.ok(Math.abs(Date.parse(String(contact)) - Date.now()) < 60_000)
  assert.deepEqual([...(commander?.devices?.() ?? [])], ['lamp-3'])
  assert.equal(commander?.waiting?.('lamp-3'), 'the device to wake (queue mode)')
  assert.equal(commander?.waiting?.('lamp-4'), undefined)
  await assert.rejects(async () => commander?.execute(order('read', { path: '/3/0' }), never), /sleeps \(queue mode\)/)
  reachable.length = 0
  assert.equal(await own.update(), CHANGED)
  await until(() => reachable[0])
  assert.equal(commander?.reaches('lamp-3'), true)
  assert.deepEqual(await commander?.execute(order('execute', { path: '/3/0/4' }), never), { ok: true })
  assert.equal(told.length, 1)
})

test('asks a client that did not answer again when it speaks, but executes nothing twice', async (t) => {
  const gateway = await start(t, { options: { observe: [], awake: '10m' }, clock: quicker(100) })
  const { told, resources } = lamp()
  const own = await device(t, gateway, resources)
  await own.register(['ep=lamp-3', 'lwm2m=1.1', 'Q'], LINKS)
  const elsewhere = await device(t, gateway)
  elsewhere.location = own.location
  assert.equal(await elsewhere.update(), CHANGED)
  // What is sent now goes to nobody.
  await elsewhere.close()
  const stop = new AbortController()
  let executed: unknown
  const write = gateway.roles.commander?.execute(order('write', { path: '/3311/0/5850', value: true }), stop.signal)
  gateway.roles.commander?.execute(order('execute', { path: '/3/0/4' }), stop.signal).then((result) => {
    executed = result
  })
  await until(() => (gateway.roles.commander?.reaches('lamp-3') ? undefined : true))
  assert.equal(await own.update(), CHANGED)
  assert.deepEqual(await write, { ok: true })
  assert.deepEqual(
    told.map(({ method }) => method),
    ['put'],
  )
  assert.equal(executed, undefined)
  stop.abort()
})

async function comesBack(t: TestContext, store: PluginStore): Promise<void> {
  const before = await start(t, { store })
  const { state, resource } = sensor('3303/0/5700', 1)
  const own = await device(t, before, [resource])
  await own.register(['ep=lamp-3', 'lt=3600', 'lwm2m=1.1'], LINKS)
  await until(() => before.taken[0])
  const { port } = before
  await before.stop()
  state.value = 2
  const after = await start(t, { store, options: { listen: `127.0.0.1:${port}` } })
  await until(() => after.taken[0])
  assert.deepEqual(after.bodies(), [{ 'temperature.sensor_value': 2 }])
  assert.equal(after.roles.commander?.reaches('lamp-3'), true)
  assert.equal(await own.update(), CHANGED)
  state.value = 3
  own.server.changed('3303/0/5700')
  await until(() => after.taken[1])
  assert.deepEqual(after.bodies()[1], { 'temperature.sensor_value': 3 })
}

test('knows its clients after a restart, and observes them again', (t) => comesBack(t, memoryStore()))

test('knows its clients when it is started again in the same process', (t) =>
  comesBack(
    t,
    memoryStore((value) => value),
  ))

test('follows a client to another address, and observes it there', async (t) => {
  const gateway = await start(t)
  const first = sensor('3303/0/5700', 1)
  const second = sensor('3303/0/5700', 2)
  const own = await device(t, gateway, [first.resource])
  await own.register(['ep=lamp-3', 'lwm2m=1.1'], LINKS)
  await until(() => gateway.taken[0])
  const moved = await device(t, gateway, [second.resource])
  moved.location = own.location
  assert.equal(await moved.update(), CHANGED)
  await until(() => gateway.taken[1])
  assert.deepEqual(gateway.bodies()[1], { 'temperature.sensor_value': 2 })
})

test('over DTLS an identity registers only as the device it may publish for, and nobody else touches it', async (t) => {
  const keys = `lamp-3:${KEY.toString('hex')} publish=lamp-3\n`
  const gateway = await start(t, { keys })
  const { resource } = sensor('3303/0/5700', 5)
  const own = await secureDevice(t, gateway, 'lamp-3', [resource])
  assert.equal(await own.register(['ep=other', 'lwm2m=1.1'], LINKS), 0x83)
  assert.equal(await own.register(['lwm2m=1.1'], LINKS), CREATED)
  await until(() => gateway.taken[0])
  assert.equal(gateway.taken[0]?.message.topic, 'telemetry/lamp-3')
  const stranger = await device(t, gateway)
  assert.equal(await stranger.register(['ep=lamp-3', 'lwm2m=1.1'], LINKS), 0x83)
  stranger.location = own.location
  assert.equal(await stranger.update(), NOT_FOUND)
  assert.equal(await own.update(), CHANGED)
})

test('serves what coap serves', async (t) => {
  const gateway = await start(t)
  const own = await device(t, gateway)
  const posted = await own.client.request(own.gateway, {
    code: POST,
    path: 'telemetry/d1',
    contentFormat: 50,
    payload: Buffer.from('{"a":1}'),
  })
  assert.equal(posted.code, CHANGED)
  assert.equal(gateway.taken[0]?.message.topic, 'telemetry/d1')
})

test('says no to more clients than it may hold', async (t) => {
  const gateway = await start(t, { options: { maxRegistrations: 1 } })
  const own = await device(t, gateway)
  assert.equal(await own.register(['ep=a', 'lwm2m=1.1'], LINKS), CREATED)
  assert.equal(await own.register(['ep=b', 'lwm2m=1.1'], LINKS), 0xa3)
  assert.equal(await own.register(['ep=a', 'lwm2m=1.1'], LINKS), CREATED)
})
