import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { SentReading } from '../support/batches.ts'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'

let upstream: HttpUpstream
let site: Site
let gateway: GatewayProcess

before(async () => {
  upstream = await startHttpUpstream('web')
  site = createSite({
    gateway: { id: 'web' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    upstreams: { lake: { http: { url: upstream.url }, raw: true, batch: { age: '50ms' } } },
  })
  gateway = await site.start()
})

after(async () => {
  await gateway?.kill()
  await upstream?.close()
  site?.remove()
})

const url = (path: string) => `http://127.0.0.1:${gateway.ports.http}${path}`
const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  fetch(url(path), { method: 'POST', body, headers })

async function readingOf(device: string): Promise<SentReading | undefined> {
  const own = () => upstream.inbox.readings().find((reading) => reading.device === device)
  await upstream.inbox.until(device, () => own() !== undefined)
  return own()
}

test('telemetry over HTTP: answered 204 when it is kept, and a reading like any other', async () => {
  const answer = await post('/api/telemetry/pump/inlet', '{"v":1.5,"pressure":{"bar":2}}')
  assert.equal(answer.status, 204)
  assert.equal(await answer.text(), '')
  const reading = await readingOf('pump')
  assert.deepEqual({ ...reading?.fields }, { v: 1.5, 'pressure.bar': 2 })
  assert.deepEqual({ ...reading?.tags }, { stream: 'inlet' })
  assert.equal(reading?.source, 'http')
})

test('telemetry over HTTP: a gzip body and a SenML body are taken', async () => {
  const body = new Uint8Array(gzipSync('{"v":7}'))
  assert.equal((await post('/api/telemetry/zipped', body, { 'content-encoding': 'gzip' })).status, 204)
  assert.equal((await readingOf('zipped'))?.fields.v, 7)
  const senml = { 'content-type': 'application/senml+json' }
  assert.equal((await post('/api/telemetry/senml', '[{"n":"temp","u":"Cel","v":21.5}]', senml)).status, 204)
  assert.equal((await readingOf('senml'))?.fields.temp, 21.5)
})

test('telemetry over HTTP: what cannot be decoded is answered 400 and kept as a dead letter', async () => {
  const answer = await post('/api/telemetry/pump', '{"v":')
  assert.equal(answer.status, 400)
  const failure = (await answer.json()) as Record<string, unknown>
  assert.deepEqual(Object.keys(failure).sort(), ['code', 'message'])
  assert.match(String(failure.code), /^SLUICE_[A-Z_]+$/)
  const page = (await (await fetch(url('/api/deadletters'))).json()) as Record<string, unknown>
  assert.equal(page.total, 1)
  assert.equal(
    Object.values(page.reasons as Record<string, number>).reduce((a, b) => a + b, 0),
    1,
  )
  assert.equal((page.last as unknown[]).length, 1)
})

test('telemetry over HTTP: a time more than an hour ahead is refused as future', async () => {
  const senml = { 'content-type': 'application/senml+json' }
  const t = Math.floor(Date.now() / 1000) + 2 * 3600
  assert.equal((await post('/api/telemetry/tomorrow', JSON.stringify([{ n: 'v', v: 1, t }]), senml)).status, 400)
  const { reasons } = (await (await fetch(url('/api/deadletters'))).json()) as { reasons: Record<string, number> }
  assert.equal(reasons.future, 1)
})

test('telemetry over HTTP: a body above the limit is answered 413', async () => {
  const answer = await post('/api/telemetry/pump', JSON.stringify({ text: 'x'.repeat(1024 * 1024) }))
  assert.equal(answer.status, 413)
  const failure = (await answer.json()) as Record<string, unknown>
  assert.deepEqual(Object.keys(failure).sort(), ['code', 'message'])
})
