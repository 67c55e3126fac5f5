// Datagrams changed at random, always the same ones: 2,000 in `npm test`, as many as SLUICE_FUZZ says otherwise.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { blockOption } from '../../../plugins/coap/block.ts'
import { CON, decode, encode, NON } from '../../../plugins/coap/codec.ts'
import { CHANGED, CONTENT, GET, POST } from '../../../plugins/coap/codes.ts'
import { createDtlsClient } from '../../../plugins/coap/dtls/client.ts'
import { createDtlsServer } from '../../../plugins/coap/dtls/server.ts'
import { BLOCK1, BLOCK2, OBSERVE, uintOption, uriOptions } from '../../../plugins/coap/options.ts'
import { createServer } from '../../../plugins/coap/server.ts'
import type { DatagramReceiver, DatagramTransport } from '../../../plugins/coap/transport.ts'
import { FakeClock } from '../../support/clock.ts'
import { through } from './dtls/setup.ts'
import { createNetwork, createRandom, type Network } from './network.ts'

const ROUNDS = Number(process.env.SLUICE_FUZZ ?? 2000)
const KEY = Buffer.alloc(16, 7)

/** Changes bits, bytes and length. */
function mutate(data: Buffer, random: () => number): Buffer {
  let bytes = Buffer.from(data)
  const at = () => Math.floor(random() * bytes.length)
  for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
    const kind = random()
    if (bytes.length === 0 || kind < 0.15) bytes = Buffer.concat([bytes, Buffer.from([random() * 256])])
    else if (kind < 0.5) bytes[at()] = Math.floor(random() * 256)
    else if (kind < 0.75) bytes[at()] = (bytes[at()] as number) ^ (1 << Math.floor(random() * 8))
    else if (kind < 0.9) bytes = bytes.subarray(0, at())
    else bytes = Buffer.concat([bytes, bytes.subarray(at())])
  }
  return bytes.subarray(0, 2000)
}

/** No reply larger than three times the datagram it answers. Returns the largest ratio seen. */
async function ratio(network: Network, from: string, data: Buffer): Promise<number> {
  const before = network.sent.length + 1
  network.inject(from, 'gateway', data)
  await network.run()
  const replies = network.sent.slice(before).filter((d) => d.from === 'gateway')
  return Math.max(0, ...replies.map((d) => d.data.length / Math.max(1, data.length)))
}

test(`${ROUNDS} changed CoAP datagrams do no harm and are not amplified`, async () => {
  const random = createRandom(7252)
  const clock = new FakeClock()
  const network = createNetwork()
  const failures: unknown[] = []
  const server = createServer({
    clock,
    limits: { maxTotal: 100_000 },
    parameters: { maxPeers: 200, maxExchanges: 1000 },
    failed: (error) => void failures.push(error),
    resources: [
      {
        path: 'telemetry/{device}',
        post: (_request, respond) => respond({ code: CHANGED }),
        get: (_request, respond) => respond({ code: CONTENT, payload: Buffer.alloc(3000, 'x') }),
        observed() {},
      },
      {
        path: 'big',
        get: (_request, respond) => respond({ code: CONTENT, payload: Buffer.alloc(3000, 'x') }),
        attributes: {},
      },
    ],
  })
  server.endpoint.attach(network.node('gateway'))
  const token = Buffer.from('token')
  const path = uriOptions('telemetry/dvc3001', ['a=b'])
  const seeds = [
    encode(CON, POST, 1, token, [...path, uintOption(12, 50)], Buffer.from('{"a":1}')),
    encode(NON, POST, 2, token, path, Buffer.from('{"a":1}')),
    encode(CON, GET, 3, token, [...uriOptions('big'), blockOption(BLOCK2, { num: 1, more: false, szx: 6 })]),
    encode(CON, POST, 4, token, [...path, blockOption(BLOCK1, { num: 0, more: true, szx: 2 })], Buffer.alloc(64)),
    encode(CON, GET, 5, token, [...path, uintOption(OBSERVE, 0)]),
    encode(CON, GET, 6, token, uriOptions('.well-known/core')),
    encode(CON, GET, 7, Buffer.alloc(0), uriOptions('big')),
    encode(CON, 0, 8),
  ]
  for (let i = 0; i < ROUNDS; i++) {
    const data = mutate(seeds[i % seeds.length] as Buffer, random)
    const decoded = decode(data)
    if (typeof decoded !== 'string') {
      const { type, code, id, token: t, options, payload } = decoded
      const again = decode(encode(type, code, id, t, options, payload))
      assert.deepEqual(again, decoded)
    }
    // A new address each time: none is ever proved.
    const worst = await ratio(network, `device-${i}`, data)
    assert.ok(worst <= 3, `${worst} times: ${data.toString('hex')}`)
  }
  assert.deepEqual(failures, [])
  assert.ok(server.transferBytes <= 200_000, String(server.transferBytes))
  await clock.advance(100_000)
  assert.equal(server.observers, 0)
  server.close()
})

test(`${ROUNDS} changed handshake datagrams do no harm and are not amplified`, async () => {
  const random = createRandom(6347)
  const flights = await recordFlights()
  const clock = new FakeClock()
  const network = createNetwork()
  const heard: string[] = []
  const server = createDtlsServer({
    clock,
    lower: network.node('gateway'),
    keyOf: () => KEY,
    maxHandshakes: 50,
    maxSessions: 50,
  })
  server.attach({ datagram: (data) => void heard.push(data.toString()), gone() {}, moved() {} })
  for (let i = 0; i < ROUNDS; i++) {
    const data = mutate(flights[i % flights.length] as Buffer, random)
    const worst = await ratio(network, `device-${i}`, data)
    assert.ok(worst <= 3, `${worst} times: ${data.toString('hex')}`)
  }
  assert.equal(server.handshakes, 0)
  assert.deepEqual(heard, [])
  await server.close()
})

test('handshakes whose datagrams are changed on the way come to nothing or to a sound session', async () => {
  const random = createRandom(9146)
  for (let i = 0; i < Math.max(20, ROUNDS / 50); i++) {
    const clock = new FakeClock()
    const network = createNetwork()
    const heard: string[] = []
    const server = createDtlsServer({ clock, lower: network.node('gateway'), keyOf: () => KEY })
    server.attach({ datagram: (data) => void heard.push(data.toString()), gone() {}, moved() {} })
    const node = network.node('device')
    const way = through(node, 'gateway', (data) => [random() < 0.3 ? mutate(data, random) : data])
    const client = createDtlsClient({ clock, lower: way.lower })
    client.attach({ datagram() {}, gone() {}, moved() {} })
    const attempt = client.connect(way.peer, { identity: 'x', key: KEY }).catch(() => undefined)
    let over = false
    attempt.then(() => {
      over = true
    })
    for (let n = 0; n < 100 && !over; n++) {
      await network.run()
      if (!over) await clock.advance(1000)
    }
    const peer = await attempt
    if (peer) client.send(Buffer.from('sound'), peer)
    await network.run()
    assert.ok(heard.every((text) => text === 'sound'))
    await server.close()
    assert.equal(server.handshakes + server.sessions, 0)
  }
})

/** The client's datagrams of a handshake and of a session. */
async function recordFlights(): Promise<Buffer[]> {
  const network = createNetwork()
  const clock = new FakeClock()
  const server = createDtlsServer({ clock, lower: network.node('gateway'), keyOf: () => KEY })
  server.attach({ datagram() {}, gone() {}, moved() {} })
  const node = network.node('device')
  const client = createDtlsClient({ clock, lower: node })
  client.attach({ datagram() {}, gone() {}, moved() {} })
  const connecting = client.connect(node.peer('gateway'), { identity: 'x', key: KEY })
  await network.run()
  client.send(Buffer.from('hello'), await connecting)
  await network.run()
  return network.sent.filter((d) => d.from === 'device').map((d) => d.data)
}

test(`${3 * ROUNDS} changed datagrams of as many addresses leave no memory behind`, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const random = createRandom(4242)
  const clock = new FakeClock()
  const limits = { maxPeers: 200, maxExchanges: 1000 }
  const post = (_request: unknown, respond: (response: { code: number }) => void) => respond({ code: CHANGED })
  const server = createServer({ clock, parameters: limits, resources: [{ path: 'telemetry/{device}', post }] })
  const [plain, lower] = [hole(), hole()]
  server.endpoint.attach(plain)
  const dtls = createDtlsServer({ clock, lower, keyOf: () => KEY, maxHandshakes: 50, maxSessions: 50 })
  server.endpoint.attach(dtls)
  const seed = encode(CON, POST, 1, Buffer.from('token'), uriOptions('telemetry/dvc3001'), Buffer.from('{"a":1}'))
  const flights = await recordFlights()
  const feed = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      plain.hear(mutate(seed, random), `device-${i}`)
      lower.hear(mutate(flights[i % flights.length] as Buffer, random), `device-${i}`)
    }
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = feed(0, ROUNDS)
  const grown = feed(ROUNDS, 3 * ROUNDS) - before
  assert.ok(grown < 2_000_000, `${grown} bytes more`)
  server.close()
  await dtls.close()
})

/** A transport whose replies go nowhere. */
function hole() {
  let receiver: DatagramReceiver | undefined
  const transport: DatagramTransport = {
    port: 0,
    attach: (to) => {
      receiver = to
    },
    send() {},
    close: async () => {},
  }
  return {
    ...transport,
    hear: (data: Buffer, address: string) =>
      receiver?.datagram(data, { key: address, address, port: 1, secure: false, identity: undefined, transport }),
  }
}
