import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { systemClock } from '../../../gateway/clock.ts'
import { NotConnectedError } from '../../../gateway/errors.ts'
import { openMemoryOutbox } from '../../../gateway/outbox/memory.ts'
import type { SinkCursor } from '../../../gateway/outbox/outbox.ts'
import type { Sink } from '../../../gateway/plugin.ts'
import { createUpstream } from '../../../gateway/upstream/runner.ts'
import { mqtt } from '../../../plugins/mqtt/index.ts'
import { startBroker } from '../../broker/support.ts'
import { options as outboxOptions, result } from '../../outbox/contract.ts'
import { eventually } from '../../support/within.ts'
import { recordingLog } from '../../upstream/scripted.ts'
import { batchOf, create, within } from '../contract.ts'
import { createMosquitto, type Mosquitto, NO_MOSQUITTO, subscribe } from '../mosquitto.ts'

const { signal } = new AbortController()

async function broker(t: TestContext, lines?: readonly string[]): Promise<Mosquitto> {
  const peer = await createMosquitto(lines)
  t.after(() => peer.dispose())
  await peer.start()
  return peer
}

async function sinkTo(t: TestContext, port: number, more: object = {}): Promise<Sink> {
  const { sink } = create(mqtt, { url: `mqtt://127.0.0.1:${port}`, timeout: '5s', ...more })
  assert.ok(sink)
  t.after(() => sink.close())
  return sink
}

async function listen(t: TestContext, port: number, args: readonly string[]) {
  const subscriber = await subscribe(port, args)
  t.after(() => subscriber.end())
  return subscriber
}

describe('mqtt sink', { skip: NO_MOSQUITTO }, () => {
  it('publishes a batch as one message on the topic of the contract', async (t) => {
    const { port } = await broker(t)
    const subscriber = await listen(t, port, ['-t', '#', '-F', '%q %t %p'])
    const sink = await sinkTo(t, port)
    await sink.connect(signal)
    const batch = batchOf(5, 3)
    await sink.write(batch, signal)
    await within(3000, 'receiving', subscriber.count(1))
    assert.equal(subscriber.lines[0], `1 sluice/site-7/batch ${batch.body()}`)
    const { records, ...head } = JSON.parse(batch.body().toString())
    assert.deepEqual(head, { v: 1, gateway: 'site-7', class: 'result', epoch: 'e1', first: 5, last: 7, count: 3 })
    assert.equal(records.length, 3)
  })

  it('publishes one message per record, in order, on topics of their own', async (t) => {
    const { port } = await broker(t)
    const subscriber = await listen(t, port, ['-t', 'up/#', '-F', '%t %p'])
    const sink = await sinkTo(t, port, { shape: 'record', topic: 'up/{class}/{device}/{kind}', inflight: 7 })
    await sink.connect(signal)
    const batch = batchOf(1, 200)
    await sink.write(batch, signal)
    await within(3000, 'receiving', subscriber.count(200))
    assert.deepEqual(
      subscriber.lines,
      batch.records.map((record, i) => `up/result/d${i + 1}/window ${record}`),
    )
  })

  it('compresses when told to', async (t) => {
    const { port } = await broker(t)
    const subscriber = await listen(t, port, ['-t', '#', '-F', '%x'])
    const sink = await sinkTo(t, port, { gzip: true })
    await sink.connect(signal)
    const batch = batchOf(1, 50)
    await sink.write(batch, signal)
    await within(3000, 'receiving', subscriber.count(1))
    const bytes = Buffer.from(subscriber.lines[0] as string, 'hex')
    assert.ok(bytes.length < batch.body().length / 2)
    assert.deepEqual(gunzipSync(bytes), batch.body())
  })

  it('speaks MQTT 5', async (t) => {
    const { port } = await broker(t)
    const subscriber = await listen(t, port, ['-t', '#'])
    const sink = await sinkTo(t, port, { protocol: '5' })
    await sink.connect(signal)
    await sink.write(batchOf(1, 1), signal)
    await within(3000, 'receiving', subscriber.count(1))
  })

  it('finds its broker by an IPv6 address and over WebSocket', async (t) => {
    const peer = { listen: ['[::1]:0'], listenWebSocket: ['127.0.0.1:0', '[::1]:0'], anonymous: true }
    const { broker: gateway, ports } = await startBroker(t, peer)
    const { mqtt: plain, ws, ws_2 } = ports as Record<string, number>
    for (const url of [`mqtt://[::1]:${plain}`, `ws://127.0.0.1:${ws}/mqtt?a=b`, `ws://[::1]:${ws_2}`]) {
      const sink = await sinkTo(t, 0, { url })
      await sink.connect(signal)
      await sink.write(batchOf(1, 1), signal)
      await sink.close()
    }
    assert.equal(gateway.status().messagesIn, 3)
  })

  it('names refused credentials, and takes them from a file or the URL', async (t) => {
    const peer = await createMosquitto(['allow_anonymous false', 'password_file DIR/passwords'])
    t.after(() => peer.dispose())
    execFileSync('mosquitto_passwd', ['-b', '-c', join(peer.directory, 'passwords'), 'site-7', 'r:ght'], {
      stdio: 'ignore',
    })
    await peer.start()
    const wrong = await sinkTo(t, peer.port, { username: 'site-7', password: 'wrong' })
    await assert.rejects(wrong.connect(signal), (error) => {
      assert.ok(error instanceof NotConnectedError)
      assert.equal(error.code, 'SLUICE_MQTT_CREDENTIALS')
      return true
    })
    const passwordFile = join(peer.directory, 'password')
    await writeFile(passwordFile, 'r:ght\n')
    const right = await sinkTo(t, peer.port, { username: 'site-7', passwordFile })
    await right.connect(signal)
    await right.write(batchOf(1, 1), signal)
    const inUrl = await sinkTo(t, 0, { url: `mqtt://site-7:r%3Aght@127.0.0.1:${peer.port}` })
    await inUrl.connect(signal)
  })

  it('checks the certificate of a broker with TLS', async (t) => {
    const peer = await createMosquitto(['allow_anonymous true', 'certfile DIR/cert.pem', 'keyfile DIR/key.pem'])
    t.after(() => peer.dispose())
    const file = (name: string) => join(peer.directory, name)
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
        ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'],
        ...['-keyout', file('key.pem'), '-out', file('cert.pem')],
      ],
      { stdio: 'ignore' },
    )
    await peer.start()
    const url = `mqtts://127.0.0.1:${peer.port}`
    const trusting = await sinkTo(t, peer.port, { url, tls: { ca: file('cert.pem') } })
    await trusting.connect(signal)
    await trusting.write(batchOf(1, 1), signal)
    const strict = await sinkTo(t, peer.port, { url })
    await assert.rejects(strict.connect(signal), NotConnectedError)
  })

  it('tells at once when the connection is lost', async (t) => {
    const peer = await broker(t)
    const sink = await sinkTo(t, peer.port)
    await sink.connect(signal)
    const lost = new Promise((resolve) => sink.onLost?.(resolve))
    await peer.kill()
    assert.ok((await within(2000, 'noticing', lost)) instanceof NotConnectedError)
    await assert.rejects(sink.write(batchOf(1, 1), signal), NotConnectedError)
  })

  it('loses nothing and keeps order while the broker is restarted under it', { timeout: 30_000 }, async (t) => {
    const peer = await broker(t, ['allow_anonymous true', 'persistence true', 'persistence_location DIR/'])
    const { produce, cursor, upstream } = await uplink(t, peer)
    // The broker keeps what it acknowledged for a receiver that it knows.
    const receiver = ['-c', '-i', 'receiver', '-t', 'sluice/#']
    let subscriber = await subscribe(peer.port, receiver)
    const received: string[] = []
    upstream.start()
    await produce(300)
    for (let round = 0; round < 3; round++) {
      await within(5000, 'receiving', subscriber.count(3))
      void produce(500)
      await peer.stop()
      await subscriber.end()
      received.push(...subscriber.lines)
      await produce(100)
      await peer.start()
      subscriber = await subscribe(peer.port, receiver)
      upstream.retry()
    }
    await drained(cursor)
    await upstream.stop()
    const { sent, acked, retries } = upstream.status()
    const last = acked
    await eventually('the last batch', () => subscriber.lines.at(-1)?.includes(`"last":${last},`) ?? false)
    await subscriber.end()
    received.push(...subscriber.lines)
    assert.equal(assertInOrder(received), last)
    assert.equal(last, 300 + 3 * 600)
    assert.ok(sent - acked <= 10 * (retries + 3), 'only what was not acknowledged was sent again')
  })

  it('goes on by itself after the broker was killed, without anything new to send', { timeout: 30_000 }, async (t) => {
    const peer = await broker(t)
    const { produce, cursor, upstream } = await uplink(t, peer)
    upstream.start()
    await produce(50)
    await drained(cursor)
    await peer.kill()
    await produce(500)
    await peer.start()
    await drained(cursor)
    assert.equal(upstream.status().acked, 550)
    assert.equal(upstream.status().state, 'connected')
  })
})

async function uplink(t: TestContext, peer: Mosquitto) {
  const outbox = await openMemoryOutbox(outboxOptions(), systemClock)
  const cursor = outbox.sink('cloud', ['result'])
  const upstream = createUpstream(
    { name: 'cloud', batch: { count: 10, bytes: 1e6, age: 20 } },
    { sink: await sinkTo(t, peer.port), cursor, clock: systemClock, log: recordingLog() },
  )
  t.after(() => upstream.stop())
  let entry = 0
  const produce = async (count: number) => {
    for (let i = 0; i < count; i++) outbox.append('result', ++entry, result(entry))
    await outbox.commit(entry, true)
  }
  return { produce, cursor, upstream }
}

function drained(cursor: SinkCursor): Promise<boolean> {
  return eventually('drained', () => cursor.depth('result') === 0)
}

/** Every number comes, in order; some may come again. Returns the last one. */
function assertInOrder(lines: readonly string[]): number {
  let next = 1
  for (const line of lines) {
    const batch = JSON.parse(line) as { first: number; last: number; records: { seq: number }[] }
    assert.ok(batch.first <= next, `${next} expected, ${batch.first} came`)
    assert.deepEqual(
      batch.records.map(({ seq }) => seq),
      Array.from({ length: batch.last - batch.first + 1 }, (_, i) => batch.first + i),
    )
    next = Math.max(next, batch.last + 1)
  }
  return next - 1
}
