import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../support/clock.ts'
import { PacketClient } from './packet-client.ts'
import { packet, RawClient, text, two } from './raw-client.ts'
import { startBroker, until } from './support.ts'

test('a client is told the terms, and what the gateway has made up for it', async (t) => {
  const { port } = await startBroker(t, { limits: { keepalive: 60_000, sessionExpiry: 3600, packet: 5000 } })
  const { connack } = await PacketClient.open(t, port, {
    clientId: '',
    keepalive: 120,
    properties: { sessionExpiryInterval: 0xffff_ffff },
  })
  const { assignedClientIdentifier, ...terms } = connack.properties ?? {}
  assert.match(assignedClientIdentifier ?? '', /^sluice-[0-9a-f]{24}$/)
  assert.deepEqual(terms, {
    sessionExpiryInterval: 3600,
    receiveMaximum: 1000,
    maximumPacketSize: 5000,
    topicAliasMaximum: 64,
    serverKeepAlive: 60,
  })
})

test('what goes with a message comes with it, in its order, and not to clients before MQTT 5', async (t) => {
  const { port } = await startBroker(t)
  const { client: old } = await PacketClient.open(t, port, {}, 4)
  await old.subscribe('a', { qos: 1 })
  const raw = new RawClient(t, port).send(
    packet(0x10, text('MQTT'), Buffer.from([5, 2, 0, 0, 0]), text('raw')),
    packet(0x82, two(1), Buffer.from([0]), text('a'), Buffer.from([0])),
  )
  const connack = await raw.read(2)
  await raw.read((connack[1] ?? 0) + 6)
  const user = (name: string, value: string) => Buffer.concat([Buffer.from([0x26]), text(name), text(value)])
  const properties = Buffer.concat([
    user('2', 'x'),
    Buffer.from([1, 1]),
    user('1', 'y'),
    Buffer.concat([Buffer.from([3]), text('text/plain')]),
    user('2', 'z'),
    Buffer.concat([Buffer.from([8]), text('reply/to')]),
    Buffer.concat([Buffer.from([9]), two(3), Buffer.from([0, 1, 255])]),
  ])
  const body = Buffer.concat([text('a'), Buffer.from([properties.length]), properties, Buffer.from('x')])
  raw.send(packet(0x30, body))
  assert.deepEqual(await raw.read(body.length + 2), packet(0x30, body))
  const got = await old.next('publish')
  assert.deepEqual([got.topic, `${got.payload}`, got.properties], ['a', 'x', undefined])
})

test('a message expires while it waits, and says how long it still lives', async (t) => {
  const clock = new FakeClock()
  const { port, broker } = await startBroker(t, {}, clock)
  const session = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 1000 } }
  const { client: away } = await PacketClient.open(t, port, session)
  await away.subscribe('a', { qos: 1 })
  away.send({ cmd: 'disconnect', reasonCode: 0 })
  await away.closed
  const { client } = await PacketClient.open(t, port)
  for (const messageExpiryInterval of [5, 100])
    client.publish('a', `${messageExpiryInterval}`, { qos: 1, retain: true, properties: { messageExpiryInterval } })
  await client.next('puback')
  await client.next('puback')
  await clock.advance(20_000)
  const { client: again } = await PacketClient.open(t, port, session)
  const got = await again.next('publish')
  assert.deepEqual([`${got.payload}`, got.properties?.messageExpiryInterval], ['100', 80])
  assert.equal(broker.status().dropped.expired, 1)
  await clock.advance(100_000)
  await client.subscribe('a')
  await client.quiet()
  assert.equal(broker.status().retained, 0)
})

test('topic aliases serve telemetry and ordinary messages alike, and one that stands for nothing ends the connection', async (t) => {
  const { port, intake, broker } = await startBroker(t)
  const { client } = await PacketClient.open(t, port)
  const seen: string[] = []
  broker.onPublish('plain/#', (topic, payload) => seen.push(`${topic} ${payload}`))
  client.publish('telemetry/d', '1', { properties: { topicAlias: 1 } })
  client.publish('', '2', { qos: 1, properties: { topicAlias: 1 } })
  await client.next('puback')
  client.publish('plain/x', '3', { properties: { topicAlias: 64 } })
  broker.forgetRoutes()
  client.publish('', '4', { properties: { topicAlias: 64 } }).publish('', '5', { properties: { topicAlias: 1 } })
  client
    .publish('telemetry/e', '6', { properties: { topicAlias: 1 } })
    .publish('', '7', { properties: { topicAlias: 1 } })
  await intake.count(5)
  assert.deepEqual(
    intake.taken.map(({ topic, payload }) => `${topic} ${payload}`),
    ['telemetry/d 1', 'telemetry/d 2', 'telemetry/d 5', 'telemetry/e 6', 'telemetry/e 7'],
  )
  assert.deepEqual(seen, ['plain/x 3', 'plain/x 4'])
  for (const topicAlias of [0, 2, 65]) {
    const { client: wrong } = await PacketClient.open(t, port)
    wrong.publish('', 'x', { properties: { topicAlias } })
    assert.equal((await wrong.next('disconnect')).reasonCode, 0x94)
    await wrong.closed
  }
})

test('a subscriber that takes topic aliases gets the name once', async (t) => {
  const { port, broker } = await startBroker(t)
  const { client } = await PacketClient.open(t, port, { properties: { topicAliasMaximum: 1 } })
  await client.subscribe('#', { qos: 1 })
  for (const topic of ['a', 'a', 'b', 'a']) await broker.publish(topic, Buffer.from('x'))
  const got = [await client.next('publish'), await client.next('publish'), await client.next('publish')]
  got.push(await client.next('publish'))
  assert.deepEqual(
    got.map(({ topic, properties }) => [topic, properties?.topicAlias]),
    [
      ['a', 1],
      ['', 1],
      ['b', undefined],
      ['', 1],
    ],
  )
})

test('subscription identifiers of all that match come with a message, once', async (t) => {
  const { port, broker } = await startBroker(t)
  const { client } = await PacketClient.open(t, port)
  await client.subscribe('a/+', { qos: 2, identifier: 7 })
  await client.subscribe('a/#', { qos: 1, identifier: 268_435_455 })
  await client.subscribe('#')
  await broker.publish('a/b', Buffer.from('x'), { qos: 2 })
  const got = await client.next('publish')
  assert.equal(got.qos, 2)
  assert.deepEqual([got.properties?.subscriptionIdentifier].flat().sort(), [268_435_455, 7])
  await client.quiet()
})

test('no local, retain as published and retain handling are obeyed', async (t) => {
  const { port } = await startBroker(t)
  const { client } = await PacketClient.open(t, port)
  await client.subscribe('own', { nl: true })
  await client.subscribe('own/#', { nl: true, qos: 1 })
  const { client: other } = await PacketClient.open(t, port)
  await other.subscribe('own', { rap: true })
  client.publish('own', 'mine', { retain: true })
  const got = await other.next('publish')
  assert.deepEqual([`${got.payload}`, got.retain], ['mine', true])
  await client.quiet()
  await other.subscribe('own', { rh: 1 })
  await other.quiet()
  await other.subscribe('own', { rh: 2 })
  await other.quiet()
  await other.subscribe('own', { rh: 0 })
  assert.equal((await other.next('publish')).retain, true)
  other.publish('own', 'next')
  assert.equal(`${(await client.next('publish')).payload}`, 'next')
})

test('those that share a subscription get each message once, in turn, and none is lost when one leaves', async (t) => {
  const { port, broker } = await startBroker(t)
  const members = await Promise.all([1, 2, 3].map(() => PacketClient.open(t, port)))
  for (const { client } of members) await client.subscribe('$share/group/a/#', { qos: 1 })
  const { client: alone } = await PacketClient.open(t, port)
  await alone.subscribe('a/#')
  for (let i = 0; i < 9; i++) await broker.publish(`a/${i}`, Buffer.from('x'), { qos: 1 })
  await until(() => members.every(({ client }) => client.waiting.length === 3))
  await until(() => alone.waiting.length === 9)
  members[0]?.client.socket.destroy()
  await until(() => broker.status().connections === 3)
  for (let i = 0; i < 4; i++) await broker.publish('a/later', Buffer.from('x'), { qos: 1 })
  await until(() => members.slice(1).every(({ client }) => client.waiting.length === 5))
  await broker.publish('b', Buffer.from('x'))
  const wrong = new RawClient(t, port).send(
    packet(0x10, text('MQTT'), Buffer.from([5, 2, 0, 0, 0]), text('raw')),
    packet(0x82, two(1), Buffer.from([0]), text('$share/group/a'), Buffer.from([4])),
  )
  await wrong.closed
  assert.equal(broker.status().refused.protocol, 1)
})

test('not more messages are on their way to a client than it takes', async (t) => {
  const { port, broker } = await startBroker(t)
  const { client } = await PacketClient.open(t, port, { properties: { receiveMaximum: 2 } })
  await client.subscribe('a', { qos: 2 })
  for (let i = 0; i < 5; i++) await broker.publish('a', Buffer.from(`${i}`), { qos: i % 2 === 0 ? 2 : 1 })
  await until(() => client.waiting.length === 2)
  await client.next('publish')
  await client.next('publish')
  await client.quiet()
  // PUBREC alone makes no room (MQTT-4.9.0-1).
  client.send({ cmd: 'pubrec', messageId: 1, reasonCode: 0 })
  assert.equal((await client.next('pubrel')).messageId, 1)
  await client.quiet()
  client.send({ cmd: 'pubcomp', messageId: 1, reasonCode: 0 }, { cmd: 'puback', messageId: 2, reasonCode: 0 })
  assert.equal(`${(await client.next('publish')).payload}`, '2')
  assert.equal(`${(await client.next('publish')).payload}`, '3')
  client.send({ cmd: 'pubrec', messageId: 3, reasonCode: 0x97 })
  assert.equal(`${(await client.next('publish')).payload}`, '4')
  await client.quiet()
})

test('a client that sends more at a time than it may is told and disconnected', async (t) => {
  const { port } = await startBroker(t, { limits: { receiveMaximum: 3 } })
  const { client } = await PacketClient.open(t, port)
  for (let i = 1; i <= 4; i++) client.publish('a', 'x', { qos: 2, messageId: i })
  for (let i = 1; i <= 3; i++) await client.next('pubrec')
  assert.equal((await client.next('disconnect')).reasonCode, 0x93)
  await client.closed
})

test('a message larger than a client takes is not sent to it, and the next one is', async (t) => {
  const { port, broker } = await startBroker(t)
  const { client } = await PacketClient.open(t, port, { properties: { maximumPacketSize: 100 } })
  await client.subscribe('#', { qos: 1 })
  const { client: sensor } = await PacketClient.open(t, port)
  for (const qos of [0, 1] as const)
    for (const topic of ['a', 'telemetry/d']) {
      sensor.publish(topic, 'x'.repeat(100), { qos })
      sensor.publish(topic, 'small', { qos, messageId: 2 })
      assert.equal(`${(await client.next('publish')).payload}`, 'small')
    }
  assert.equal(broker.status().dropped.larger_than_client_takes, 4)
})

test('the reasons of acknowledgements: nobody subscribes, not allowed, not known', async (t) => {
  const acl = [{ publish: ['a/#'], subscribe: ['a/#'] }]
  const { port, broker } = await startBroker(t, { acl, limits: { subscriptionsPerClient: 1 } })
  const { client } = await PacketClient.open(t, port)
  assert.equal((await client.publish('a', 'x', { qos: 1 }).next('puback')).reasonCode, 0x10)
  assert.equal((await client.publish('a', 'x', { qos: 2 }).next('pubrec')).reasonCode, 0x10)
  client.send({ cmd: 'pubrel', messageId: 1, reasonCode: 0 })
  assert.equal((await client.next('pubcomp')).reasonCode, 0)
  client.send({ cmd: 'pubrel', messageId: 7, reasonCode: 0 })
  assert.equal((await client.next('pubcomp')).reasonCode, 0x92)
  client.send({ cmd: 'pubrec', messageId: 9, reasonCode: 0 })
  assert.equal((await client.next('pubrel')).reasonCode, 0x92)
  assert.equal((await client.publish('b', 'x', { qos: 1 }).next('puback')).reasonCode, 0x87)
  assert.equal((await client.publish('b', 'x', { qos: 2 }).next('pubrec')).reasonCode, 0x87)
  await client.publish('b', 'x').quiet()
  assert.equal(broker.status().refused.publish_denied, 3)
  assert.deepEqual(await client.subscribe('b'), [0x87])
  assert.deepEqual(await client.subscribe('a', { qos: 1 }), [1])
  assert.deepEqual(await client.subscribe('a/b', { qos: 1 }), [0x97])
  client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['a', 'z'] })
  assert.deepEqual((await client.next('unsuback')).granted, [0, 0x11])
})

test('why the gateway ends a connection is said in its DISCONNECT', async (t) => {
  const clock = new FakeClock()
  const { port, broker } = await startBroker(t, { limits: { packet: 2000 } }, clock)
  const first = await PacketClient.open(t, port, { clientId: 'twin' })
  const second = await PacketClient.open(t, port, { clientId: 'twin' })
  assert.equal((await first.client.next('disconnect')).reasonCode, 0x8e)
  second.client.publish('a', 'x'.repeat(2000))
  assert.equal((await second.client.next('disconnect')).reasonCode, 0x95)
  const lazy = await PacketClient.open(t, port, { keepalive: 1 })
  await clock.advance(2_500)
  assert.equal((await lazy.client.next('disconnect')).reasonCode, 0x8d)
  const auth = await PacketClient.open(t, port)
  auth.client.socket.write(packet(0xf0, Buffer.from([0x18, 0])))
  assert.equal((await auth.client.next('disconnect')).reasonCode, 0x82)
  const told = await PacketClient.open(t, port, { clientId: 'told' })
  broker.disconnect('told')
  assert.equal((await told.client.next('disconnect')).reasonCode, 0x98)
  const last = await PacketClient.open(t, port)
  await Promise.all([first, second, lazy, auth, told].map(({ client }) => client.closed))
  const closing = broker.close()
  assert.equal((await last.client.next('disconnect')).reasonCode, 0x8b)
  await closing
})

test('enhanced authentication is refused in its own words', async (t) => {
  const { port } = await startBroker(t)
  const client = new PacketClient(t, port)
  client.connect({ properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: Buffer.from('n,,') } })
  assert.equal((await client.next('connack')).reasonCode, 0x8c)
  await client.closed
})

test('a session lives as long as it was to, and a DISCONNECT can change that', async (t) => {
  const clock = new FakeClock()
  const { port, broker } = await startBroker(t, {}, clock)
  const connect = (seconds: number, clean = false) =>
    PacketClient.open(t, port, { clientId: 'c', clean, properties: { sessionExpiryInterval: seconds } })
  const leave = async (client: PacketClient, properties = {}) => {
    client.send({ cmd: 'disconnect', reasonCode: 0, properties })
    await client.closed
  }
  const first = await connect(10, true)
  assert.equal(first.connack.sessionPresent, false)
  await leave(first.client)
  await clock.advance(9_000)
  const second = await connect(10)
  assert.equal(second.connack.sessionPresent, true)
  await leave(second.client, { sessionExpiryInterval: 100 })
  await clock.advance(90_000)
  const third = await connect(1)
  assert.equal(third.connack.sessionPresent, true)
  await leave(third.client)
  await clock.advance(3_000)
  assert.equal(broker.status().sessions, 0)
  const fourth = await connect(0)
  assert.equal(fourth.connack.sessionPresent, false)
  fourth.client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } })
  assert.equal((await fourth.client.next('disconnect')).reasonCode, 0x82)
})

test('a will waits as long as it was told to, is forgotten when the client comes back, and carries its properties', async (t) => {
  const clock = new FakeClock()
  const { port, broker } = await startBroker(t, {}, clock)
  const { client: watcher } = await PacketClient.open(t, port)
  await watcher.subscribe('will')
  const properties = { willDelayInterval: 10, userProperties: { why: 'lost' } }
  const will = { topic: 'will', payload: Buffer.from('gone'), qos: 0 as const, retain: false, properties }
  const connect = (expiry: number) =>
    PacketClient.open(t, port, { clientId: 'c', clean: false, will, properties: { sessionExpiryInterval: expiry } })
  const first = await connect(60)
  first.client.socket.destroy()
  await until(() => broker.status().connections === 1)
  await clock.advance(9_000)
  const second = await connect(60)
  await clock.advance(20_000)
  await watcher.quiet()
  second.client.send({ cmd: 'disconnect', reasonCode: 4 })
  await second.client.closed
  await clock.advance(11_000)
  const got = await watcher.next('publish')
  assert.deepEqual([`${got.payload}`, got.properties?.userProperties?.why], ['gone', 'lost'])
  const third = await connect(0)
  third.client.socket.destroy()
  await watcher.next('publish')
})

test('the content type goes with telemetry, when the journal can keep it', async (t) => {
  const { port, intake } = await startBroker(t)
  const { client } = await PacketClient.open(t, port)
  for (const contentType of ['application/cbor', 'application/cbor', 'text/csv', 'é', 'x'.repeat(300)])
    client.publish('telemetry/d', 'x', { properties: { contentType } })
  client.publish('telemetry/d', 'x')
  await intake.count(6)
  assert.deepEqual(intake.types, ['application/cbor', 'application/cbor', 'text/csv', undefined, undefined, undefined])
})

const user = (name: Buffer | string) => Buffer.concat([Buffer.from([0x26]), text(name), text('v')])
const bad: [string, Buffer][] = [
  ['properties longer than the packet', Buffer.from([20, 0x26, 0, 1])],
  ['a property that is none', Buffer.from([2, 0x7f, 0])],
  ['a property of another packet', Buffer.from([5, 0x11, 0, 0, 0, 1])],
  ['a subscription identifier from a client', Buffer.from([2, 0x0b, 1])],
  ['a property that comes twice', Buffer.from([4, 0x01, 0, 0x01, 1])],
  ['a payload format of 2', Buffer.from([2, 0x01, 2])],
  ['a user property that is not UTF-8', Buffer.from([user(Buffer.from([0xff])).length, ...user(Buffer.from([0xff]))])],
  ['a response topic with a wildcard', Buffer.from([4, 0x08, 0, 1, 0x23])],
  ['a length of five bytes', Buffer.from([0x80, 0x80, 0x80, 0x80, 0])],
]
for (const [what, properties] of bad)
  test(`${what} ends the connection`, async (t) => {
    const { port, intake, broker } = await startBroker(t)
    const { client } = await PacketClient.open(t, port)
    client.socket.write(packet(0x30, text('telemetry/d'), properties, Buffer.from('payload')))
    assert.match(`${(await client.next('disconnect')).reasonCode}`, /^(129|130)$/)
    await client.closed
    assert.equal(intake.taken.length, 0)
    const { malformed = 0, protocol = 0 } = broker.status().refused
    assert.equal(malformed + protocol, 1)
  })
