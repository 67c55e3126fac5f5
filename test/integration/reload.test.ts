import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'
import { publishAll } from '../support/mqtt-device.ts'
import { eventually } from '../support/within.ts'

const BASE = Date.UTC(2026, 10, 23, 7, 44)
const KEPT = { tumbling: '10s', by: ['device'] }

let upstream: HttpUpstream
let site: Site
let gateway: GatewayProcess

function config(windows: object, other: object = {}): object {
  return {
    gateway: { id: 'reloader' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 't' }],
    windows,
    upstreams: { lake: { http: { url: upstream.url }, batch: { age: '50ms' } } },
    ...other,
  }
}

before(async () => {
  upstream = await startHttpUpstream('reloader')
  site = createSite(config({ kept: KEPT }))
  gateway = await site.start()
})

after(async () => {
  await gateway?.kill()
  await upstream?.close()
  site?.remove()
})

/** One reading per second. */
async function report(device: string, from: number, to: number): Promise<void> {
  const messages = Array.from({ length: to - from }, (_, i) => ({
    topic: `telemetry/${device}`,
    payload: JSON.stringify({ t: BASE + (from + i) * 1000, v: from + i }),
  }))
  await publishAll(gateway.ports.mqtt as number, messages)
}

interface Line {
  readonly level: string
  readonly msg: string
  readonly path?: string
  readonly mistakes?: readonly string[]
}

/** What the gateway logs when it is told to read its config again, up to the line that ends it. */
async function reload(end: string): Promise<Line[]> {
  const before = gateway.log().length
  gateway.child.kill('SIGHUP')
  const lines = () => gateway.log().slice(before).split('\n').slice(0, -1)
  await eventually(end, () => lines().some((line) => line.includes(end)))
  return lines().map((line) => JSON.parse(line) as Line)
}

const windowsOf = (name: string, device: string) =>
  upstream.inbox.windows(name).filter(({ key }) => key.device === device)

const RELOADED = 'configuration reloaded'
const REFUSED = 'the new configuration is not used'

test('SIGHUP: a new window appears, and a window that stays keeps what it has counted', async () => {
  await report('a', 0, 6)
  site.configure(config({ kept: KEPT, added: { tumbling: '5s', by: ['device'] } }))
  await reload(RELOADED)
  await report('a', 6, 11)
  await upstream.inbox.until('both', () => windowsOf('kept', 'a').length === 1 && windowsOf('added', 'a').length === 1)
  const [kept] = windowsOf('kept', 'a')
  const [added] = windowsOf('added', 'a')
  assert.deepEqual([kept?.kind, kept?.count, kept?.fields.v?.min, kept?.fields.v?.max], ['window', 10, 0, 9])
  assert.deepEqual([added?.start, added?.count], [new Date(BASE + 5000).toISOString(), 4])
})

test('SIGHUP: with mistakes in the file the old configuration stays, and every mistake is logged', async () => {
  await report('b', 0, 6)
  site.configure(config({ kept: { tumbing: '10s' } }, { mqtt: { listne: 1 } }))
  const lines = await reload(REFUSED)
  const { level, mistakes } = lines.find(({ msg }) => msg.startsWith(REFUSED)) ?? {}
  assert.equal(level, 'error')
  for (const mistake of [/sluice\.yaml:1:\d+: unknown key `listne`/, /sluice\.yaml:1:\d+: unknown key `tumbing`/])
    assert.ok(
      mistakes?.some((line) => mistake.test(line)),
      String(mistakes),
    )
  writeFileSync(join(site.folder, 'sluice.yaml'), 'windows: [')
  await reload(REFUSED)
  await report('b', 6, 11)
  await upstream.inbox.until('the window', () => windowsOf('kept', 'b').length === 1)
  assert.equal(windowsOf('kept', 'b')[0]?.count, 10)
})

test('SIGHUP: what needs a restart is named and stays, the rest is applied', async () => {
  const other = { gateway: { id: 'renamed' }, mqtt: { listen: ['127.0.0.1:0', '127.0.0.1:0'] } }
  site.configure(config({ kept: KEPT, third: { tumbling: '10s', by: ['device'] } }, other))
  const lines = await reload(RELOADED)
  const named = lines.filter(({ path }) => path !== undefined)
  assert.deepEqual(named.map(({ path }) => path).sort(), ['gateway.id', 'mqtt.listen'])
  for (const { level, path, msg } of named) {
    assert.equal(level, 'warn')
    assert.match(msg, new RegExp(`${path} needs a restart: `))
  }
  await report('c', 0, 11)
  await upstream.inbox.until('the third window', () => windowsOf('third', 'c').length === 1)
})

test('SIGHUP: a window that is taken out closes early, and is heard of no more', async () => {
  await report('d', 0, 3)
  site.configure(config({ kept: KEPT }))
  await reload(RELOADED)
  await upstream.inbox.until('what it held', () => windowsOf('third', 'd').length === 1)
  assert.equal(windowsOf('third', 'd')[0]?.count, 3)
  await report('d', 3, 21)
  await upstream.inbox.until('the one that stays', () => windowsOf('kept', 'd').length === 2)
  assert.equal(windowsOf('third', 'd').length, 1)
})

test('SIGHUP: a config that names files which are not there changes nothing', async () => {
  const fourth = { kept: KEPT, fourth: { tumbling: '10s', by: ['device'] } }
  site.configure(config(fourth, { lookups: { places: { file: 'places.csv' } }, mqtt: { listen: '127.0.0.1:1' } }))
  const lines = await reload(REFUSED)
  assert.match(lines.find(({ msg }) => msg.startsWith(REFUSED))?.msg ?? '', /places/)
  assert.ok(
    lines.every(({ path }) => path === undefined),
    'nothing is said to need a restart',
  )
  site.configure(config(fourth, { http: { listen: '127.0.0.1:0', tokenFile: 'token' } }))
  await reload(REFUSED)
  await report('e', 0, 11)
  await upstream.inbox.until('the window that stays', () => windowsOf('kept', 'e').length === 1)
  assert.equal(windowsOf('fourth', 'e').length, 0)
})

test('SIGHUP: a lookup table is read again, each time', async () => {
  const places = (text: string) => writeFileSync(join(site.folder, 'places.csv'), `serial,place\n${text}\n`)
  const other = {
    lookups: { places: { file: 'places.csv' } },
    decode: [{ topic: 'telemetry/{device}', time: 't', lookup: [{ table: 'places', by: 'device', add: ['place'] }] }],
  }
  const windows = { kept: KEPT, placed: { tumbling: '1s', by: ['device', 'place'] } }
  for (const [i, place] of ['attic', 'cellar', 'balcony on the second floor'].entries()) {
    places(`f,${place}`)
    site.configure(config(windows, other))
    await reload(RELOADED)
    await report('f', i * 2, i * 2 + 2)
    await upstream.inbox.until(place, () => windowsOf('placed', 'f').some(({ key }) => key.place === place))
  }
})
