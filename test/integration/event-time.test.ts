import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { SentWindow } from '../support/batches.ts'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'
import { connectDevice, publishAll } from '../support/mqtt-device.ts'
import { naiveWindows, windowName } from '../support/naive.ts'

let upstream: HttpUpstream
let site: Site
let gateway: GatewayProcess

async function start(windows: object): Promise<void> {
  upstream = await startHttpUpstream('clocks')
  site = createSite({
    gateway: { id: 'clocks' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 't' }],
    windows,
    upstreams: { lake: { http: { url: upstream.url }, batch: { age: '50ms' } } },
  })
  gateway = await site.start()
}

afterEach(async () => {
  await gateway.kill()
  await upstream.close()
  site.remove()
})

interface Row {
  readonly device: string
  /** ms since the epoch */
  readonly t: number
  readonly v: number
}

const message = ({ device, t, v }: Row) => ({ topic: `telemetry/${device}`, payload: JSON.stringify({ t, v }) })
const byDevice = ({ device }: Row) => ({ device })
const timeOf = ({ t }: Row) => t

function assertWindows(
  windows: readonly SentWindow[],
  rows: readonly Row[],
  size: number,
  keyOf: (row: Row) => Record<string, string>,
  isClosed: (end: number) => boolean,
): number {
  const expected = new Map([...naiveWindows(rows, { size }, timeOf, keyOf)].filter(([, { end }]) => isClosed(end)))
  const { size: count } = expected
  for (const window of windows) {
    const name = windowName(window.key, window.start)
    const naive = expected.get(name)
    if (!naive && !isClosed(Date.parse(window.end))) continue
    assert.ok(naive, `${name} was not expected, or came twice`)
    expected.delete(name)
    const sum = naive.rows.reduce((total, { v }) => total + v, 0)
    assert.deepEqual([window.kind, window.count, window.fields.v?.sum], ['window', naive.rows.length, sum], name)
  }
  assert.deepEqual([...expected.keys()], [])
  return count
}

test('an hour of backlog from a sensor that was away gives right windows, beside one that was there', async () => {
  await start({ w: { tumbling: '10s', by: ['device'], delay: '2s' } })
  const now = Math.floor(Date.now() / 1000) * 1000
  const backlog = Array.from({ length: 3600 }, (_, i) => ({ device: 'away', t: now - 3_600_000 + i * 1000, v: i }))
  const live = Array.from({ length: 61 }, (_, i) => ({ device: 'there', t: now - 61_000 + i * 1000, v: i }))
  const port = gateway.ports.mqtt as number
  await publishAll(port, live.slice(0, 30).map(message))
  await Promise.all([publishAll(port, backlog.map(message)), publishAll(port, live.slice(30).map(message))])
  // The last reading of either is a second old, and windows wait for two more.
  const closed = (end: number) => end <= now - 3000
  const rows = [...backlog, ...live]
  const wanted = [...naiveWindows(rows, { size: 10_000 }, timeOf, byDevice).values()].filter(({ end }) => closed(end))
  await upstream.inbox.until('the windows', () => upstream.inbox.windows('w').length >= wanted.length)
  const checked = assertWindows(upstream.inbox.windows('w'), rows, 10_000, byDevice, closed)
  assert.ok(checked >= 360, `${checked} windows`)
})

test('one clock that is 50 minutes ahead harms nobody else', async () => {
  await start({
    own: { tumbling: '1s', by: ['device'], delay: '500ms' },
    fleet: { tumbling: '1s', by: [], delay: '500ms' },
  })
  const client = await connectDevice(gateway.ports.mqtt as number)
  const rows: Row[] = []
  const sending: Promise<unknown>[] = []
  const send = (row: Row) => {
    rows.push(row)
    const { topic, payload } = message(row)
    sending.push(client.publishAsync(topic, payload, { qos: 1 }))
  }
  const began = Date.now()
  for (let i = 0; Date.now() < began + 3500; i++) {
    const t = Date.now()
    send({ device: 'ahead', t: t + 50 * 60_000, v: 1000 })
    for (const device of ['a', 'b', 'c']) send({ device, t, v: i })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await Promise.all(sending)
  await client.endAsync()
  const last = began + 3500
  const right = rows.filter(({ device }) => device !== 'ahead')
  const closed = (end: number) => end <= last - 700
  const full = naiveWindows(right, { size: 1000 }, timeOf, () => ({}))
  const starts = [...full.values()].filter(({ end }) => closed(end)).length
  assert.ok(starts >= 2)
  const { inbox } = upstream
  const present = (name: string) => inbox.windows(name).filter(({ end }) => closed(Date.parse(end))).length
  await inbox.until('windows', () => present('fleet') >= starts && present('own') >= starts * 3)
  assertWindows(inbox.windows('fleet'), right, 1000, () => ({}), closed)
  assertWindows(inbox.windows('own'), right, 1000, byDevice, closed)
  assert.deepEqual(inbox.records('event'), [])
  assert.ok(
    inbox.records('result').every(({ kind }) => kind === 'window'),
    'nobody was late',
  )
})
