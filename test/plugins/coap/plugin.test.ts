import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import type { CommandResult } from '../../../gateway/plugin.ts'
import { CHANGED, CONTENT, GET, POST, PUT } from '../../../plugins/coap/codes.ts'
import { coap } from '../../../plugins/coap/index.ts'
import { parseLinks } from '../../../plugins/coap/link-format.ts'
import type { Observation } from '../../../plugins/coap/observe.ts'
import { findUint, MAX_AGE } from '../../../plugins/coap/options.ts'
import type { Resource } from '../../../plugins/coap/resource.ts'
import { createServer } from '../../../plugins/coap/server.ts'
import type { Peer } from '../../../plugins/coap/transport.ts'
import { bindUdp } from '../../../plugins/coap/udp.ts'
import { device, KEY, LOOPBACK, quick, secureDevice, start, until } from './gateway.ts'
import { startProxy } from './proxy.ts'

const json = (value: unknown) => ({ contentFormat: 50, payload: Buffer.from(JSON.stringify(value)) })

const command = (name: string, args?: unknown) => ({
  id: `id-${name}`,
  device: 'lamp',
  command: name,
  args,
  deadline: Date.now() + 60_000,
})

test('emits telemetry under its topic with its content type, and answers when it is durable', async (t) => {
  const gateway = await start(t)
  const { client, gateway: peer } = await device(t, gateway)
  gateway.take = () => true
  let answered = false
  const asked = client.request(peer, { code: POST, path: 'telemetry/d1', ...json({ a: 1 }) })
  asked.then(() => {
    answered = true
  })
  const { message, settled } = await until(() => gateway.taken[0])
  assert.equal(message.topic, 'telemetry/d1')
  assert.equal(message.contentType, 'application/json')
  assert.equal(Buffer.from(message.payload).toString(), '{"a":1}')
  assert.equal(answered, false)
  settled(null)
  assert.equal((await asked).code, CHANGED)
})

test('shows a device that asks where telemetry goes and commands come from', async (t) => {
  const { client, gateway: peer } = await device(t, await start(t))
  const core = await client.request(peer, { code: GET, path: '.well-known/core' })
  assert.deepEqual(
    parseLinks(core.payload.toString()).map(({ path, attributes }) => [path, { ...attributes }]),
    [
      ['/telemetry', { rt: 'telemetry', ct: '0 42 50 60 110 112' }],
      ['/command', { rt: 'command', ct: '50', obs: true }],
    ],
  )
})

test('takes a stream, every format telemetry comes in, and none that it never comes in', async (t) => {
  const gateway = await start(t)
  const { client, gateway: peer } = await device(t, gateway)
  const send = async (path: string, contentFormat?: number) =>
    (
      await client.request(peer, {
        code: POST,
        path,
        payload: Buffer.from('1'),
        ...(contentFormat !== undefined && { contentFormat }),
      })
    ).code
  const types = []
  for (const format of [0, 42, 50, 60, 110, 112, undefined]) {
    assert.equal(await send('telemetry/d1/outside', format), CHANGED)
    types.push(gateway.taken.at(-1)?.message.contentType)
  }
  assert.equal(gateway.taken[0]?.message.topic, 'telemetry/d1/outside')
  assert.deepEqual(types, [
    'text/plain',
    undefined,
    'application/json',
    'application/cbor',
    'application/senml+json',
    'application/senml+cbor',
    undefined,
  ])
  assert.equal(await send('telemetry/d1', 40), 0x8f)
  assert.equal(await send('telemetry/d1', 9999), 0x8f)
  assert.equal(await send('telemetry/a%2Fb'), 0x80)
  assert.equal(await send('telemetry/%2B'), 0x80)
  assert.equal(await send('telemetry'), 0x84)
  assert.equal(gateway.taken.length, 7)
})

test('emits a body of 60 KB that came in blocks', async (t) => {
  const gateway = await start(t)
  const { client, gateway: peer } = await device(t, gateway)
  const payload = Buffer.alloc(60_000, '[1,2]')
  assert.equal((await client.request(peer, { code: POST, path: 'telemetry/d1', payload })).code, CHANGED)
  assert.ok(Buffer.from(gateway.taken[0]?.message.payload ?? []).equals(payload))
})

test('sends the device away for a while when there is no room, or it is not durable in time', async (t) => {
  const gateway = await start(t, { answer: '2s' })
  const { client, gateway: peer } = await device(t, gateway)
  gateway.take = () => false
  const busy = await client.request(peer, { code: POST, path: 'telemetry/d1', payload: Buffer.from('1') })
  assert.equal(busy.code, 0xa3)
  assert.ok((findUint(busy.options, MAX_AGE) ?? 0) > 0)
  gateway.take = () => true
  const late = await client.request(peer, { code: POST, path: 'telemetry/d1', payload: Buffer.from('2') })
  assert.equal(late.code, 0xa3)
  // What becomes durable afterwards changes nothing any more.
  gateway.taken.at(-1)?.settled(null)
  gateway.take = (_message, settled) => {
    settled(new Error('stopping'))
    return true
  }
  const failed = await client.request(peer, { code: POST, path: 'telemetry/d1', payload: Buffer.from('3') })
  assert.equal(failed.code, 0xa3)
})

test('lets an identity publish and be commanded as its line in the key file says', async (t) => {
  const keys = `sensor-1:${KEY.toString('hex')}\nfleet:${KEY.toString('hex')} publish=truck-*,depot command=truck-*\n`
  const gateway = await start(t, {}, keys)
  const one = await secureDevice(t, gateway, 'sensor-1')
  const fleet = await secureDevice(t, gateway, 'fleet')
  const publish = async (from: typeof one, name: string) =>
    (await from.client.request(from.gateway, { code: POST, path: `telemetry/${name}`, payload: Buffer.from('1') })).code
  const listen = async (from: typeof one, name: string) =>
    (await from.client.request(from.gateway, { code: GET, path: `command/${name}` })).code
  assert.equal(await publish(one, 'any'), CHANGED)
  assert.equal(await publish(fleet, 'truck-7'), CHANGED)
  assert.equal(await publish(fleet, 'depot'), CHANGED)
  assert.equal(await publish(fleet, 'sensor-1'), 0x83)
  assert.equal(await listen(one, 'sensor-1'), CONTENT)
  assert.equal(await listen(one, 'truck-7'), 0x83)
  assert.equal(await listen(fleet, 'truck-7'), CONTENT)
  assert.equal(await listen(fleet, 'depot'), 0x83)
})

test('keeps a session through a change of address, with its observation', async (t) => {
  const gateway = await start(t, {}, `lamp:${KEY.toString('hex')}\n`)
  const proxy = await startProxy(t, gateway.dtlsPort)
  const lamp = await secureDevice(t, { ...gateway, dtlsPort: proxy.port }, 'lamp')
  const heard: string[] = []
  lamp.client.observe(
    lamp.gateway,
    { code: GET, path: 'command/lamp' },
    {
      notification(response, receipt) {
        receipt.acknowledge()
        heard.push(response.payload.toString())
      },
      ended: (error) => assert.fail(error),
    },
  )
  await until(() => heard[0]?.length === 0 || undefined)
  await proxy.remap()
  const path = 'telemetry/lamp'
  const response = await lamp.client.request(lamp.gateway, { code: POST, path, payload: Buffer.from('1') })
  assert.equal(response.code, CHANGED)
  const execution = gateway.roles.commander?.execute(command('on'), new AbortController().signal)
  await until(() => heard[1])
  assert.equal(heard[1], '{"id":"id-on","command":"on"}')
  const answer = { code: POST, path: 'command/lamp/on/ack', ...json({ id: 'id-on', ok: true }) }
  await lamp.client.request(lamp.gateway, answer)
  assert.deepEqual(await execution, { ok: true })
})

test('takes an answer to a command only from the device that got it', async (t) => {
  const key = KEY.toString('hex')
  const gateway = await start(t, {}, `lamp:${key}\nthief:${key}\n`)
  const lamp = await secureDevice(t, gateway, 'lamp')
  const thief = await secureDevice(t, gateway, 'thief')
  const handler = {
    notification: (_response: unknown, receipt: { acknowledge(): void }) => receipt.acknowledge(),
    ended: (error: Error) => assert.fail(error),
  }
  lamp.client.observe(lamp.gateway, { code: GET, path: 'command/lamp' }, handler)
  await until(() => gateway.roles.commander?.reaches('lamp') || undefined)
  const execution = gateway.roles.commander?.execute(command('on'), new AbortController().signal)
  const answer = async (from: typeof lamp, name: string) =>
    (
      await from.client.request(from.gateway, {
        code: POST,
        path: `command/${name}/on/ack`,
        ...json({ id: 'id-on', ok: from === lamp }),
      })
    ).code
  assert.equal(await answer(thief, 'lamp'), 0x83)
  assert.equal(await answer(thief, 'thief'), 0x84)
  assert.equal(await answer(lamp, 'lamp'), CHANGED)
  assert.deepEqual(await execution, { ok: true })
})

test('reads the key file again when it changes, and keeps the old keys when it is broken', async (t) => {
  const gateway = await start(t, {}, `sensor-1:${KEY.toString('hex')}\n`)
  const one = await secureDevice(t, gateway, 'sensor-1')
  await assert.rejects(secureDevice(t, gateway, 'sensor-2'), /alert 51/)
  writeFileSync(gateway.keyFile, 'no key at all\n')
  await until(() => gateway.warnings.find((text) => text.includes('keys before it stay')))
  await secureDevice(t, gateway, 'sensor-1')
  writeFileSync(gateway.keyFile, `sensor-2:${KEY.toString('hex')}\n`)
  await until(() => (one.gateway as Peer & { state?: string }).state === 'closed' || undefined)
  await secureDevice(t, gateway, 'sensor-2')
})

test('refuses to start without a readable key file, and warns of one that all can read', async (t) => {
  await assert.rejects(start(t, { dtls: { listen: '127.0.0.1:0', pskFile: '/nowhere/keys' } }), {
    code: 'SLUICE_PSK_FILE',
  })
  await assert.rejects(start(t, {}, 'secret without colon'), (error: Error) => {
    assert.match(error.message, /keys:1: /)
    assert.ok(!error.message.includes('secret'))
    return true
  })
  const folder = mkdtempSync(join(tmpdir(), 'sluice-keys-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const pskFile = join(folder, 'keys')
  writeFileSync(pskFile, `sensor-1:${KEY.toString('hex')}\n`)
  chmodSync(pskFile, 0o644)
  const open = await start(t, { dtls: { listen: '127.0.0.1:0', pskFile } })
  assert.deepEqual(open.warnings, ['the key file can be read by everybody: chmod 600 it'])
})

test('describes every field of its config', () => {
  interface Schema {
    readonly description?: string
    readonly properties?: Readonly<Record<string, Schema>>
    readonly items?: Schema
    readonly anyOf?: readonly Schema[]
    readonly additionalProperties?: Schema | boolean
  }
  const undescribed = (schema: Schema, path: string): string[] => [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
      ...(field.description ? [] : [`${path}.${name}`]),
      ...undescribed(field, `${path}.${name}`),
    ]),
    ...(schema.anyOf ?? []).flatMap((inner) => undescribed(inner, path)),
    ...(schema.items ? undescribed(schema.items, `${path}[]`) : []),
    ...(typeof schema.additionalProperties === 'object' ? undescribed(schema.additionalProperties, `${path}.*`) : []),
  ]
  assert.deepEqual(undescribed(z.toJSONSchema(coap.config, { io: 'input' }) as Schema, ''), [])
})

test('stops within a second, with a session open', async (t) => {
  const gateway = await start(t, {}, `sensor-1:${KEY.toString('hex')}\n`)
  await secureDevice(t, gateway, 'sensor-1')
  const before = performance.now()
  await gateway.stop()
  assert.ok(performance.now() - before < 1000)
  assert.deepEqual(gateway.roles.source?.ports?.(), {})
})

test('listens beyond loopback only with anonymous: true, and says what to do', () => {
  const mistake = coap.config.safeParse({ listen: '0.0.0.0:5683' })
  assert.match(mistake.error?.issues[0]?.message ?? '', /anonymous: true.*dtls/)
  assert.deepEqual(mistake.error?.issues[0]?.path, ['listen'])
  for (const config of [
    {},
    { listen: '0.0.0.0:5683', anonymous: true },
    { listen: ['127.0.0.1:5683', '[::1]:5683'] },
    { dtls: { listen: '0.0.0.0:5684', pskFile: 'keys' } },
  ])
    assert.ok(coap.config.safeParse(config).success, JSON.stringify(config))
  for (const config of [
    { listen: '127.0.0.1' },
    { listen: '127.0.0.1:99999' },
    { listen: '[::]:5683' },
    { dtls: {} },
    { devices: { a: { url: 'http://x' } } },
    { devices: { a: { url: 'coaps://x' } } },
  ])
    assert.ok(!coap.config.safeParse(config).success, JSON.stringify(config))
})

test('commands a device that observes its commands, and takes its answer', async (t) => {
  const gateway = await start(t)
  const { commander } = gateway.roles
  assert.ok(commander)
  const lamp = await device(t, gateway)
  const reached: string[] = []
  commander.onReachable?.((name) => void reached.push(name))
  assert.equal(commander.reaches('lamp'), false)
  await assert.rejects(commander.execute(command('on'), new AbortController().signal), { code: 'SLUICE_COAP' })
  const heard: { id: string; command: string; args: unknown }[] = []
  const observation = lamp.client.observe(
    lamp.gateway,
    { code: GET, path: 'command/lamp' },
    {
      notification(response, receipt) {
        receipt.acknowledge()
        if (response.payload.length > 0) heard.push(JSON.parse(response.payload.toString()))
      },
      ended() {},
    },
  )
  await until(() => reached[0])
  assert.equal(commander.reaches('lamp'), true)
  const signal = new AbortController().signal
  const results = [commander.execute(command('on', { level: 5 }), signal), commander.execute(command('off'), signal)]
  await until(() => heard[1])
  assert.deepEqual(heard, [
    { id: 'id-on', command: 'on', args: { level: 5 } },
    { id: 'id-off', command: 'off' },
  ])
  const answer = (name: string, body: object) =>
    lamp.client.request(lamp.gateway, { code: POST, path: `command/lamp/${name}/ack`, ...json(body) })
  assert.equal((await answer('on', { id: 'id-on', ok: true, result: 'lit' })).code, CHANGED)
  assert.equal((await answer('off', { id: 'id-off', ok: false, reason: 'stuck' })).code, CHANGED)
  assert.equal((await answer('off', { id: 'id-off', ok: true })).code, 0x84)
  assert.equal((await answer('off', { ok: true })).code, 0x80)
  assert.deepEqual(await Promise.all(results), [
    { ok: true, result: 'lit' },
    { ok: false, reason: 'stuck' },
  ])
  observation.cancel(true)
  await until(() => (commander.reaches('lamp') ? undefined : true))
})

test('commands a device that listens, by PUT of a value or POST of the whole command', async (t) => {
  const asked: string[] = []
  const take: Resource['post'] = (request, respond) => {
    asked.push(`${request.code} ${request.path.join('/')} ${request.contentFormat} ${request.payload}`)
    if (request.payload.toString() === '99') respond({ code: 0x80, payload: Buffer.from('too bright') })
    else respond({ code: CHANGED, payload: Buffer.from('done') })
  }
  const resources: Resource[] = [
    { path: 'actuators/led', put: take },
    { path: 'command/{name}', post: take },
  ]
  const udp = await bindUdp(LOOPBACK)
  const server = createServer({ clock: quick, resources })
  server.endpoint.attach(udp)
  t.after(async () => {
    server.close()
    await udp.close()
  })
  const gateway = await start(t, {
    devices: {
      lamp: {
        url: `coap://127.0.0.1:${udp.port}`,
        commands: { level: { path: '/actuators/led', method: 'put', body: 'args' } },
      },
    },
  })
  const { commander } = gateway.roles
  const execute = (name: string, args?: unknown): Promise<CommandResult> | undefined =>
    commander?.execute(command(name, args), new AbortController().signal)
  assert.equal(commander?.reaches('lamp'), true)
  assert.deepEqual(await execute('level', 50), { ok: true, result: 'done' })
  assert.deepEqual(await execute('on', { fade: 1 }), { ok: true, result: 'done' })
  assert.deepEqual(await execute('level', 99), { ok: false, reason: '4.00 too bright' })
  assert.deepEqual(asked, [
    `${PUT} actuators/led 0 50`,
    `${POST} command/on 50 {"id":"id-on","args":{"fade":1}}`,
    `${PUT} actuators/led 0 99`,
  ])
})

test('observes devices, acknowledges what is durable, and observes again after silence', async (t) => {
  const state = { value: '20.5', observers: [] as Observation[] }
  const udp = await bindUdp(LOOPBACK)
  const server = createServer({
    clock: quick,
    resources: [
      {
        path: 'sensors/temp',
        get: (_request, respond) => respond({ code: CONTENT, contentFormat: 0, payload: Buffer.from(state.value) }),
        observed: (observation) => void state.observers.push(observation),
      },
    ],
  })
  server.endpoint.attach(udp)
  t.after(async () => {
    server.close()
    await udp.close()
  })
  const url = `coap://127.0.0.1:${udp.port}`
  const gateway = await start(t, {
    devices: { boiler: { url, observe: [{ path: '/sensors/temp', stream: 'temp' }], silence: '3s' } },
  })
  const { message } = await until(() => gateway.taken[0])
  assert.equal(message.topic, 'telemetry/boiler/temp')
  assert.equal(message.contentType, 'text/plain')
  assert.equal(Buffer.from(message.payload).toString(), '20.5')
  let refusals = 1
  gateway.take = (_message, settled) => {
    settled(refusals-- > 0 ? new Error('not durable') : null)
    return true
  }
  state.value = '21'
  server.changed('sensors/temp')
  await until(() => gateway.taken[2])
  assert.deepEqual(
    gateway.taken.slice(1).map((taken) => Buffer.from(taken.message.payload).toString()),
    ['21', '21'],
  )
  assert.equal(state.observers.length, 1)
  state.observers[0]?.end()
  await until(() => state.observers[1])
})
