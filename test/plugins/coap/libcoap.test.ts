// libcoap's programs on the other side: its clients against ours, and its servers.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../../gateway/clock.ts'
import { type Client, createClient } from '../../../plugins/coap/client.ts'
import { GET, PUT } from '../../../plugins/coap/codes.ts'
import { createDtlsClient } from '../../../plugins/coap/dtls/client.ts'
import { parseLinks } from '../../../plugins/coap/link-format.ts'
import { createServer } from '../../../plugins/coap/server.ts'
import type { Peer } from '../../../plugins/coap/transport.ts'
import { bindUdp } from '../../../plugins/coap/udp.ts'
import { type Gateway, LOOPBACK, start, until } from './gateway.ts'
import { freePort, missing, run, serve } from './peers.ts'
import { startProxy } from './proxy.ts'

const SECRET = 'a secret for libcoap'
const KEYS = `alice:${Buffer.from(SECRET).toString('hex')}\n`
const TLS = ['openssl', 'gnutls'] as const

const payloads = (gateway: Gateway) => gateway.taken.map(({ message }) => Buffer.from(message.payload).toString())

describe('libcoap', { concurrency: 4 }, () => {
  test('its client publishes, confirmably and not, in blocks of several sizes', {
    skip: missing('coap-client-notls'),
  }, async (t) => {
    const gateway = await start(t)
    const url = `coap://127.0.0.1:${gateway.port}/telemetry/d1`
    const folder = mkdtempSync(join(tmpdir(), 'sluice-libcoap-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const body = JSON.stringify(Array.from({ length: 400 }, (_, i) => ({ value: i })))
    writeFileSync(join(folder, 'body'), body)
    for (const args of [
      ['-e', '{"a":1}'],
      ['-N', '-e', '{"a":2}'],
      ['-f', join(folder, 'body')],
      ['-b', '64', '-f', join(folder, 'body')],
    ]) {
      const { err } = await run('coap-client-notls', ['-m', 'post', '-t', '50', '-B', '10', ...args, url])
      assert.equal(err, '')
    }
    assert.deepEqual(payloads(gateway), ['{"a":1}', '{"a":2}', body, body])
    assert.ok(gateway.taken.every(({ message }) => message.contentType === 'application/json'))
  })

  test('its client is told what it did wrong', { skip: missing('coap-client-notls') }, async (t) => {
    const gateway = await start(t)
    const ask = async (...args: string[]) =>
      (
        await run('coap-client-notls', [
          '-B',
          '10',
          ...args.slice(0, -1),
          `coap://127.0.0.1:${gateway.port}/${args.at(-1)}`,
        ])
      ).err
    assert.match(await ask('-m', 'get', 'nothing'), /^4\.04/)
    assert.match(await ask('-m', 'get', 'telemetry/d1'), /^4\.05/)
    assert.match(await ask('-m', 'post', '-t', '40', '-e', 'x', 'telemetry/d1'), /^4\.15/)
    assert.match(await ask('-m', 'post', '-O', '9,0x01', '-e', 'x', 'telemetry/d1'), /^4\.02/)
    assert.equal(gateway.taken.length, 0)
  })

  test('its client gets through although its first datagrams are lost', {
    skip: missing('coap-client-notls'),
  }, async (t) => {
    const gateway = await start(t)
    await run('coap-client-notls', [
      '-m',
      'post',
      '-B',
      '14',
      '-l',
      '1',
      '-e',
      '1',
      `coap://127.0.0.1:${gateway.port}/telemetry/d1`,
    ])
    assert.deepEqual(payloads(gateway), ['1'])
  })

  for (const variant of TLS)
    test(`its client gets through a bad network, over UDP and over DTLS with ${variant}`, {
      skip: missing('coap-client-notls', `coap-client-${variant}`),
    }, async (t) => {
      const gateway = await start(t, {}, KEYS)
      const weather = { fate: (nth: number) => (nth === 0 ? 0 : 2), late: (nth: number) => nth % 3 === 2 }
      const plain = await startProxy(t, gateway.port, weather)
      const secure = await startProxy(t, gateway.dtlsPort, weather)
      const folder = mkdtempSync(join(tmpdir(), 'sluice-libcoap-'))
      t.after(() => rmSync(folder, { recursive: true }))
      const body = 'x'.repeat(3000)
      writeFileSync(join(folder, 'body'), body)
      const post = ['-m', 'post', '-B', '14', '-f', join(folder, 'body')]
      await Promise.all([
        run('coap-client-notls', [...post, `coap://127.0.0.1:${plain.port}/telemetry/plain`]),
        run(`coap-client-${variant}`, [
          ...post,
          '-u',
          'alice',
          '-k',
          SECRET,
          `coaps://127.0.0.1:${secure.port}/telemetry/secure`,
        ]),
      ])
      assert.deepEqual(gateway.taken.map(({ message }) => message.topic).sort(), [
        'telemetry/plain',
        'telemetry/secure',
      ])
      assert.deepEqual(payloads(gateway), [body, body])
    })

  test('its client observes its commands', { skip: missing('coap-client-notls') }, async (t) => {
    const gateway = await start(t)
    const { commander } = gateway.roles
    const listening = run('coap-client-notls', [
      '-m',
      'get',
      '-w',
      '-s',
      '2',
      '-B',
      '2',
      `coap://127.0.0.1:${gateway.port}/command/lamp`,
    ])
    await until(() => commander?.reaches('lamp') || undefined)
    const abort = new AbortController()
    const command = { id: 'c1', device: 'lamp', command: 'on', deadline: Date.now() + 60_000 }
    commander?.execute(command, abort.signal).catch(() => {})
    assert.match((await listening).out, /\{"id":"c1","command":"on"\}/)
    await until(() => (commander?.reaches('lamp') ? undefined : true))
  })

  for (const variant of TLS)
    test(`its client publishes over DTLS with ${variant}, and is refused with another key`, {
      skip: missing(`coap-client-${variant}`),
    }, async (t) => {
      const gateway = await start(t, {}, KEYS)
      const ask = (user: string, key: string) =>
        run(`coap-client-${variant}`, [
          '-m',
          'post',
          '-B',
          '10',
          '-u',
          user,
          '-k',
          key,
          '-e',
          '1',
          `coaps://127.0.0.1:${gateway.dtlsPort}/telemetry/d1`,
        ])
      assert.equal((await ask('alice', SECRET)).err, '')
      assert.deepEqual(payloads(gateway), ['1'])
      assert.match((await ask('alice', 'another key')).out, /[Dd]ecrypt error/)
      assert.match((await ask('mallory', SECRET)).out, /[Dd]ecrypt error/)
      assert.equal(gateway.taken.length, 1)
    })

  for (const variant of ['notls', ...TLS] as const)
    test(`its server (${variant}) is asked, given a large body, and observed`, {
      skip: missing(`coap-server-${variant}`),
    }, async (t) => {
      const port = await freePort()
      const secure = variant === 'notls' ? [] : ['-k', SECRET]
      serve(t, `coap-server-${variant}`, ['-A', '127.0.0.1', '-p', `${port}`, '-d', '10', ...secure])
      const { client, peer } = await (variant === 'notls' ? plainClient(t, port) : secureClient(t, port + 1))
      // It may need a moment to listen: the request is repeated meanwhile.
      const core = await client.request(peer, { code: GET, path: '.well-known/core' })
      const links = parseLinks(core.payload.toString())
      assert.ok(links.some((l) => l.path === '/time' && l.attributes.obs === true))
      const body = Buffer.alloc(5000, 'abcdefghijklmnopqrstuvwxyz')
      const put = await client.request(peer, { code: PUT, path: 'example_data', payload: body })
      assert.equal(put.code >> 5, 2)
      const got = await client.request(peer, { code: GET, path: 'example_data' })
      assert.ok(got.payload.equals(body))
      const times: string[] = []
      const observation = client.observe(
        peer,
        { code: GET, path: 'time' },
        {
          notification(response, receipt) {
            receipt.acknowledge()
            times.push(response.payload.toString())
          },
          ended: (error) => assert.fail(error),
        },
      )
      await until(() => times[1])
      observation.cancel(true)
    })
})

async function plainClient(t: TestContext, port: number): Promise<{ client: Client; peer: Peer }> {
  const udp = await bindUdp(LOOPBACK)
  const server = createServer({ clock: systemClock, resources: [] })
  server.endpoint.attach(udp)
  t.after(async () => {
    server.close()
    await udp.close()
  })
  return { client: createClient({ clock: systemClock, endpoint: server.endpoint }), peer: udp.peer('127.0.0.1', port) }
}

async function secureClient(t: TestContext, port: number): Promise<{ client: Client; peer: Peer }> {
  const udp = await bindUdp(LOOPBACK)
  const dtls = createDtlsClient({ clock: systemClock, lower: udp })
  const server = createServer({ clock: systemClock, resources: [] })
  server.endpoint.attach(dtls)
  t.after(async () => {
    server.close()
    await dtls.close()
  })
  const peer = await dtls.connect(udp.peer('127.0.0.1', port), { identity: 'alice', key: Buffer.from(SECRET) })
  return { client: createClient({ clock: systemClock, endpoint: server.endpoint }), peer }
}
