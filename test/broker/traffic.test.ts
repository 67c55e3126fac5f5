import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../support/clock.ts'
import { ack, connectPacket, DISCONNECT, publishPacket, RawClient, subscribePacket } from './raw-client.ts'
import { startBroker, until } from './support.ts'

/** A connected client with one subscription. */
async function subscriber(
  t: Parameters<typeof startBroker>[0],
  port: number,
  filter: string,
  qos: number,
  options: Parameters<typeof RawClient.open>[2] = {},
) {
  const client = await RawClient.open(t, port, options)
  client.send(subscribePacket(1, [filter, qos]))
  assert.deepEqual(await client.read(5), Buffer.from([0x90, 3, 0, 1, qos]))
  return client
}

/** The next PUBLISH: QoS, retain, duplicate, packet id, topic and payload. */
async function nextPublish(client: RawClient) {
  const [first = 0, length = 0] = await client.read(2)
  assert.equal(first >> 4, 3, `not a PUBLISH: ${first.toString(16)}`)
  assert.ok(length < 128)
  const body = await client.read(length)
  const qos = (first >> 1) & 3
  const end = 2 + body.readUInt16BE(0)
  return {
    qos,
    retain: (first & 1) === 1,
    dup: (first & 8) === 8,
    id: qos > 0 ? body.readUInt16BE(end) : 0,
    topic: body.toString('utf8', 2, end),
    payload: body.toString('utf8', qos > 0 ? end + 2 : end),
  }
}

test('ordinary messages go from client to client at the lower of both QoS', async (t) => {
  const { port } = await startBroker(t)
  const publisher = await RawClient.open(t, port)
  for (const granted of [0, 1, 2])
    for (const filter of [`a/${granted}`, '+/#']) {
      const client = await subscriber(t, port, filter, granted)
      for (const qos of [0, 1, 2]) {
        publisher.send(publishPacket(`a/${granted}`, 'x', { qos, id: 1 }))
        if (qos > 0) await publisher.read(4)
        if (qos === 2) await publisher.send(ack(0x62, 1)).read(4)
        const got = await nextPublish(client)
        assert.equal(got.qos, Math.min(qos, granted), `${filter} granted ${granted} published ${qos}`)
        if (got.qos === 1) client.send(ack(0x40, got.id))
        if (got.qos === 2) {
          client.send(ack(0x50, got.id))
          assert.deepEqual(await client.read(4), ack(0x62, got.id))
          client.send(ack(0x70, got.id))
        }
      }
      client.send(DISCONNECT)
      await client.closed
    }
})

test('a message under several filters of one client comes once', async (t) => {
  const { port } = await startBroker(t)
  const client = await subscriber(t, port, 'a/+', 1)
  client.send(subscribePacket(2, ['a/#', 1], ['a/b', 1]))
  await client.read(6)
  const publisher = await RawClient.open(t, port)
  publisher.send(publishPacket('a/b', 'once', { qos: 1 }), publishPacket('a/b', 'twice', { qos: 1, id: 2 }))
  assert.equal((await nextPublish(client)).payload, 'once')
  assert.equal((await nextPublish(client)).payload, 'twice')
  await client.ping()
})

test('a persistent session keeps QoS 1 and 2 messages in order and marks what it sends again', async (t) => {
  const { port, broker } = await startBroker(t)
  const session = { client: 'kept', clean: false }
  const first = await subscriber(t, port, 'a/#', 1, session)
  const publisher = await RawClient.open(t, port)
  await publisher.send(publishPacket('a/b', 'online', { qos: 1 })).read(4)
  assert.equal((await nextPublish(first)).payload, 'online')
  first.socket.destroy()
  await until(() => broker.status().connections === 1)
  for (let i = 0; i < 5; i++) {
    publisher.send(publishPacket('a/b', `away ${i}`, { qos: i === 0 ? 0 : 1 + (i % 2), id: 10 + i }))
    if (i > 0) await publisher.read(4)
  }
  const again = new RawClient(t, port)
  again.send(connectPacket(session))
  assert.deepEqual(await again.read(4), Buffer.from([0x20, 2, 1, 0]))
  const unacknowledged = await nextPublish(again)
  assert.deepEqual([unacknowledged.payload, unacknowledged.dup], ['online', true])
  again.send(ack(0x40, unacknowledged.id))
  for (let i = 1; i < 5; i++) {
    const got = await nextPublish(again)
    assert.deepEqual([got.payload, got.dup, got.qos], [`away ${i}`, false, 1])
    again.send(ack(0x40, got.id))
  }
  await again.ping()
  again.send(DISCONNECT)
  await again.closed
  const third = await RawClient.open(t, port, session)
  await third.ping()
})

test('a clean session forgets what the client had', async (t) => {
  const { port, broker } = await startBroker(t)
  const first = await subscriber(t, port, 'a/#', 1, { client: 'c', clean: false })
  first.send(DISCONNECT)
  await first.closed
  assert.equal(broker.status().sessions, 1)
  const clean = await RawClient.open(t, port, { client: 'c' })
  assert.equal(broker.status().sessions, 0)
  await broker.publish('a/b', Buffer.from('x'), { qos: 1 })
  await clean.ping()
})

test('the queue of an absent session is bounded, the oldest go and are counted', async (t) => {
  const { port, broker } = await startBroker(t, { limits: { sessionMessages: 10 } })
  const first = await subscriber(t, port, 'a/#', 1, { client: 'c', clean: false })
  first.send(DISCONNECT)
  await first.closed
  for (let i = 0; i < 25; i++) await broker.publish('a/b', Buffer.from(`${i}`), { qos: 1 })
  assert.equal(broker.status().dropped.session_full, 15)
  const again = new RawClient(t, port).send(connectPacket({ client: 'c', clean: false }))
  await again.read(4)
  for (let i = 15; i < 25; i++) {
    const got = await nextPublish(again)
    assert.equal(got.payload, `${i}`)
    again.send(ack(0x40, got.id))
  }
  await again.ping()
})

test('sessions are bounded, the one that was away longest goes', async (t) => {
  const { port, broker } = await startBroker(t, { limits: { sessions: 3 } })
  for (let i = 0; i < 5; i++) {
    const client = await RawClient.open(t, port, { client: `c${i}`, clean: false })
    client.send(DISCONNECT)
    await client.closed
  }
  assert.equal(broker.status().sessions, 3)
})

test('retained messages come to new subscribers and are bounded', async (t) => {
  const { port, broker } = await startBroker(t, { limits: { retainedMessages: 2 } })
  for (const name of ['a', 'b', 'c']) await broker.publish(`r/${name}`, Buffer.from(name), { retain: true, qos: 1 })
  assert.equal(broker.status().retained, 2)
  assert.equal(broker.status().dropped.retained_full, 1)
  const client = await subscriber(t, port, 'r/#', 1)
  const got = await nextPublish(client)
  assert.deepEqual([got.topic, got.retain, got.qos], ['r/a', true, 1])
  assert.equal((await nextPublish(client)).topic, 'r/b')
  await broker.publish('r/a', Buffer.alloc(0), { retain: true })
  assert.equal(broker.status().retained, 1)
})

test('a new subscriber gets all that is retained, as fast as it reads', async (t) => {
  const { port, broker } = await startBroker(t, { limits: { subscriberQueue: 100_000 } })
  const payload = Buffer.alloc(20_000, 0x61)
  for (let i = 0; i < 300; i++)
    await broker.publish(`r/${i + 100}`, payload, { retain: true, qos: i % 2 === 0 ? 0 : 1 })
  const reader = new RawClient(t, port)
  reader.discards = true
  reader.send(connectPacket(), subscribePacket(1, ['r/+', 0]))
  const all = 4 + 5 + 300 * publishPacket('r/100', payload).length
  await until(() => reader.total >= all, 'all of them')
  assert.equal(broker.status().dropped.subscriber_queue, undefined)
})

test('a will is published when the connection is lost, not after a DISCONNECT', async (t) => {
  const { port } = await startBroker(t)
  const watcher = await subscriber(t, port, 'will/#', 2)
  const will = { topic: 'will/c', payload: 'lost', qos: 1, retain: true }
  const polite = await RawClient.open(t, port, { will })
  polite.send(DISCONNECT)
  await polite.closed
  const lost = await RawClient.open(t, port, { will })
  lost.socket.destroy()
  const got = await nextPublish(watcher)
  assert.deepEqual([got.payload, got.qos, got.retain], ['lost', 1, false])
  watcher.send(ack(0x40, got.id))
  await watcher.ping()
})

test('a second connection with the same id takes over, and both addresses are logged', async (t) => {
  const { port, log, broker } = await startBroker(t)
  const first = await RawClient.open(t, port, { client: 'twin' })
  const second = await RawClient.open(t, port, { client: 'twin' })
  await first.closed
  await second.ping()
  const line = log.lines.find(({ fields }) => fields.client === 'twin')
  assert.deepEqual([line?.fields.address, line?.fields.previous], ['127.0.0.1', '127.0.0.1'])
  assert.deepEqual(
    broker.connections().map(({ client }) => client),
    ['twin'],
  )
})

test('QoS 2 from a client is delivered once, however often it is sent', async (t) => {
  const { port } = await startBroker(t)
  const watcher = await subscriber(t, port, 'a', 0)
  const publisher = await RawClient.open(t, port)
  for (let i = 0; i < 3; i++) {
    publisher.send(publishPacket('a', 'x', { qos: 2, id: 4, dup: i > 0 }))
    assert.deepEqual(await publisher.read(4), ack(0x50, 4))
  }
  publisher.send(ack(0x62, 4))
  assert.deepEqual(await publisher.read(4), ack(0x70, 4))
  assert.equal((await nextPublish(watcher)).payload, 'x')
  await watcher.ping()
})

test('a stalled subscriber holds back nobody, loses QoS 0 beyond its bound, and is counted', async (t) => {
  const { port, broker, log } = await startBroker(t, { limits: { subscriberQueue: 100_000 } })
  const stalled = await subscriber(t, port, 'a/#', 0, { client: 'stalled' })
  stalled.socket.pause()
  const healthy = await subscriber(t, port, 'a/#', 0)
  healthy.discards = true
  healthy.total = 0
  const publisher = await RawClient.open(t, port)
  const message = publishPacket('a/b', 'x'.repeat(10_000))
  const count = 2_000
  const start = performance.now()
  // Not faster than the healthy one reads, which has the same bound.
  for (let sent = 0; sent < count; sent += 5) {
    for (let i = 0; i < 5; i++) publisher.send(message)
    await until(() => healthy.total >= (sent + 5) * message.length, `${healthy.total} bytes`)
  }
  assert.ok(performance.now() - start < 9_000)
  const connection = broker.connections().find(({ client }) => client === 'stalled')
  assert.ok((connection?.dropped ?? 0) > 500, `${connection?.dropped} dropped`)
  assert.ok((connection?.queued ?? 0) < 300_000, `${connection?.queued} queued`)
  assert.equal(broker.status().dropped.subscriber_queue, connection?.dropped)
  assert.equal(log.lines.filter(({ text }) => text.includes('too slow')).length, 1)
})

test('a stalled subscriber of QoS 1 is disconnected, and its session keeps the messages', async (t) => {
  const clock = new FakeClock()
  const { port, broker } = await startBroker(t, { limits: { subscriberQueue: 50_000 } }, clock)
  const session = { client: 'stalled', clean: false }
  const stalled = await subscriber(t, port, 'a/#', 1, session)
  stalled.socket.pause()
  const payload = Buffer.alloc(50_000, 0x61)
  let published = 0
  while (broker.status().refused.subscriber_too_slow === undefined && published < 800) {
    await broker.publish('a/b', payload, { qos: 1 })
    await clock.advance(10)
    published++
  }
  assert.equal(broker.status().refused.subscriber_too_slow, 1)
  assert.equal(broker.status().sessions, 1)
  stalled.socket.destroy()
  const again = new RawClient(t, port).send(connectPacket(session))
  await again.read(4)
  assert.ok((await again.read(100_000)).length === 100_000)
})

test('the gateway publishes, consumes with the publisher named, and knows who subscribes', async (t) => {
  const { port, broker } = await startBroker(t)
  const subscribed: string[] = []
  broker.onSubscribe((filter, { client }) => subscribed.push(`${client} ${filter}`))
  const acknowledged: string[] = []
  const stop = broker.onPublish('command/+/+/ack', (topic, payload, publisher) =>
    acknowledged.push(`${publisher?.client} ${topic} ${payload}`),
  )
  assert.equal(broker.hasSubscriber('command/d1/open'), false)
  const device = await subscriber(t, port, 'command/d1/#', 1, { client: 'd1', clean: false })
  assert.deepEqual(subscribed, ['d1 command/d1/#'])
  assert.equal(broker.hasSubscriber('command/d1/open'), true)
  assert.equal(broker.hasSubscriber('command/d2/open'), false)
  await broker.publish('command/d1/open', Buffer.from('{}'), { qos: 1 })
  const got = await nextPublish(device)
  assert.deepEqual([got.topic, got.qos], ['command/d1/open', 1])
  device.send(ack(0x40, got.id), publishPacket('command/d1/open/ack', 'ok', { qos: 1 }))
  await until(() => acknowledged.length === 1)
  assert.deepEqual(acknowledged, ['d1 command/d1/open/ack ok'])
  stop()
  device.socket.destroy()
  await until(() => !broker.hasSubscriber('command/d1/open'))
  await RawClient.open(t, port, { client: 'd1', clean: false })
  await until(() => subscribed.length === 2)
  assert.equal(broker.hasSubscriber('command/d1/open'), true)
})

test('the connections and what they moved are counted', async (t) => {
  const { port, broker } = await startBroker(t)
  const client = await subscriber(t, port, 'a', 0, { client: 'c' })
  client.send(publishPacket('a', 'x'))
  await nextPublish(client)
  const { connections, connects, messagesIn, messagesOut, bytesIn, bytesOut, subscriptions } = broker.status()
  assert.deepEqual([connections, connects, messagesIn, messagesOut, subscriptions], [1, 1, 1, 1, 1])
  assert.ok(bytesIn > 20 && bytesOut > 10)
  const [info] = broker.connections()
  assert.deepEqual([info?.client, info?.user, info?.address], ['c', undefined, '127.0.0.1'])
  assert.ok(Math.abs((info?.seen ?? 0) - Date.now()) < 5_000)
  assert.equal(broker.disconnect('c'), true)
  await client.closed
  assert.equal(broker.disconnect('c'), false)
})
