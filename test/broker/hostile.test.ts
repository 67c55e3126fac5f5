import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../support/clock.ts'
import {
  ack,
  connectPacket,
  PINGREQ,
  packet,
  publishPacket,
  RawClient,
  subscribePacket,
  text,
  two,
} from './raw-client.ts'
import { type Started, startBroker, until } from './support.ts'

/** The broker ends the connection, counts why, and still serves others. */
async function refused(started: Started, client: RawClient, reason: string, t: Parameters<typeof startBroker>[0]) {
  await client.closed
  assert.equal(started.broker.status().refused[reason], 1, JSON.stringify(started.broker.status().refused))
  const other = await RawClient.open(t, started.port)
  await other.ping()
}

test('a CONNECT that claims 200 MB is refused from its header', async (t) => {
  const started = await startBroker(t)
  const client = new RawClient(t, started.port).send(Buffer.from([0x10, 0x80, 0x80, 0x80, 0x64]), Buffer.alloc(1000))
  await refused(started, client, 'packet_too_large', t)
})

test('a CONNECT of more than 64 KB is refused', async (t) => {
  const started = await startBroker(t)
  const password = 'x'.repeat(65_000)
  const client = new RawClient(t, started.port).send(connectPacket({ client: 'y'.repeat(1000), user: 'u', password }))
  await refused(started, client, 'packet_too_large', t)
})

test('a CONNECT of more than 64 KB is refused too when its header comes in pieces', async (t) => {
  const started = await startBroker(t)
  const client = new RawClient(t, started.port).send(Buffer.from([0x10]))
  await until(() => started.broker.status().bytesIn === 1)
  client.send(Buffer.from([0x80, 0x80, 0x05, 0, 4]))
  await refused(started, client, 'packet_too_large', t)
})

const before: [string, Buffer, string][] = [
  ['a PUBLISH before the CONNECT', publishPacket('telemetry/d', 'x'), 'not_connect'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'not_connect'],
  ['a TLS hello on the plain port', Buffer.from([0x16, 3, 1, 2, 0, 1]), 'not_connect'],
  ['a remaining length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 1]), 'malformed'],
  ['another protocol', packet(0x10, text('HTTP'), Buffer.from([4, 2, 0, 0]), text('a')), 'malformed'],
  ['a reserved connect flag', packet(0x10, text('MQTT'), Buffer.from([4, 3, 0, 0]), text('a')), 'malformed'],
  [
    'a will of QoS 3',
    packet(0x10, text('MQTT'), Buffer.from([4, 0x1e, 0, 0]), text('a'), text('w'), text('')),
    'malformed',
  ],
  ['a will with a wildcard', connectPacket({ will: { topic: 'a/#', payload: 'x' } }), 'malformed'],
  [
    'a password without a user',
    packet(0x10, text('MQTT'), Buffer.from([4, 0x42, 0, 0]), text('a'), text('p')),
    'malformed',
  ],
  [
    'a client id that is not UTF-8',
    packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text(Buffer.from([0xff]))),
    'malformed',
  ],
  ['a CONNECT cut short', packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0, 0, 9])), 'malformed'],
  [
    'a CONNECT with more behind it',
    packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text('a'), text('b')),
    'malformed',
  ],
]
for (const [what, bytes, reason] of before)
  test(`${what} ends the connection`, async (t) => {
    const started = await startBroker(t)
    await refused(started, new RawClient(t, started.port).send(bytes), reason, t)
  })

const after: [string, Buffer][] = [
  ['a second CONNECT', connectPacket()],
  ['QoS 3', publishPacket('telemetry/d', 'x', { qos: 3 })],
  ['packet id 0', publishPacket('telemetry/d', 'x', { qos: 1, id: 0 })],
  ['an empty topic', publishPacket('', 'x')],
  ['a topic with +', publishPacket('telemetry/+', 'x')],
  ['a topic with #', publishPacket('a/#', 'x')],
  ['a topic with NUL', publishPacket('telemetry/a\0b', 'x')],
  ['a topic that is not UTF-8', publishPacket(Buffer.from([0x61, 0xc3]), 'x')],
  ['a topic of 101 levels', publishPacket('a/'.repeat(100), 'x')],
  ['a topic longer than its packet', packet(0x30, two(500), Buffer.from('abc'))],
  ['a PUBLISH without room for its id', packet(0x32, text('telemetry/d'), Buffer.from([1]))],
  ['a PUBLISH of one byte', packet(0x30, Buffer.from([0]))],
  ['packet type 0', packet(0x00)],
  ['packet type 15', packet(0xf0)],
  ['a CONNACK', packet(0x20, two(0))],
  ['wrong flags on SUBSCRIBE', packet(0x80, two(1), text('a'), Buffer.from([0]))],
  ['a SUBSCRIBE without filters', packet(0x82, two(1))],
  ['a SUBSCRIBE without an id', packet(0x82, Buffer.from([1]))],
  ['a filter with a wildcard in a word', subscribePacket(1, ['a+/b', 0])],
  ['a filter with # in the middle', subscribePacket(1, ['a/#/b', 0])],
  ['a filter that is not UTF-8', packet(0x82, two(1), text(Buffer.from([0xff])), Buffer.from([0]))],
  ['a subscription of QoS 3', subscribePacket(1, ['a', 3])],
  ['a PINGREQ with a body', packet(0xc0, two(1))],
  ['a PUBACK of one byte', packet(0x40, Buffer.from([1]))],
  ['a remaining length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1])],
]
for (const [what, bytes] of after)
  test(`${what} from a connected client ends the connection`, async (t) => {
    const started = await startBroker(t)
    const client = await RawClient.open(t, started.port)
    client.send(bytes)
    await refused(started, client, 'malformed', t)
    assert.equal(started.intake.taken.length, 0)
  })

test('a packet larger than the limit ends the connection before it is read', async (t) => {
  const started = await startBroker(t, { limits: { packet: 1000 } })
  const client = await RawClient.open(t, started.port)
  client.send(publishPacket('telemetry/d', 'x'.repeat(900)))
  await started.intake.count(1)
  client.send(publishPacket('telemetry/d', 'x'.repeat(1000)).subarray(0, 10))
  await refused(started, client, 'packet_too_large', t)
  assert.equal(started.log.lines.filter(({ fields }) => fields.reason === 'packet_too_large').length, 1)
})

test('a stream cut at every offset gives the same messages', async (t) => {
  const { port, intake } = await startBroker(t)
  const stream = Buffer.concat([
    publishPacket('telemetry/a', 'one', { qos: 1, id: 1 }),
    PINGREQ,
    publishPacket('telemetry/b', 'x'.repeat(150), { qos: 2, id: 2 }),
    publishPacket('telemetry/c', ''),
  ])
  let count = 0
  for (let cut = 1; cut < stream.length; cut++) {
    const client = await RawClient.open(t, port)
    client.socket.setNoDelay(true)
    client.send(stream.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    client.send(stream.subarray(cut))
    count += 3
    await intake.count(count)
    const answers = Buffer.concat([ack(0x40, 1), Buffer.from([0xd0, 0]), ack(0x50, 2)])
    const received = await client.read(answers.length)
    assert.equal(received.length, answers.length)
    client.socket.destroy()
  }
  assert.equal(intake.taken.filter(({ payload }) => payload === 'one').length, stream.length - 1)
})

test('a stream that comes byte by byte is understood', async (t) => {
  const { port, intake } = await startBroker(t)
  const client = new RawClient(t, port)
  client.socket.setNoDelay(true)
  const stream = Buffer.concat([
    connectPacket({ client: 'slow' }),
    publishPacket('telemetry/d', 'y'.repeat(200), { qos: 1, id: 300 }),
    subscribePacket(4, ['a/b', 1]),
    PINGREQ,
  ])
  for (const byte of stream) {
    client.socket.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await intake.count(1)
  assert.equal((await client.read(4 + 4 + 5 + 2)).length, 15)
  assert.equal(intake.taken[0]?.payload, 'y'.repeat(200))
})

test('thousands of packets in one write, of all sizes, arrive in order', async (t) => {
  const { port, intake } = await startBroker(t)
  const client = await RawClient.open(t, port)
  const payloads = Array.from({ length: 5000 }, (_, i) => `${i}:${'z'.repeat((i * 37) % 600)}`)
  client.send(...payloads.map((payload, i) => publishPacket(`telemetry/d${i % 7}`, payload)))
  await intake.count(5000)
  assert.deepEqual(
    intake.taken.map(({ payload }) => payload),
    payloads,
  )
})

test('a packet much larger than a chunk arrives whole', async (t) => {
  const { port, intake } = await startBroker(t)
  const client = await RawClient.open(t, port)
  const payload = 'abcdefgh'.repeat(125_000)
  client.send(publishPacket('telemetry/d', payload, { qos: 1 }), publishPacket('telemetry/d', 'next'))
  await intake.count(2)
  assert.equal(intake.taken[0]?.payload, payload)
  assert.equal(intake.taken[1]?.payload, 'next')
})

test('ordinary traffic and telemetry in one chunk both arrive', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const seen: string[] = []
  broker.onPublish('plain/#', (topic, payload) => seen.push(`${topic} ${payload}`))
  const client = await RawClient.open(t, port)
  client.send(
    ...Array.from({ length: 300 }, (_, i) =>
      i % 3 === 0 ? publishPacket('telemetry/d', `${i}`) : publishPacket(`plain/${i % 3}`, `${i}`),
    ),
  )
  await intake.count(100)
  await until(() => seen.length === 200, 'ordinary messages')
})

test('a client that says nothing, or only half a CONNECT, is disconnected after ten seconds', async (t) => {
  const clock = new FakeClock()
  const started = await startBroker(t, {}, clock)
  const silent = new RawClient(t, started.port)
  const slow = new RawClient(t, started.port).send(connectPacket().subarray(0, 8))
  const good = await RawClient.open(t, started.port)
  await until(() => started.broker.status().connections === 3)
  await clock.advance(9_000)
  assert.equal(started.broker.status().connections, 3)
  await clock.advance(2_500)
  await Promise.all([silent.closed, slow.closed])
  assert.equal(started.broker.status().refused.connect_timeout, 2)
  await good.ping()
})

test('a client silent for one and a half times its keepalive is disconnected, and its will sent', async (t) => {
  const clock = new FakeClock()
  const started = await startBroker(t, {}, clock)
  const will = { topic: 'state/d', payload: 'lost' }
  const wills: string[] = []
  started.broker.onPublish('state/#', (_, payload) => wills.push(`${payload}`))
  const silent = await RawClient.open(t, started.port, { keepalive: 10, will })
  const telling = await RawClient.open(t, started.port, { keepalive: 10 })
  const forever = await RawClient.open(t, started.port, { keepalive: 0 })
  await clock.advance(14_000)
  telling.send(publishPacket('telemetry/d', 'still here'))
  await started.intake.count(1)
  await clock.advance(2_500)
  await silent.closed
  await until(() => wills.length === 1)
  assert.equal(started.broker.status().refused.keepalive, 1)
  await telling.ping()
  await forever.ping()
})

test('a version that nobody knows is refused in words that its client may', async (t) => {
  const { port, broker } = await startBroker(t)
  const client = new RawClient(t, port)
  client.send(packet(0x10, text('MQTT'), Buffer.from([6, 2, 0, 0, 0]), text('a')))
  assert.deepEqual(await client.read(4), Buffer.from([0x20, 2, 0, 1]))
  await client.closed
  assert.equal(broker.status().refused.protocol_version, 1)
})

test('an empty client id needs a clean session', async (t) => {
  const { port } = await startBroker(t)
  const client = new RawClient(t, port).send(connectPacket({ client: '', clean: false }))
  assert.deepEqual(await client.read(4), Buffer.from([0x20, 2, 0, 2]))
  await client.closed
  await RawClient.open(t, port, { client: '' })
})
