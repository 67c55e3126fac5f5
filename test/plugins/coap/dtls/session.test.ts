import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDtlsClient } from '../../../../plugins/coap/dtls/client.ts'
import { ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, plainRecord, TLS12_CID } from '../../../../plugins/coap/dtls/record.ts'
import { SUITES } from '../../../../plugins/coap/dtls/suite.ts'
import type { Peer } from '../../../../plugins/coap/transport.ts'
import { createRandom } from '../network.ts'
import { KEY, type Setup, setup, through } from './setup.ts'

const credentials = { identity: 'sensor-1', key: KEY }

async function connected(s: Setup, address = 'device', more: object = {}) {
  const c = s.client(address)
  const peer = await s.settled(c.client.connect(c.server, { ...credentials, ...more }))
  return { ...c, peer }
}

/** Changes the last byte: of the tag. */
function spoil(data: Buffer): void {
  data[data.length - 1] = (data[data.length - 1] as number) ^ 1
}

async function say(s: Setup, text: string, from: { client: { send(d: Buffer, p: Peer): void }; peer: Peer }) {
  from.client.send(Buffer.from(text), from.peer)
  await s.network.run()
}

for (const suite of SUITES)
  for (const connectionId of [true, false])
    test(`carries datagrams both ways with ${suite.name} ${connectionId ? 'and' : 'without'} Connection IDs`, async () => {
      const s = setup()
      const device = await connected(s, 'device', { suites: [suite.id], connectionId })
      await say(s, 'hello', device)
      const { data, peer } = s.heard[0] as (typeof s.heard)[0]
      assert.equal(data, 'hello')
      assert.equal(peer.identity, 'sensor-1')
      assert.ok(peer.secure)
      s.server.send(Buffer.from('and to you'), peer)
      await s.network.run()
      assert.deepEqual(device.heard, ['and to you'])
      assert.ok(s.network.sent.every((d) => !d.data.includes('hello') && !d.data.includes('and to you')))
      assert.equal(
        s.network.sent.some((d) => d.data[0] === TLS12_CID),
        connectionId,
      )
    })

test('serves a client that has no extended master secret', async () => {
  const s = setup()
  await say(s, 'old', await connected(s, 'device', { extendedMasterSecret: false }))
  assert.equal(s.heard[0]?.data, 'old')
})

test('keeps nothing of a client that has not sent its cookie back', async () => {
  const s = setup()
  s.network.fate = ({ from }) => (from === 'gateway' ? 0 : 1)
  const { client, server } = s.client('device')
  const attempt = client.connect(server, credentials)
  await s.network.run()
  assert.equal(s.server.handshakes, 0)
  const sizes = s.network.sent.map((d) => d.data.length)
  assert.ok((sizes[1] as number) <= (sizes[0] as number), `${sizes}`)
  await assert.rejects(s.settled(attempt), /no answer/)
})

test('refuses a cookie that is forged, of another address, or old', async () => {
  const s = setup()
  const { client, server } = s.client('device')
  s.network.fate = ({ from }, nth) => (from === 'device' && nth > 0 ? 0 : 1)
  client.connect(server, credentials).catch(() => {})
  await s.network.run()
  const hello = s.network.sent.filter((d) => d.from === 'device')[1]?.data as Buffer
  s.network.fate = () => 1
  s.network.node('elsewhere').attach({ datagram() {}, gone() {}, moved() {} })
  s.network.inject('elsewhere', 'gateway', hello)
  const forged = Buffer.from(hello)
  const cookieAt = 13 + 12 + 2 + 32 + 1 + 1
  forged[cookieAt] = (forged[cookieAt] as number) ^ 1
  s.network.inject('device', 'gateway', forged)
  await s.network.run()
  assert.equal(s.server.handshakes, 0)
  await s.clock.advance(121_000)
  s.network.inject('device', 'gateway', hello)
  await s.network.run()
  assert.equal(s.server.handshakes, 0)
})

test('says that the key is wrong, in the same way as that the identity is unknown', async () => {
  for (const wrong of [
    { identity: 'sensor-1', key: Buffer.alloc(16) },
    { identity: 'nobody', key: KEY },
    { identity: 'nobody', key: Buffer.alloc(16) },
    { identity: 'nobody', key: Buffer.alloc(0) },
  ]) {
    const reasons: string[] = []
    const s = setup({ refused: (_peer, _identity, reason) => void reasons.push(reason) })
    const { client, server } = s.client('device')
    await assert.rejects(s.settled(client.connect(server, wrong)), /alert 51/)
    assert.deepEqual(reasons, ['unknown identity or wrong key'])
    assert.equal(s.server.sessions, 0)
    assert.equal(s.server.handshakes, 0)
  }
})

test('refuses a client with which it has no cipher suite in common', async () => {
  const s = setup()
  const { client, server } = s.client('device')
  const attempt = client.connect(server, { ...credentials, suites: [0x008c] })
  await assert.rejects(s.settled(attempt), /alert 40/)
})

test('completes the handshake whichever single datagram of it is lost', async () => {
  for (let lost = 0; lost < 6; lost++) {
    const s = setup()
    s.network.fate = (_datagram, nth) => (nth === lost ? 0 : 1)
    const device = await connected(s)
    await say(s, `after losing ${lost}`, device)
    assert.equal(s.heard.length, 1)
  }
})

test('completes handshakes with a third of all datagrams lost, doubled and out of order', async () => {
  const random = createRandom(6347)
  for (let i = 0; i < 10; i++) {
    const s = setup()
    s.network.fate = () => (random() < 0.33 ? 0 : random() < 0.3 ? 2 : 1)
    s.network.order = (all) =>
      all
        .map((d) => ({ d, at: random() }))
        .sort((a, b) => a.at - b.at)
        .map(({ d }) => d)
    const c = s.client('device')
    let peer: Peer | undefined
    while (!peer) peer = await s.settled(c.client.connect(c.server, credentials)).catch(() => undefined)
    s.network.fate = () => 1
    await say(s, 'through', { client: c.client, peer })
    assert.equal(s.heard[0]?.data, 'through')
  }
})

/** Cuts every handshake message of epoch 0 into fragments of a few bytes, each in a datagram of its own. */
function fragmented(size: number, order: (parts: Buffer[]) => Buffer[]) {
  let sequence = 0
  const record = (type: number, body: Buffer) => {
    const header = Buffer.from([type, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    header.writeUIntBE(sequence++, 5, 6)
    header.writeUInt16BE(body.length, 11)
    return Buffer.concat([header, body])
  }
  return (datagram: Buffer): Buffer[] => {
    const out: Buffer[] = []
    for (let at = 0; at < datagram.length; ) {
      const end = at + 13 + datagram.readUInt16BE(at + 11)
      const body = datagram.subarray(at + 13, end)
      const isPlain = datagram.readUInt16BE(at + 3) === 0
      if (isPlain && datagram[at] === HANDSHAKE) {
        const parts: Buffer[] = []
        for (let from = 0; from < body.length - 12; from += size) {
          const part = body.subarray(12 + from, 12 + from + size)
          const head = Buffer.from(body.subarray(0, 12))
          head.writeUIntBE(from, 6, 3)
          head.writeUIntBE(part.length, 9, 3)
          parts.push(record(HANDSHAKE, Buffer.concat([head, part])))
        }
        out.push(...order(parts))
      } else out.push(isPlain ? record(datagram[at] as number, body) : Buffer.from(datagram.subarray(at, end)))
      at = end
    }
    return out
  }
}

test('puts handshake messages together from fragments in any order', async () => {
  const orders: ((parts: Buffer[]) => Buffer[])[] = [
    (parts) => parts,
    (parts) => [...parts].reverse(),
    (parts) => [...parts, ...parts],
  ]
  for (const order of orders) {
    const s = setup()
    const node = s.network.node('device')
    // Its first fragment must hold the cookie: nothing can be kept before that.
    const way = through(node, 'gateway', fragmented(64, order))
    const client = createDtlsClient({ clock: s.clock, lower: way.lower })
    client.attach({ datagram() {}, gone() {}, moved() {} })
    const peer = await s.settled(client.connect(way.peer, credentials))
    await say(s, 'in pieces', { client, peer })
    assert.equal(s.heard[0]?.data, 'in pieces')
  }
})

/** Datagrams divided into their records. */
function records(datagram: Buffer): Buffer[] {
  const out: Buffer[] = []
  for (let at = 0; at < datagram.length; ) {
    const end = at + 13 + datagram.readUInt16BE(at + 11)
    out.push(Buffer.from(datagram.subarray(at, end)))
    at = end
  }
  return out
}

test('keeps a Finished that overtakes the key exchange', async () => {
  const s = setup({ connectionId: false })
  const node = s.network.node('device')
  const way = through(node, 'gateway', (data) => records(data).reverse())
  const client = createDtlsClient({ clock: s.clock, lower: way.lower })
  client.attach({ datagram() {}, gone() {}, moved() {} })
  await s.settled(client.connect(way.peer, { ...credentials, connectionId: false }))
  assert.equal(s.clock.monotonic(), 0, 'nothing had to be sent again')
})

test('notices that somebody took the better suite out of the hello', async () => {
  const s = setup()
  const node = s.network.node('device')
  const worse = (data: Buffer) => {
    const at = data.indexOf(Buffer.from([0xc0, 0xa4, 0xc0, 0xa8]))
    if (at >= 0) data[at + 1] = 0xa9
    return [data]
  }
  const way = through(node, 'gateway', worse)
  const client = createDtlsClient({ clock: s.clock, lower: way.lower })
  client.attach({ datagram() {}, gone() {}, moved() {} })
  // Without the extended master secret, as that notices it before Finished does.
  const attempt = client.connect(way.peer, {
    ...credentials,
    suites: [0xc0a4, 0xc0a8],
    extendedMasterSecret: false,
  })
  await assert.rejects(s.settled(attempt), /alert 51/)
  assert.equal(s.server.sessions, 0)
})

test('takes each record once, in any order, and none that was changed', async () => {
  const s = setup()
  const device = await connected(s)
  const before = s.network.sent.length
  s.network.fate = () => 0
  for (let i = 0; i < 100; i++) device.client.send(Buffer.from(`${i}`), device.peer)
  const records = s.network.sent.slice(before).map((d) => d.data)
  s.network.fate = () => 1
  const deliver = async (i: number, change?: (data: Buffer) => void) => {
    const data = Buffer.from(records[i] as Buffer)
    change?.(data)
    s.network.inject('device', 'gateway', data)
    await s.network.run()
  }
  await deliver(50)
  await deliver(50)
  await deliver(20)
  await deliver(49)
  await deliver(49)
  await deliver(0, spoil)
  await deliver(99)
  await deliver(36)
  await deliver(35)
  await deliver(34)
  assert.deepEqual(
    s.heard.map((h) => h.data),
    ['50', '20', '49', '99', '36'],
  )
  assert.equal(s.counts.get('dtls_replays'), 4)
  await deliver(98, spoil)
  assert.equal(s.counts.get('dtls_bad_records'), 2)
})

test('finds a session by its Connection ID when the device has another address, and answers there', async () => {
  const s = setup()
  const device = await connected(s)
  await say(s, 'from home', device)
  const before = s.network.sent.length
  s.network.fate = () => 0
  device.client.send(Buffer.from('older'), device.peer)
  device.client.send(Buffer.from('from afar'), device.peer)
  const [older, newer] = s.network.sent.slice(before).map((d) => d.data) as [Buffer, Buffer]
  s.network.fate = () => 1
  const arrived: Buffer[] = []
  const collect = { datagram: (data: Buffer) => void arrived.push(data), gone() {}, moved() {} }
  s.network.node('afar').attach(collect)
  s.network.inject('afar', 'gateway', newer)
  await s.network.run()
  assert.equal(s.heard[1]?.data, 'from afar')
  assert.equal(s.heard[1]?.peer, s.heard[0]?.peer)
  assert.equal(s.moved.length, 1)
  // One that is not the newest does not move it back.
  s.network.inject('device', 'gateway', older)
  await s.network.run()
  assert.equal(s.heard[2]?.data, 'older')
  assert.equal(s.moved.length, 1)
  s.server.send(Buffer.from('found you'), s.heard[0]?.peer as Peer)
  await s.network.run()
  assert.equal(arrived.length, 1)
  assert.equal(s.server.sessions, 1)
})

test('does not move a session for a record that is not authentic or was seen before', async () => {
  const s = setup()
  const device = await connected(s)
  await say(s, 'once', device)
  const record = Buffer.from(s.network.sent.at(-1)?.data as Buffer)
  s.network.node('afar').attach({ datagram() {}, gone() {}, moved() {} })
  s.network.inject('afar', 'gateway', record)
  spoil(record)
  record.writeUIntBE(1000, 5, 6)
  s.network.inject('afar', 'gateway', record)
  await s.network.run()
  assert.equal(s.moved.length, 0)
})

test('without a Connection ID a record from another address is nobody’s', async () => {
  const s = setup({ connectionId: false })
  const device = await connected(s)
  await say(s, 'here', device)
  s.network.fate = () => 0
  device.client.send(Buffer.from('there'), device.peer)
  const record = s.network.sent.at(-1)?.data as Buffer
  s.network.fate = () => 1
  s.network.inject('afar', 'gateway', record)
  await s.network.run()
  assert.equal(s.heard.length, 1)
})

test('leaves a session alone until another handshake from its address is complete', async () => {
  const s = setup()
  const device = await connected(s, 'device', { connectionId: false })
  const other = createDtlsClient({ clock: s.clock, lower: device.node })
  const lost = other.connect(device.server, { identity: 'sensor-1', key: Buffer.alloc(16), connectionId: false })
  await assert.rejects(s.settled(lost))
  assert.equal(s.server.sessions, 1)
  await say(s, 'still here', device)
  assert.equal(s.heard.length, 1)
  other.attach({ datagram() {}, gone() {}, moved() {} })
  await s.settled(other.connect(device.server, { ...credentials, connectionId: false }))
  assert.equal(s.server.sessions, 1)
  assert.equal(s.gone.length, 1)
})

test('ends a session on close_notify, and answers with one', async () => {
  const s = setup()
  const device = await connected(s)
  await say(s, 'a record', device)
  const record = s.network.sent.at(-1)?.data as Buffer
  await device.client.close()
  await s.network.run()
  assert.equal(s.server.sessions, 0)
  assert.equal(s.gone.length, 1)
  s.network.inject('device', 'gateway', record)
  await s.network.run()
  assert.equal(s.counts.get('dtls_dropped'), 1, 'its Connection ID is nobody’s')
})

test('ends the session not heard of for longest when there are too many', async () => {
  const s = setup({ maxSessions: 3 })
  const devices = []
  for (let i = 0; i < 3; i++) devices.push(await connected(s, `device-${i}`))
  await say(s, 'I am here', devices[0] as (typeof devices)[0])
  await connected(s, 'device-3')
  assert.equal(s.server.sessions, 3)
  assert.deepEqual(
    devices.map((d) => d.gone.length),
    [0, 1, 0],
  )
})

test('holds a bounded number of handshakes, and none for longer than a minute or so', async () => {
  const s = setup({ maxHandshakes: 5 })
  s.network.fate = ({ from }, nth) => (from === 'gateway' && nth >= 0 && s.network.sent.at(-1)?.data[13] !== 3 ? 0 : 1)
  for (let i = 0; i < 20; i++) {
    const { client, server } = s.client(`device-${i}`)
    client.connect(server, credentials).catch(() => {})
    await s.network.run()
  }
  assert.equal(s.server.handshakes, 5)
  await s.clock.advance(70_000)
  assert.equal(s.server.handshakes, 0)
})

test('repeats nothing to an address in whose name somebody else sends the end of a hello', async () => {
  const s = setup()
  // The client hears of the cookie, and of nothing after it.
  s.network.fate = ({ from, data }) => (from === 'gateway' && data[13] !== 3 ? 0 : 1)
  const { client, server } = s.client('device')
  client.connect(server, credentials).catch(() => {})
  await s.network.run()
  assert.equal(s.server.handshakes, 1)
  const hello = s.network.sent.findLast(({ from }) => from === 'device')?.data as Buffer
  const length = hello.readUIntBE(14, 3)
  const end = plainRecord(
    HANDSHAKE,
    0xfefd,
    9,
    Buffer.concat([hello.subarray(13, 19), uint24(length - 4), uint24(4), Buffer.alloc(4)]),
  )
  const before = s.network.sent.length
  s.network.inject('device', 'gateway', end)
  await s.network.run()
  assert.equal(s.network.sent.length, before + 1)
  s.network.inject('device', 'gateway', hello)
  await s.network.run()
  assert.equal(s.network.sent.length, before + 3, 'its own hello again is answered again')
})

function uint24(value: number): Buffer {
  const bytes = Buffer.alloc(3)
  bytes.writeUIntBE(value, 0, 3)
  return bytes
}

test('ends the sessions of identities whose keys no longer hold', async () => {
  const s = setup()
  const one = await connected(s, 'device-1')
  const two = await connected(s, 'device-2', { identity: 'sensor-2' })
  s.server.endSessions((identity) => identity === 'sensor-2')
  await s.network.run()
  assert.deepEqual([one.gone.length, two.gone.length], [1, 0])
})

test('ignores epochs that cannot be, and alerts and ChangeCipherSpec out of nowhere', async () => {
  const s = setup()
  const device = await connected(s)
  const record = (type: number, epoch: number, body: number[]) =>
    Buffer.from([type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 50, 0, body.length, ...body])
  for (const data of [
    record(ALERT, 0, [2, 0]),
    record(ALERT, 1, [2, 0]),
    record(ALERT, 2, [2, 0]),
    record(CHANGE_CIPHER_SPEC, 0, [1]),
    record(23, 0, [1, 2, 3]),
  ])
    s.network.inject('device', 'gateway', data)
  await s.network.run()
  await say(s, 'unmoved', device)
  assert.equal(s.heard.length, 1)
  assert.equal(s.server.sessions, 1)
})
