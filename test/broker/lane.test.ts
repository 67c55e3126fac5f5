import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../support/clock.ts'
import { ack, connectPacket, DISCONNECT, packet, publishPacket, RawClient, subscribePacket, two } from './raw-client.ts'
import { startBroker, until } from './support.ts'

const PUBACK = 0x40
const PUBREC = 0x50
const PUBCOMP = 0x70
const pubrel = (id: number) => packet(0x62, two(id))

test('a PUBACK is sent after the journal has the message, and in order', async (t) => {
  const { port, intake } = await startBroker(t)
  intake.instant = false
  const client = await RawClient.open(t, port)
  for (const id of [5, 3, 9]) client.send(publishPacket('telemetry/d', `${id}`, { qos: 1, id }))
  await intake.count(3)
  await client.ping()
  assert.equal(client.unread.length, 0)
  intake.commit(2)
  assert.deepEqual(await client.read(8), Buffer.concat([ack(PUBACK, 5), ack(PUBACK, 3)]))
  await client.ping()
  intake.commit(3)
  assert.deepEqual(await client.read(4), ack(PUBACK, 9))
})

test('a message that is durable at once does not overtake one that waits', async (t) => {
  const { port, intake } = await startBroker(t)
  intake.instant = false
  const client = await RawClient.open(t, port)
  client.send(publishPacket('telemetry/d', 'a', { qos: 1, id: 1 }))
  await intake.count(1)
  intake.instant = true
  client.send(publishPacket('telemetry/d', 'b', { qos: 1, id: 2 }))
  await intake.count(2)
  await client.ping()
  assert.equal(client.unread.length, 0)
  intake.commit()
  assert.deepEqual(await client.read(8), Buffer.concat([ack(PUBACK, 1), ack(PUBACK, 2)]))
})

test('acknowledgements keep the order of their messages, telemetry or not', async (t) => {
  const { port, intake } = await startBroker(t)
  intake.instant = false
  const client = await RawClient.open(t, port)
  const topics = ['telemetry/d', 'plain', 'telemetry/d', 'plain', 'plain']
  client.send(...topics.map((topic, i) => publishPacket(topic, 'x', { qos: 1, id: i + 1 })))
  await intake.count(1)
  const other = await RawClient.open(t, port)
  await other.ping()
  assert.equal(client.unread.length, 0)
  intake.commit()
  assert.deepEqual(await client.read(8), Buffer.concat([ack(PUBACK, 1), ack(PUBACK, 2)]))
  await intake.count(2)
  assert.equal(client.unread.length, 0)
  intake.commit()
  assert.deepEqual(await client.read(12), Buffer.concat([ack(PUBACK, 3), ack(PUBACK, 4), ack(PUBACK, 5)]))
  await client.ping()
})

test('a release is answered also while telemetry of its connection waits for the journal', async (t) => {
  const { port, intake } = await startBroker(t)
  intake.instant = false
  const client = await RawClient.open(t, port)
  client.send(publishPacket('plain', 'x', { qos: 2, id: 1 }))
  assert.deepEqual(await client.read(4), ack(PUBREC, 1))
  client.send(publishPacket('telemetry/d', 'x', { qos: 1, id: 2 }), pubrel(1), pubrel(9))
  await intake.count(1)
  intake.commit()
  assert.deepEqual(await client.read(12), Buffer.concat([ack(PUBACK, 2), ack(PUBCOMP, 1), ack(PUBCOMP, 9)]))
  await client.ping()
})

test('many connections get their own acknowledgements from one commit', async (t) => {
  const { port, intake } = await startBroker(t)
  intake.instant = false
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(t, port)))
  const each = 200
  for (const client of clients)
    client.send(...Array.from({ length: each }, (_, i) => publishPacket('telemetry/d', 'x', { qos: 1, id: i + 1 })))
  await intake.count(20 * each)
  intake.commit()
  const expected = Buffer.concat(Array.from({ length: each }, (_, i) => ack(PUBACK, i + 1)))
  for (const client of clients) assert.deepEqual(await client.read(4 * each), expected)
})

test('QoS 2 telemetry is taken once per packet id, and received only when durable', async (t) => {
  const { port, intake } = await startBroker(t)
  intake.instant = false
  const client = await RawClient.open(t, port)
  client.send(publishPacket('telemetry/d', 'once', { qos: 2, id: 7 }))
  client.send(publishPacket('telemetry/d', 'once', { qos: 2, id: 7, dup: true }))
  await intake.count(1)
  await client.ping()
  intake.commit()
  assert.deepEqual(await client.read(4), ack(PUBREC, 7))
  client.send(publishPacket('telemetry/d', 'once', { qos: 2, id: 7, dup: true }))
  assert.deepEqual(await client.read(4), ack(PUBREC, 7))
  client.send(pubrel(7))
  await client.ping()
  // The id is free when its release is durable too.
  intake.commit()
  assert.deepEqual(await client.read(4), ack(PUBCOMP, 7))
  assert.equal(intake.taken.length, 1)
  client.send(publishPacket('telemetry/d', 'again', { qos: 2, id: 7 }))
  await intake.count(2)
  intake.commit()
  assert.deepEqual(await client.read(4), ack(PUBREC, 7))
})

test('a QoS 2 message that became durable while its persistent session was away is not taken twice', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  intake.instant = false
  const first = await RawClient.open(t, port, { client: 'sensor', clean: false })
  first.send(publishPacket('telemetry/d', 'once', { qos: 2, id: 1 }))
  await intake.count(1)
  first.socket.destroy()
  await until(() => broker.status().connections === 0)
  intake.commit()
  const again = await RawClient.open(t, port, { client: 'sensor', clean: false })
  again.send(publishPacket('telemetry/d', 'once', { qos: 2, id: 1, dup: true }))
  assert.deepEqual(await again.read(4), ack(PUBREC, 1))
  again.send(pubrel(1))
  await again.ping()
  intake.commit()
  assert.deepEqual(await again.read(4), ack(PUBCOMP, 1))
  assert.equal(intake.taken.length, 1)
})

test('without room the socket is not read, and everything comes when there is room', async (t) => {
  const clock = new FakeClock()
  const { port, intake } = await startBroker(t, {}, clock)
  const client = await RawClient.open(t, port)
  intake.full = true
  for (let i = 0; i < 100; i++) client.send(publishPacket('telemetry/d', `${i}`, { qos: i % 2, id: i + 1 }))
  await until(() => intake.routes.length > 0)
  await clock.advance(900)
  assert.deepEqual([intake.taken.length, intake.dropped.length], [0, 0])
  intake.makeRoom()
  await intake.count(100)
  assert.deepEqual(
    intake.taken.map(({ payload }) => payload),
    Array.from({ length: 100 }, (_, i) => `${i}`),
  )
  assert.deepEqual((await client.read(200)).subarray(0, 4), ack(PUBACK, 2))
})

test('what was read before the client left is taken when there is room', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const leaving = await RawClient.open(t, port)
  intake.full = true
  for (let i = 0; i < 20; i++) leaving.send(publishPacket('telemetry/d', `${i}`))
  leaving.socket.end()
  await until(() => intake.routes.length === 1)
  // The end of the connection comes while the gateway does not read.
  await until(() => leaving.socket.writableFinished)
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  intake.makeRoom()
  await intake.count(20)
  await until(() => broker.status().connections === 0)
})

test('after five seconds without room QoS 0 is dropped and counted, QoS 1 waits', async (t) => {
  const clock = new FakeClock()
  const { port, intake, broker } = await startBroker(t, {}, clock)
  const careless = await RawClient.open(t, port)
  const careful = await RawClient.open(t, port)
  intake.full = true
  careless.send(...Array.from({ length: 10 }, (_, i) => publishPacket('telemetry/a', `${i}`)))
  careful.send(publishPacket('telemetry/b', 'kept', { qos: 1 }), publishPacket('telemetry/b', 'behind it'))
  await until(() => intake.routes.length === 2)
  await clock.advance(4900)
  assert.deepEqual(intake.dropped, [])
  await clock.advance(100)
  await intake.count(10)
  assert.deepEqual(intake.dropped, new Array(10).fill('telemetry/a'))
  assert.equal(broker.status().dropped.no_room, 10)
  intake.makeRoom()
  await intake.count(12)
  assert.deepEqual(
    intake.taken.map(({ payload }) => payload),
    ['kept', 'behind it'],
  )
  assert.deepEqual(await careful.read(4), ack(PUBACK, 1))
  careless.send(publishPacket('telemetry/a', 'later'))
  await intake.count(13)
})

test('a connection that waits for too many acknowledgements is read no further', async (t) => {
  const { port, intake } = await startBroker(t, { limits: { unacknowledged: 10 } })
  intake.instant = false
  const client = await RawClient.open(t, port)
  client.send(...Array.from({ length: 30 }, (_, i) => publishPacket('telemetry/d', `${i}`, { qos: 1, id: i + 1 })))
  await intake.count(10)
  const other = await RawClient.open(t, port)
  await other.ping()
  assert.equal(intake.taken.length, 10)
  intake.commit()
  await client.read(40)
  await intake.count(20)
  intake.commit()
  await intake.count(30)
  intake.commit()
  assert.equal((await client.read(80)).length, 80)
})

test('local subscribers get telemetry too, from the moment they subscribe', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const sensor = await RawClient.open(t, port)
  sensor.send(publishPacket('telemetry/d', 'early'))
  await intake.count(1)
  const viewer = await RawClient.open(t, port)
  viewer.send(subscribePacket(1, ['telemetry/+', 1]))
  await viewer.read(5)
  const seen: string[] = []
  broker.onPublish('telemetry/#', (topic, payload) => seen.push(`${topic} ${payload}`))
  sensor.send(publishPacket('telemetry/d', 'now'))
  const expected = publishPacket('telemetry/d', 'now')
  assert.deepEqual(await viewer.read(expected.length), expected)
  assert.deepEqual(seen, ['telemetry/d now'])
  viewer.send(packet(0xa2, two(2), Buffer.from([0, 11]), Buffer.from('telemetry/+')))
  assert.deepEqual(await viewer.read(4), ack(0xb0, 2))
  sensor.send(publishPacket('telemetry/d', 'unseen'))
  await intake.count(3)
  await viewer.ping()
  assert.deepEqual(seen, ['telemetry/d now', 'telemetry/d unseen'])
})

test('messages of different QoS in one chunk all reach a subscriber', async (t) => {
  const { port } = await startBroker(t)
  const viewer = await RawClient.open(t, port)
  viewer.send(subscribePacket(1, ['#', 1]))
  await viewer.read(5)
  const sensor = await RawClient.open(t, port)
  sensor.send(
    ...Array.from({ length: 20 }, (_, i) => publishPacket('telemetry/d', `${i + 10}`, { qos: i % 2, id: i + 1 })),
  )
  const length =
    10 * (publishPacket('telemetry/d', '10').length + publishPacket('telemetry/d', '10', { qos: 1 }).length)
  const received = (await viewer.read(length)).toString('latin1')
  for (let i = 0; i < 20; i++) assert.ok(received.includes(`${i + 10}`), `message ${i + 10}`)
})

test('retained telemetry is taken and retained, an empty one only takes it away', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const sensor = await RawClient.open(t, port)
  sensor.send(publishPacket('telemetry/d', 'last', { retain: true, qos: 1 }))
  await sensor.read(4)
  assert.equal(intake.taken.length, 1)
  assert.equal(broker.status().retained, 1)
  const viewer = await RawClient.open(t, port)
  viewer.send(subscribePacket(1, ['telemetry/#', 0]))
  await viewer.read(5)
  const expected = publishPacket('telemetry/d', 'last', { retain: true })
  assert.deepEqual(await viewer.read(expected.length), expected)
  sensor.send(publishPacket('telemetry/d', '', { retain: true, qos: 1 }))
  await sensor.read(4)
  assert.equal(intake.taken.length, 1)
  assert.equal(broker.status().retained, 0)
})

test('a will on a telemetry topic is taken', async (t) => {
  const { port, intake } = await startBroker(t)
  const will = { topic: 'telemetry/d', payload: 'gone', qos: 1 }
  const lost = await RawClient.open(t, port, { will })
  lost.socket.destroy()
  await intake.count(1)
  assert.equal(intake.taken[0]?.payload, 'gone')
  const polite = await RawClient.open(t, port, { will })
  polite.send(DISCONNECT)
  await polite.closed
  assert.equal(intake.taken.length, 1)
})

test('what comes right behind the CONNECT is processed once the client is accepted', async (t) => {
  const { port, intake } = await startBroker(t)
  const client = new RawClient(t, port)
  client.send(connectPacket(), publishPacket('telemetry/d', 'at once'), DISCONNECT)
  await intake.count(1)
  await client.closed
  assert.equal((await client.read(4))[0], 0x20)
})

test('routes are asked for once per topic, and again when the decode rules have changed', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const client = await RawClient.open(t, port)
  client.send(...Array.from({ length: 10 }, () => publishPacket('telemetry/d', 'x')))
  await intake.count(10)
  assert.deepEqual(intake.routes, ['telemetry/d'])
  broker.forgetRoutes()
  client.send(publishPacket('telemetry/d', 'x'))
  await intake.count(11)
  assert.equal(intake.routes.length, 2)
})

test('a client that leaves with acknowledgements pending disturbs nobody', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  intake.instant = false
  const leaving = await RawClient.open(t, port)
  const staying = await RawClient.open(t, port)
  leaving.send(publishPacket('telemetry/a', 'x', { qos: 1 }))
  await intake.count(1)
  staying.send(publishPacket('telemetry/b', 'y', { qos: 1, id: 2 }))
  await intake.count(2)
  leaving.socket.destroy()
  await until(() => broker.status().connections === 1)
  intake.commit()
  assert.deepEqual(await staying.read(4), ack(PUBACK, 2))
  assert.equal(broker.status().unacknowledged, 0)
})

test('a QoS 0 subscriber gets copies of every size without the publisher’s packet id', async (t) => {
  const { port } = await startBroker(t)
  const viewer = await RawClient.open(t, port)
  viewer.send(subscribePacket(1, ['telemetry/#', 0], ['telemetry/+', 0]))
  await viewer.read(6)
  const sensor = await RawClient.open(t, port)
  const sizes = [0, 100, 127, 128, 5_000, 20_000, 70_000, 3]
  const payloads = sizes.map((size, i) => `${i}`.repeat(size))
  sensor.send(...payloads.map((payload, i) => publishPacket('telemetry/d', payload, { qos: i % 3, id: i + 1 })))
  const expected = Buffer.concat(payloads.map((payload) => publishPacket('telemetry/d', payload)))
  assert.ok((await viewer.read(expected.length)).equals(expected))
  await viewer.ping()
})
