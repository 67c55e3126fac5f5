import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Acknowledged, Acknowledgements, PUBACK } from '../../gateway/broker/acknowledgements.ts'
import { isLoopback, parseAddress, plainAddress } from '../../gateway/broker/address.ts'
import { packetLength } from '../../gateway/broker/framing.ts'
import { OutgoingQueue } from '../../gateway/broker/outgoing.ts'
import { NO_PROPERTIES } from '../../gateway/broker/publication.ts'
import { RareLog } from '../../gateway/broker/rare-log.ts'
import { FakeClock } from '../support/clock.ts'
import { ack, packet } from './raw-client.ts'
import { TestLog } from './support.ts'

test('the length of a packet is known as soon as its header is', () => {
  for (const size of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const bytes = packet(0x30, Buffer.alloc(size))
    const header = bytes.length - size
    for (let end = 1; end < header; end++) assert.equal(packetLength(bytes, 0, end), 0)
    assert.equal(packetLength(bytes, 0, header), bytes.length)
  }
  assert.equal(packetLength(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]), 0, 5), -1)
})

class Peer implements Acknowledged {
  unacknowledged = 0
  acks: Buffer | null = null
  ackLength = 0
  open = true
  writes: Buffer[] = []

  write(bytes: Uint8Array): void {
    this.writes.push(Buffer.from(bytes))
  }

  received(): void {}
}

test('acknowledgements keep each connection’s order over random commits, one write per connection and commit', () => {
  const queue = new Acknowledgements<Peer>()
  const peers = Array.from({ length: 7 }, () => new Peer())
  const sent = peers.map(() => [] as number[])
  let entry = 0
  let durable = 0
  let state = 3
  for (let round = 0; round < 300; round++) {
    for (let i = 0; i < 40; i++) {
      state = (state * 75 + 74) % 65_537
      const at = state % peers.length
      const id = (sent[at] as number[]).length + 1
      queue.add(peers[at] as Peer, PUBACK, id, state % 5 === 0 ? 0 : ++entry)
      sent[at]?.push(id)
    }
    const before = peers.map(({ writes }) => writes.length)
    durable = Math.min(entry, durable + (state % 70))
    queue.commit(durable, () => {})
    for (const [i, peer] of peers.entries()) assert.ok(peer.writes.length - (before[i] ?? 0) <= 1)
  }
  queue.commit(entry, () => {})
  assert.equal(queue.length, 0)
  for (const [i, peer] of peers.entries()) {
    assert.deepEqual(Buffer.concat(peer.writes), Buffer.concat((sent[i] ?? []).map((id) => ack(PUBACK, id))))
    assert.equal(peer.unacknowledged, 0)
  }
})

test('what goes to a session is in order, sent again under its id, and the oldest goes first', () => {
  const queue = new OutgoingQueue()
  const push = (topic: string, qos: 1 | 2 = 1) =>
    queue.push({
      publication: {
        topic,
        payload: Buffer.alloc(10),
        qos,
        retain: false,
        properties: NO_PROPERTIES,
        expires: Infinity,
        clientId: undefined,
      },
      qos,
      retain: false,
      identifiers: [],
    })
  for (const topic of ['a', 'b', 'c', 'd']) push(topic, 2)
  assert.deepEqual([queue.next(2)?.id, queue.next(2)?.id, queue.next(2)], [1, 2, undefined])
  assert.equal(queue.release(1)?.publication.topic, 'a')
  assert.equal(queue.release(3), undefined)
  queue.rewind()
  const again = [queue.next(10), queue.next(10), queue.next(10)]
  assert.deepEqual(
    again.map((each) => [each?.id, each?.sent, each?.released]),
    [
      [1, true, true],
      [2, true, false],
      [3, false, false],
    ],
  )
  assert.equal(queue.settle(2)?.publication.topic, 'b')
  assert.equal(queue.settle(2), undefined)
  queue.rewind()
  assert.equal(queue.dropOldest()?.publication.topic, 'c')
  assert.deepEqual(
    [...queue.all()].map(({ publication }) => publication.topic),
    ['a', 'd'],
  )
  for (let i = 0; i < 65_533; i++) assert.ok(push('e'))
  assert.equal(push('one too many'), null)
})

test('addresses are read in all their forms', () => {
  assert.deepEqual(parseAddress('127.0.0.1:1883'), { host: '127.0.0.1', port: 1883 })
  assert.deepEqual(parseAddress('[::1]:0'), { host: '::1', port: 0 })
  assert.deepEqual(parseAddress(':1883'), { host: '0.0.0.0', port: 1883 })
  assert.deepEqual(parseAddress('1883'), { host: '0.0.0.0', port: 1883 })
  for (const bad of ['', 'host', '::1:1883', 'a:b', '1.2.3.4:70000', '1.2.3.4:-1'])
    assert.throws(() => parseAddress(bad), bad)
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org', '128.0.0.1']) assert.ok(!isLoopback(host), host)
  assert.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1')
  assert.equal(plainAddress('::1'), '::1')
})

test('a thing is logged at once, then at a falling rate with its count', async () => {
  const clock = new FakeClock()
  const log = new TestLog()
  const rare = new RareLog(clock, log)
  for (let minute = 0; minute < 60; minute++) {
    for (let i = 0; i < 10; i++) rare.warn('key', {}, 'again')
    await clock.advance(60_000)
  }
  assert.deepEqual(
    log.lines.map(({ fields }) => fields.times ?? 1),
    [1, 10, 50, 150],
  )
})
