import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSite, type GatewayProcess, runCommand } from '../support/gateway-process.ts'
import { holes, startReceiver } from './receiver.ts'

const BASE = Date.UTC(2026, 10, 23, 7, 44)
const KEYS = 8000
const AT_ONCE = 500

/** One reading of each site, `second` seconds after BASE. */
async function sendAll(gateway: GatewayProcess, second: number): Promise<void> {
  for (let first = 0; first < KEYS; first += AT_ONCE) {
    const readings = Array.from({ length: AT_ONCE }, (_, i) => ({ site: `s${first + i}`, v: first + i }))
    await send(gateway, second, readings)
  }
}

async function send({ ports }: GatewayProcess, second: number, readings: readonly object[]): Promise<void> {
  const body = JSON.stringify(readings.map((reading) => ({ t: BASE + second * 1000, ...reading })))
  const url = `http://127.0.0.1:${ports.http}/api/telemetry/d1`
  const { status } = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  assert.equal(status, 204)
}

test('a crash while very many keys close changes no record, and every window comes once', {
  timeout: 120_000,
}, async (t) => {
  const receiver = await startReceiver()
  const site = createSite({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 't' }],
    windows: { sites: { tumbling: '10s', by: ['site'], idle: '10m' } },
    upstreams: { lake: { http: { url: `http://127.0.0.1:${receiver.port}/` }, batch: { count: 100, age: '1ms' } } },
  })
  const gateways: GatewayProcess[] = []
  const start = async () => {
    const gateway = await site.start()
    gateways.push(gateway)
    return gateway
  }
  t.after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.kill('SIGKILL')))
    await receiver.close()
    site.remove()
  })
  const results = () =>
    [...receiver.logs].filter(([name]) => name.startsWith('result')).flatMap(([, log]) => [...log.values()])
  const windows = () => results().filter(({ kind }) => kind === 'window')
  let cut = 0
  for (let window = 0; window < 4; window++) {
    receiver.mood = 'up'
    const gateway = await start()
    await sendAll(gateway, window * 20)
    const before = results().length
    // It shows the time that closes the window of all sites.
    const closing = send(gateway, window * 20 + 15, [{ site: 's0', v: 0 }]).catch(() => undefined)
    while (results().length === before) await receiver.next()
    // Takes a batch and does not say so: it is sent again after the crash.
    receiver.mood = 'forgetful'
    await receiver.next()
    await gateway.kill('SIGKILL')
    await closing
    if (windows().length < (window + 1) * KEYS) cut++
  }
  receiver.mood = 'up'
  const last = await start()
  while (windows().length < 4 * KEYS) await receiver.next()
  assert.ok(cut > 0, 'no closing was cut short')
  assert.notEqual(receiver.repeats.count, 0)
  assert.deepEqual(receiver.changed, [])
  assert.deepEqual([...receiver.logs.values()].flatMap(holes), [])
  const seen = windows().map(({ key, start }) => `${(key as { site: string }).site} ${start}`)
  assert.equal(new Set(seen).size, seen.length, 'a window came twice')
  assert.equal(await last.kill('SIGTERM'), 0)
  const { code, out } = await runCommand(['audit', '--data', site.data])
  assert.equal(code, 0, out)
})
