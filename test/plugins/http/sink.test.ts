import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import * as https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { systemClock } from '../../../gateway/clock.ts'
import { NotConnectedError, PartialWriteError, RefusedError } from '../../../gateway/errors.ts'
import { openMemoryOutbox } from '../../../gateway/outbox/memory.ts'
import type { Sink } from '../../../gateway/plugin.ts'
import { createUpstream } from '../../../gateway/upstream/runner.ts'
import { failureOf, parseRetryAfter } from '../../../plugins/http/answer.ts'
import { http } from '../../../plugins/http/index.ts'
import { options as outboxOptions, result } from '../../outbox/contract.ts'
import { NO_OPENSSL } from '../../support/certificates.ts'
import { eventually } from '../../support/within.ts'
import { recordingLog } from '../../upstream/scripted.ts'
import { batchOf, create, within } from '../contract.ts'
import { createEndpoint, type Endpoint } from './endpoint.ts'

const { signal } = new AbortController()

async function running(t: TestContext): Promise<Endpoint> {
  const endpoint = await createEndpoint()
  t.after(() => endpoint.stop())
  await endpoint.start()
  return endpoint
}

async function connected(t: TestContext, endpoint: Endpoint, more: object = {}): Promise<Sink> {
  const { sink } = create(http, { url: `http://127.0.0.1:${endpoint.port}/ingest`, timeout: '3s', ...more })
  assert.ok(sink)
  t.after(() => sink.close())
  await sink.connect(signal)
  return sink
}

describe('http sink', () => {
  it('posts a batch with its idempotency key', async (t) => {
    const endpoint = await running(t)
    const sink = await connected(t, endpoint, { token: 'secret', headers: { 'X-Site': '7' } })
    const batch = batchOf(5, 3)
    await sink.write(batch, signal)
    const [{ method, path, headers, body }] = endpoint.taken as [(typeof endpoint.taken)[0]]
    assert.deepEqual([method, path], ['POST', '/ingest'])
    assert.equal(headers['idempotency-key'], 'site-7/e1/5-7')
    assert.equal(headers.authorization, 'Bearer secret')
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['x-site'], '7')
    assert.deepEqual(body, batch.body())
  })

  it('keeps one connection for many batches', async (t) => {
    const endpoint = await running(t)
    const sink = await connected(t, endpoint)
    const probed = endpoint.connections
    for (let i = 0; i < 20; i++) await sink.write(batchOf(i * 10 + 1, 10), signal)
    assert.equal(endpoint.connections - probed, 1)
  })

  it('compresses when told to', async (t) => {
    const endpoint = await running(t)
    const sink = await connected(t, endpoint, { gzip: true })
    const batch = batchOf(1, 100)
    await sink.write(batch, signal)
    assert.equal(endpoint.taken[0]?.headers['content-encoding'], 'gzip')
    assert.deepEqual(gunzipSync(endpoint.taken[0]?.body as Buffer), batch.body())
  })

  it('posts a record on each line as NDJSON', async (t) => {
    const endpoint = await running(t)
    const sink = await connected(t, endpoint, { shape: 'ndjson' })
    const batch = batchOf(1, 3)
    await sink.write(batch, signal)
    assert.equal(endpoint.taken[0]?.headers['content-type'], 'application/x-ndjson')
    assert.equal(endpoint.taken[0]?.body.toString(), batch.records.map((record) => `${record}\n`).join(''))
  })

  it('posts each record by itself, and says how many were taken', async (t) => {
    const endpoint = await running(t)
    const sink = await connected(t, endpoint, { shape: 'record' })
    endpoint.answer = () => ({ status: endpoint.taken.length === 4 ? 503 : 200 })
    await assert.rejects(sink.write(batchOf(1, 10), signal), (error) => {
      assert.ok(error instanceof PartialWriteError)
      assert.equal(error.written, 3)
      return true
    })
    assert.deepEqual(
      endpoint.taken.map(({ headers }) => headers['idempotency-key']),
      ['site-7/e1/1-1', 'site-7/e1/2-2', 'site-7/e1/3-3', 'site-7/e1/4-4'],
    )
  })

  it('reads a token file again at each connection', async (t) => {
    const endpoint = await running(t)
    const directory = await mkdtemp(join(tmpdir(), 'sluice-http-'))
    t.after(() => rm(directory, { recursive: true }))
    const tokenFile = join(directory, 'token')
    await writeFile(tokenFile, 'old\n')
    const sink = await connected(t, endpoint, { tokenFile })
    await sink.write(batchOf(1, 1), signal)
    await writeFile(tokenFile, 'new\n')
    await sink.connect(signal)
    await sink.write(batchOf(2, 1), signal)
    assert.deepEqual(
      endpoint.taken.map(({ headers }) => headers.authorization),
      ['Bearer old', 'Bearer new'],
    )
    await rm(tokenFile)
    await assert.rejects(sink.connect(signal), NotConnectedError)
  })

  it('gives up on an endpoint that does not answer in time', async (t) => {
    const endpoint = await running(t)
    endpoint.answer = () => null
    const sink = await connected(t, endpoint, { timeout: '100ms' })
    await assert.rejects(within(2000, 'failing', sink.write(batchOf(1, 1), signal)), (error) => {
      assert.ok(error instanceof NotConnectedError)
      assert.equal(error.code, 'SLUICE_HTTP_TIMEOUT')
      return true
    })
  })

  it('stops at once when told to', async (t) => {
    const endpoint = await running(t)
    endpoint.answer = () => null
    const sink = await connected(t, endpoint)
    const stop = new AbortController()
    const writing = sink.write(batchOf(1, 1), stop.signal)
    stop.abort(new Error('stopping'))
    await assert.rejects(within(500, 'stopping', writing), /stopping/)
  })

  it('checks the certificate of an endpoint, and shows its own', { skip: NO_OPENSSL }, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-http-'))
    t.after(() => rm(directory, { recursive: true }))
    const file = (name: string) => join(directory, name)
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file('key.pem')]
    execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, ...subject, '-out', file('cert.pem')], {
      stdio: 'ignore',
    })
    const [cert, privateKey] = await Promise.all([readFile(file('cert.pem')), readFile(file('key.pem'))])
    const tls = { cert, key: privateKey, ca: cert, requestCert: true, rejectUnauthorized: true }
    const server = https.createServer(tls, (_, response) => void response.writeHead(204).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const pem = { ca: file('cert.pem'), cert: file('cert.pem'), key: file('key.pem') }
    const { sink } = create(http, { url, tls: pem })
    await sink?.connect(signal)
    await sink?.write(batchOf(1, 1), signal)
    await sink?.close()
    await assert.rejects(create(http, { url }).sink?.connect(signal) ?? Promise.resolve(), NotConnectedError)
  })

  it('loses nothing and keeps order while the endpoint fails, slows down and goes away', {
    timeout: 20_000,
  }, async (t) => {
    const endpoint = await running(t)
    const { sink } = create(http, { url: `http://127.0.0.1:${endpoint.port}/ingest`, timeout: '1s' })
    assert.ok(sink)
    const outbox = await openMemoryOutbox(outboxOptions(), systemClock)
    const cursor = outbox.sink('lake', ['result'])
    const upstream = createUpstream(
      { name: 'lake', batch: { count: 10, bytes: 1e6, age: 20 } },
      { sink, cursor, clock: systemClock, log: recordingLog(), random: () => 0.1 },
    )
    t.after(() => upstream.stop())
    const kept: number[] = []
    const statuses = [200, 503, 200, 429, 408, 200, 425, 500]
    endpoint.answer = ({ body }) => {
      const status = statuses[endpoint.taken.length % statuses.length] as number
      if (status === 200) kept.push(...(JSON.parse(body.toString()).records as { seq: number }[]).map(({ seq }) => seq))
      return { status, ...(status === 429 ? { headers: { 'retry-after': '0' } } : {}) }
    }
    for (let n = 1; n <= 300; n++) outbox.append('result', n, result(n))
    await outbox.commit(300, true)
    upstream.start()
    await eventually('some are taken', () => kept.length >= 50)
    await endpoint.stop()
    await eventually('the sink has noticed', () => upstream.status().state === 'waiting')
    await endpoint.start()
    await eventually('drained', () => cursor.depth('result') === 0)
    await upstream.stop()
    let next = 1
    for (const seq of kept) {
      assert.ok(seq <= next)
      next = Math.max(next, seq + 1)
    }
    assert.equal(next, 301)
    assert.ok(kept.length <= 310, 'at most the batch under way was taken twice')
  })
})

describe('an HTTP answer', () => {
  const url = 'http://lake/ingest'

  it('acknowledges only with 2xx', () => {
    for (const status of [200, 201, 202, 204]) assert.equal(failureOf(status, url, undefined, ''), undefined)
  })

  it('is a reason to try again for 408, 425, 429 and 5xx, not before Retry-After', () => {
    for (const status of [408, 425, 429, 500, 502, 503, 599]) {
      const error = failureOf(status, url, 3000, 'busy')
      assert.ok(error instanceof NotConnectedError, String(status))
      assert.equal(error.retryAfter, 3000)
    }
  })

  it('is not the batch’s fault when the endpoint is not set up right', () => {
    for (const status of [301, 307, 401, 403, 404, 405, 407])
      assert.ok(failureOf(status, url, undefined, '') instanceof NotConnectedError, String(status))
  })

  it('refuses the batch for good with any other 4xx', () => {
    for (const status of [400, 409, 411, 413, 415, 422])
      assert.ok(failureOf(status, url, undefined, '') instanceof RefusedError, String(status))
  })

  it('names when to come again in seconds or as a date', () => {
    assert.equal(parseRetryAfter('120', 0), 120_000)
    assert.equal(parseRetryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000), 6000)
    assert.equal(parseRetryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 14_000), 0)
    assert.equal(parseRetryAfter('soon', 0), undefined)
    assert.equal(parseRetryAfter(undefined, 0), undefined)
  })
})
