import assert from 'node:assert/strict'
import { test } from 'node:test'
import mqtt, { type Packet } from 'mqtt-packet'
import { seeded } from '../../examples/random.ts'
import { bodyStart } from '../../gateway/broker/framing.ts'
import { parseAcknowledgement } from '../../gateway/broker/packets/acknowledgement.ts'
import { parseConnect } from '../../gateway/broker/packets/connect.ts'
import { parseDisconnect } from '../../gateway/broker/packets/disconnect.ts'
import { PublishProperties } from '../../gateway/broker/packets/publish-properties.ts'
import { PacketReader } from '../../gateway/broker/packets/reader.ts'
import { parseSubscribe, parseUnsubscribe } from '../../gateway/broker/packets/subscribe.ts'
import { MqttError } from '../../gateway/broker/reasons.ts'
import { RawClient } from './raw-client.ts'
import { bounded, startBroker, until } from './support.ts'

const user = { userProperties: { a: 'b', c: ['d', 'e'] } }
const will = {
  topic: 'w/t',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: true,
  properties: { willDelayInterval: 1, contentType: 'x', ...user },
} as const
const dup = false
const retain = false

/** One of each packet that a client sends, with all that may be in it. */
const samples: Packet[] = [
  {
    cmd: 'connect',
    clientId: 'fuzz',
    keepalive: 60,
    will,
    username: 'u',
    password: Buffer.from('p'),
    properties: { sessionExpiryInterval: 1, receiveMaximum: 9, maximumPacketSize: 999, topicAliasMaximum: 3, ...user },
  },
  { cmd: 'connect', clientId: '', clean: true },
  {
    cmd: 'publish',
    topic: 'telemetry/d',
    payload: '{"v":1}',
    qos: 1,
    messageId: 5,
    dup,
    retain,
    properties: {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      topicAlias: 3,
      responseTopic: 'r',
      correlationData: Buffer.from([1, 2]),
      contentType: 'application/json',
      ...user,
    },
  },
  { cmd: 'publish', topic: 'plain', payload: 'x', qos: 0, dup, retain: true },
  { cmd: 'publish', topic: 'plain', payload: 'x', qos: 2, messageId: 6, dup, retain },
  {
    cmd: 'subscribe',
    messageId: 7,
    subscriptions: [
      { topic: 'plain/#', qos: 2, nl: true, rap: true, rh: 1 },
      { topic: '$share/g/+', qos: 1, nl: false, rap: false, rh: 0 },
    ],
    properties: { subscriptionIdentifier: 300, ...user },
  },
  { cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['plain/#', 'b'], properties: user },
  { cmd: 'puback', messageId: 9, reasonCode: 16, properties: { reasonString: 'r', ...user } },
  { cmd: 'pubrec', messageId: 9, reasonCode: 0 },
  { cmd: 'pubrel', messageId: 6, reasonCode: 0 },
  { cmd: 'pubcomp', messageId: 9, reasonCode: 0 },
  { cmd: 'pingreq' },
  { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 1, reasonString: 'r', ...user } },
]

const encode = (packet: Packet, version: 4 | 5) =>
  mqtt.generate({ ...packet, protocolVersion: version } as Packet, { protocolVersion: version })

/** Bits flipped, bytes changed, left out, doubled, and lengths that lie. */
function mutate(bytes: Buffer, random: () => number): Buffer {
  let mutated = Buffer.from(bytes)
  for (let i = 1 + Math.floor(random() * 3); i > 0; i--) {
    const at = Math.floor(random() * mutated.length)
    const how = Math.floor(random() * 6)
    if (how === 0) mutated[at] = (mutated[at] ?? 0) ^ (1 << Math.floor(random() * 8))
    else if (how === 1) mutated[at] = Math.floor(random() * 256)
    else if (how === 2) mutated[at] = [0, 1, 0x7f, 0x80, 0xff][Math.floor(random() * 5)] ?? 0
    else if (how === 3) mutated = mutated.subarray(0, at)
    else if (how === 4) mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + 1)])
    else mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(Math.max(0, at - 4))])
    if (mutated.length === 0) return Buffer.from([0])
  }
  return mutated
}

/** Parses a packet with a whole fixed header as the guard and the lane would. */
function parse(bytes: Buffer, version: 4 | 5): void {
  const type = (bytes[0] ?? 0) >> 4
  const body = Math.min(bytes.length, bodyStart(bytes, 0))
  const reader = new PacketReader(bytes, body, bytes.length)
  if (type === 1) parseConnect(bytes, body)
  else if (type === 3) new PublishProperties().read(bytes, body, bytes.length)
  else if (type === 8) parseSubscribe(reader, version)
  else if (type === 10) parseUnsubscribe(reader, version)
  else if (type === 14) parseDisconnect(reader, version)
  else if (type >= 4 && type <= 7) parseAcknowledgement(reader, version)
}

test('every packet that another codec writes is read, to its end', () => {
  for (const version of [4, 5] as const)
    for (const packet of samples) assert.doesNotThrow(() => parse(encode(packet, version), version), packet.cmd)
})

test('packets that are changed at random are read or refused, never more than that', () => {
  const random = seeded(5)
  for (const version of [4, 5] as const)
    for (const packet of samples) {
      const bytes = encode(packet, version)
      for (let i = 0; i < 4_000; i++) {
        const mutated = mutate(bytes, random)
        try {
          parse(mutated, version)
        } catch (error) {
          if (!(error instanceof MqttError)) throw new Error(mutated.toString('hex'), { cause: error })
        }
      }
    }
})

test('properties of a PUBLISH that are changed at random stay within their packet', () => {
  const random = seeded(6)
  const packet = encode(samples[2] as Packet, 5)
  const properties = new PublishProperties()
  const start = bodyStart(packet, 0) + 2 + 'telemetry/d'.length + 2
  let good = 0
  for (let i = 0; i < 50_000; i++) {
    const bytes = Buffer.concat([packet.subarray(0, start), mutate(packet.subarray(start), random)])
    const payload = properties.read(bytes, start, bytes.length)
    assert.ok(payload <= bytes.length, bytes.toString('hex'))
    if (payload < 0) continue
    good++
    assert.equal(properties.forwarded(bytes).length, properties.forwardedLength)
    assert.ok(properties.forwardedLength <= payload - start && properties.typeEnd <= payload, bytes.toString('hex'))
  }
  assert.ok(good > 200, `${good} good`)
})

test('connections that send nonsense of both versions leave nothing behind', async (t) => {
  const { port, broker } = await startBroker(t, { limits: { receiveMaximum: 20, retainedMessages: 100 } })
  const random = seeded(7)
  const whole = (version: 4 | 5) => samples.slice(1).map((packet) => encode(packet, version))
  const streams = { 4: whole(4), 5: whole(5) }
  const nonsense = async (version: 4 | 5) => {
    const [connect = Buffer.alloc(0), ...packets] = streams[version]
    const client = new RawClient(t, port)
    client.discards = true
    const picked = Array.from({ length: 6 }, () => packets[Math.floor(random() * packets.length)] ?? connect)
    const at = Math.floor(random() * 6)
    client.send(random() < 0.1 ? mutate(connect, random) : connect)
    client.send(...picked.map((packet, i) => (i >= at ? mutate(packet, random) : packet)))
    client.socket.end()
    await bounded(client.closed, () => 'the end of a connection')
  }
  for (let i = 0; i < 40; i++) await Promise.all(Array.from({ length: 25 }, (_, k) => nonsense(k % 2 === 0 ? 4 : 5)))
  await until(() => broker.status().connections === 0)
  const { sessions, subscriptions, unacknowledged, retained, refused } = broker.status()
  assert.deepEqual([sessions, subscriptions, unacknowledged], [0, 0, 0])
  assert.ok(retained <= 100, `${retained} retained`)
  assert.ok((refused.malformed ?? 0) > 100 && (refused.protocol ?? 0) > 10, JSON.stringify(refused))
  await (await RawClient.open(t, port)).ping()
})
