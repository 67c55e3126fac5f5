import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { createSite, type GatewayProcess, runCommand, type Site } from '../support/gateway-process.ts'
import { startHttpUpstream } from '../support/http-upstream.ts'
import { connectDevice, publishAll } from '../support/mqtt-device.ts'
import { eventually } from '../support/within.ts'

const LOOPBACK = { mqtt: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' } }
/** Port 9 of the loopback: nobody listens. */
const NOBODY = { mqtt: { url: 'mqtt://127.0.0.1:9' } }

let sites: Site[] = []
let gateways: GatewayProcess[] = []

function site(config: object): Site {
  const created = createSite(config)
  sites.push(created)
  return created
}

async function start(on: Site, env?: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const gateway = await on.start(env)
  gateways.push(gateway)
  return gateway
}

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.kill('SIGKILL')))
  for (const one of sites) one.remove()
  sites = []
  gateways = []
})

/** The only line of standard error of a gateway that can't start. */
async function refusal(on: Site): Promise<string> {
  const { code, out, err } = await runCommand(['run', ...on.args])
  assert.equal(code, 1, err)
  assert.equal(out, '')
  assert.match(err, /^[^\n]+\n$/, 'one line')
  assert.doesNotMatch(err, /\n\s+at |\.cjs:\d/, 'a stack trace')
  return err
}

test('run: a port in use is one line and exit code 1', async () => {
  const holder = createServer()
  await once(holder.listen(0, '127.0.0.1'), 'listening')
  const address = holder.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  try {
    const taken = { listen: `127.0.0.1:${port}` }
    const mqtt = await refusal(site({ ...LOOPBACK, mqtt: taken }))
    assert.match(mqtt, new RegExp(`127\\.0\\.0\\.1:${port}.*SLUICE_PORT_IN_USE`))
    const http = await refusal(site({ ...LOOPBACK, http: taken }))
    assert.match(http, new RegExp(`127\\.0\\.0\\.1:${port}.*SLUICE_PORT_IN_USE`))
  } finally {
    holder.close()
  }
})

test('run: an unreadable certificate is one line and exit code 1', async () => {
  const absent = site({
    ...LOOPBACK,
    mqtt: { ...LOOPBACK.mqtt, tls: { listen: '127.0.0.1:0', cert: 'c.pem', key: 'k.pem' } },
  })
  assert.match(await refusal(absent), /c\.pem.*SLUICE_CERT_UNREADABLE/)
  for (const name of ['c.pem', 'k.pem']) writeFileSync(join(absent.folder, name), 'no certificate\n')
  assert.match(await refusal(absent), /SLUICE_CERT_UNREADABLE/)
  const http = site({ ...LOOPBACK, http: { ...LOOPBACK.http, tls: { cert: 'c.pem', key: 'k.pem' } } })
  assert.match(await refusal(http), /c\.pem/)
})

test('run: a data directory that cannot be written is one line and exit code 1', async () => {
  const one = site(LOOPBACK)
  // A file in the way: that stops root, too.
  writeFileSync(one.data, '')
  assert.match(await refusal(one), new RegExp(`${one.data}.*SLUICE_DATA_UNWRITABLE`))
  const partly = site(LOOPBACK)
  mkdirSync(partly.data)
  writeFileSync(join(partly.data, 'journal'), '')
  assert.match(await refusal(partly), /journal/)
})

test('run: a file that the config names and is not there is one line with its path, and exit code 1', async () => {
  for (const missing of [
    { ...LOOPBACK, mqtt: { listen: '127.0.0.1:0', passwordFile: 'absent' } },
    { ...LOOPBACK, http: { listen: '127.0.0.1:0', tokenFile: 'absent' } },
    { ...LOOPBACK, lookups: { places: { file: 'absent' } } },
  ]) {
    const one = site(missing)
    assert.match(await refusal(one), new RegExp(`${join(one.folder, 'absent')}.*\\(SLUICE_[A-Z_]+\\)`))
  }
})

test('run: a data directory in use is one line with the process that holds it, and exit code 1', async () => {
  const one = site(LOOPBACK)
  const gateway = await start(one)
  assert.match(
    await refusal(one),
    new RegExp(`${one.data} is in use by process ${gateway.child.pid} .*SLUICE_DATA_LOCKED`),
  )
})

test('run: a wrong config is all its mistakes with their places, and exit code 78', async () => {
  const one = site({ mqtt: { listne: 1 }, windows: { w: { tumbing: '10s' } } })
  const { code, out, err } = await runCommand(['run', ...one.args])
  assert.equal(code, 78)
  assert.equal(out, '')
  assert.match(err, /sluice\.yaml:1:\d+: unknown key `listne`, did you mean `listen`\?/)
  assert.match(err, /sluice\.yaml:1:\d+: unknown key `tumbing`, did you mean `tumbling`\?/)
  assert.doesNotMatch(err, /\n\s+at /)
})

test('run: says once on standard output where it listens, and logs JSON lines on standard error', async () => {
  const one = site({
    ...LOOPBACK,
    mqtt: { listen: '127.0.0.1:0', websocket: { listen: '127.0.0.1:0' } },
    upstreams: { cloud: NOBODY },
  })
  let out = ''
  const gateway = await start(one)
  gateway.child.stdout?.on('data', (chunk) => {
    out += chunk
  })
  assert.deepEqual(Object.keys(gateway.ports).sort(), ['http', 'mqtt', 'ws'])
  for (const port of Object.values(gateway.ports)) assert.ok(port > 0)
  const health = await fetch(`http://127.0.0.1:${gateway.ports.http}/readyz`)
  assert.equal(health.status, 200)
  assert.equal(await gateway.kill(), 0)
  assert.equal(out, '', 'nothing more on standard output')
  for (const line of gateway.log().trim().split('\n')) {
    const { level, time, msg } = JSON.parse(line) as Record<string, unknown>
    assert.deepEqual([typeof level, typeof time, typeof msg], ['string', 'string', 'string'])
  }
})

test('run: the environment overrides the file', async () => {
  const one = site({ ...LOOPBACK, gateway: { id: 'from-file' }, http: { listen: '127.0.0.1:0', token: 'of-the-file' } })
  const gateway = await start(one, { SLUICE__GATEWAY__ID: 'from-env', SLUICE__HTTP__TOKEN: '12345' })
  const ask = (token: string) =>
    fetch(`http://127.0.0.1:${gateway.ports.http}/api/status`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal((await ask('of-the-file')).status, 401)
  const status = (await (await ask('12345')).json()) as { gateway: string }
  assert.match(JSON.stringify(status), /"from-env"/)
})

test('SIGTERM: exits 0 within 5 s with the upstream down and readings unsent, closing no window early', async () => {
  const config = {
    ...LOOPBACK,
    gateway: { id: 'leaver' },
    windows: { long: { tumbling: '1h' }, short: { tumbling: '1s', by: ['device'] } },
    upstreams: { cloud: { ...NOBODY, raw: true }, lake: { http: { url: 'http://127.0.0.1:9/' }, raw: true } },
  }
  const one = site(config)
  const gateway = await start(one)
  const messages = Array.from({ length: 500 }, (_, i) => ({ topic: `telemetry/d${i % 10}`, payload: `{"v":${i}}` }))
  await publishAll(gateway.ports.mqtt as number, messages)
  const began = performance.now()
  assert.equal(await gateway.kill(), 0)
  assert.ok(performance.now() - began < 5000)
  const upstream = await startHttpUpstream('leaver')
  try {
    one.configure({ ...config, upstreams: { lake: { http: { url: upstream.url }, raw: true } } })
    const again = await start(one)
    assert.doesNotMatch(again.log(), /replayed/, 'nothing to replay after a clean stop')
    await upstream.inbox.until('all readings', () => upstream.inbox.readings().length === messages.length)
    assert.equal(await again.kill(), 0)
    assert.deepEqual(upstream.inbox.windows('long'), [])
  } finally {
    await upstream.close()
  }
  const audit = await runCommand(['audit', ...one.args])
  assert.equal(audit.code, 0, audit.out + audit.err)
})

test('SIGTERM: exits 0 within 5 s with upstreams that take connections and never answer, and clients that stay', async () => {
  const sockets = new Set<Socket>()
  const mute = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  await once(mute.listen(0, '127.0.0.1'), 'listening')
  const address = mute.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const one = site({
    ...LOOPBACK,
    upstreams: {
      cloud: { mqtt: { url: `mqtt://127.0.0.1:${port}` }, raw: true, batch: { age: '10ms' } },
      lake: { http: { url: `http://127.0.0.1:${port}/` }, raw: true, batch: { age: '10ms' } },
    },
  })
  const gateway = await start(one)
  const client = await connectDevice(gateway.ports.mqtt as number)
  await client.subscribeAsync('telemetry/#')
  const events = await fetch(`http://127.0.0.1:${gateway.ports.http}/api/events`)
  assert.equal(events.status, 200)
  try {
    await client.publishAsync('telemetry/d', '{"v":1}', { qos: 1 })
    await eventually('both upstreams are tried', () => sockets.size >= 2)
    const began = performance.now()
    assert.equal(await gateway.kill(), 0)
    assert.ok(performance.now() - began < 5000)
  } finally {
    await client.endAsync(true)
    await events.body?.cancel().catch(() => undefined)
    for (const socket of sockets) socket.destroy()
    mute.close()
  }
})

test('SIGTERM: what a source without a journal brought is still there after the next start', async () => {
  const on = site({
    ...LOOPBACK,
    http: { listen: '127.0.0.1:0', durability: 'none' },
    windows: { hours: { tumbling: '1h', by: ['device'] } },
  })
  const first = await start(on)
  const url = `http://127.0.0.1:${first.ports.http}/api/telemetry/d`
  for (const v of [1, 2]) assert.equal((await fetch(url, { method: 'POST', body: JSON.stringify({ v }) })).status, 204)
  assert.equal(await first.kill(), 0)
  const second = await start(on)
  const { windows } = (await (await fetch(`http://127.0.0.1:${second.ports.http}/api/audit`)).json()) as {
    windows: { source: string; decoded: number; open: number }[]
  }
  assert.deepEqual(
    windows.map(({ source, decoded, open }) => [source, decoded, open]),
    [['http', 2, 2]],
  )
})
