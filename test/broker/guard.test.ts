import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Acknowledging } from '../../gateway/broker/acknowledging.ts'
import type { Connection, Wire } from '../../gateway/broker/connection.ts'
import { Counters } from '../../gateway/broker/counters.ts'
import { Delivery } from '../../gateway/broker/delivery.ts'
import { FanOut } from '../../gateway/broker/fan-out.ts'
import { Guard } from '../../gateway/broker/guard.ts'
import { Lane } from '../../gateway/broker/lane.ts'
import { DEFAULT_LIMITS } from '../../gateway/broker/options.ts'
import type { Connect } from '../../gateway/broker/packets/connect.ts'
import { RareLog } from '../../gateway/broker/rare-log.ts'
import { Retained } from '../../gateway/broker/retained.ts'
import { Room } from '../../gateway/broker/room.ts'
import { Session, type Subscriber } from '../../gateway/broker/session.ts'
import { FORGETFUL } from '../../gateway/broker/session-store.ts'
import { Subscriptions } from '../../gateway/broker/subscriptions.ts'
import { Writes } from '../../gateway/broker/writes.ts'
import { FakeClock } from '../support/clock.ts'
import { connectPacket, PINGREQ, packet, publishPacket, text } from './raw-client.ts'
import { FakeIntake, TestLog } from './support.ts'

/** Guard and lane without sockets and without sessions. */
function setUp() {
  const clock = new FakeClock()
  const counters = new Counters()
  const intake = new FakeIntake()
  const connects: Connect[] = []
  const subscriptions = new Subscriptions()
  const writes = new Writes<Subscriber>(DEFAULT_LIMITS)
  const slow = () => {}
  const store = FORGETFUL
  const parts = { clock, counters, limits: DEFAULT_LIMITS, subscriptions, writes, store, slow }
  const guard: Guard<string> = new Guard({
    ...parts,
    rareLog: new RareLog(clock, new TestLog()),
    lane: () => lane,
    connect: (connection, connect) => {
      connects.push(connect)
      connection.session = new Session(connect.client)
    },
    packet: () => true,
    disconnect: () => {},
    closed: () => {},
  })
  const retained = new Retained(DEFAULT_LIMITS, counters, clock)
  const delivery = new Delivery({ ...parts, stalled: () => {} })
  const room = new Room<string>({ ...parts, intake, host: guard })
  const acknowledging = new Acknowledging<string>({ ...parts, intake, host: guard, noRoom: () => {} })
  const lane: Lane<string> = new Lane({
    ...parts,
    intake,
    acknowledging,
    room,
    fanOut: new FanOut({ ...parts, retained, delivery }),
    aliases: 0,
    authorizePublish: () => true,
    denied: () => {},
    broken: () => {},
  })
  return { clock, guard, intake, connects, counters }
}

class FakeWire implements Wire {
  queued = 0
  drained = null
  paused = false
  destroyed = false
  written: Buffer[] = []

  write(bytes: Uint8Array): void {
    this.written.push(Buffer.from(bytes))
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  end(): void {}

  destroy(): void {
    this.destroyed = true
  }
}

function open(guard: Guard<string>): { wire: FakeWire; connection: Connection<string> } {
  const wire = new FakeWire()
  const arrival = { address: '192.0.2.1', certificateUser: undefined, mayBeAnonymous: true }
  return { wire, connection: guard.open(wire, arrival) }
}

test('nothing is read behind a CONNECT until the client is accepted', () => {
  const { guard, connects, intake } = setUp()
  const { wire, connection } = open(guard)
  const behind = publishPacket('telemetry/d', 'x')
  guard.data(connection, Buffer.concat([connectPacket({ client: 'c', keepalive: 60 }), behind]))
  assert.deepEqual([connects[0]?.client, connects[0]?.keepalive], ['c', 60])
  assert.equal(wire.paused, true)
  assert.equal(intake.taken.length, 0)
  guard.ready(connection)
  assert.equal(wire.paused, false)
  assert.equal(intake.taken.length, 1)
})

test('however the stream is cut and the intake blocks, every message comes once and in order', () => {
  let state = 11
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let round = 0; round < 60; round++) {
    const { guard, intake } = setUp()
    const { wire, connection } = open(guard)
    guard.data(connection, connectPacket())
    guard.ready(connection)
    const payloads = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(random(400), '.'))
    const stream = Buffer.concat(
      payloads.flatMap((payload, i) => [
        publishPacket(`telemetry/d${i % 3}`, payload, { qos: i % 2, id: i + 1 }),
        ...(i % 7 === 0 ? [PINGREQ] : []),
      ]),
    )
    for (let at = 0; at < stream.length; ) {
      const end = Math.min(stream.length, at + 1 + random([3, 100, 3000][round % 3] ?? 3))
      guard.data(connection, stream.subarray(at, end))
      at = end
      if (random(4) === 0) intake.full = true
      if (random(4) === 0) {
        // Room for a few only.
        intake.makeRoom()
        intake.full = random(2) === 0
      }
    }
    intake.makeRoom()
    assert.deepEqual(
      intake.taken.map(({ payload }) => payload),
      payloads,
    )
    assert.equal(wire.paused, false)
    const acknowledged = Buffer.concat(wire.written)
    assert.equal(acknowledged.length, 30 * 4 + 9 * 2)
  }
})

test('a message is taken between two blockings even when there is room for one at a time', () => {
  const { guard, intake } = setUp()
  const { connection } = open(guard)
  guard.data(connection, connectPacket())
  guard.ready(connection)
  const take = intake.take.bind(intake)
  intake.take = (...parameters) => {
    const entry = take(...parameters)
    if (entry >= 0) intake.full = true
    return entry
  }
  intake.full = true
  for (let i = 0; i < 9; i += 3)
    guard.data(connection, Buffer.concat([i, i + 1, i + 2].map((n) => publishPacket('telemetry/d', `${n}`))))
  for (let i = 0; i < 9; i++) {
    assert.equal(intake.taken.length, i)
    intake.makeRoom()
  }
  assert.equal(intake.taken.map(({ payload }) => payload).join(''), '012345678')
})

test('a packet that is claimed and not sent costs no memory', () => {
  const { guard } = setUp()
  const { connection } = open(guard)
  guard.data(connection, connectPacket())
  guard.ready(connection)
  guard.data(connection, publishPacket('telemetry/d', 'x'.repeat(1_000_000)).subarray(0, 100))
  assert.ok((connection.carry?.length ?? 0) <= 4096)
})

test('a closing connection that takes nothing is cut off after five seconds', async () => {
  const { guard, clock } = setUp()
  const { wire, connection } = open(guard)
  guard.data(connection, packet(0x10, text('MQTT'), Buffer.from([9, 2, 0, 0]), text('a')))
  guard.sweep()
  assert.equal(wire.destroyed, false)
  await clock.advance(5_001)
  guard.sweep()
  assert.equal(wire.destroyed, true)
})

test('who comes after the turn has to queue, and is read on in the next, in order', async () => {
  const { clock, guard, intake } = setUp()
  const flood = Buffer.concat(Array.from({ length: 30 }, () => publishPacket('telemetry/d', 'x'.repeat(200))))
  const peers = ['a', 'b', 'c'].map((client) => {
    const peer = open(guard)
    guard.data(peer.connection, connectPacket({ client }))
    guard.ready(peer.connection)
    return peer
  })
  const [a, b, c] = peers as [(typeof peers)[0], (typeof peers)[0], (typeof peers)[0]]
  guard.data(a.connection, flood)
  assert.equal(intake.taken.length, 30)
  clock.pass(10)
  guard.data(b.connection, flood)
  guard.data(a.connection, flood)
  assert.deepEqual([intake.taken.length, a.wire.paused, b.wire.paused], [30, true, true])
  // A sensor that has little to say is heard all the same.
  guard.data(c.connection, publishPacket('telemetry/c', '1'))
  assert.equal(intake.taken.at(-1)?.payload, '1')
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([intake.taken.length, a.wire.paused, b.wire.paused], [91, false, false])
})

test('one that leaves while it waits for its turn is heard to the end', async () => {
  const { clock, guard, intake } = setUp()
  const flood = Buffer.concat(Array.from({ length: 30 }, () => publishPacket('telemetry/d', 'x'.repeat(200))))
  const { connection } = open(guard)
  guard.data(connection, connectPacket())
  guard.ready(connection)
  guard.data(connection, flood)
  clock.pass(10)
  guard.data(connection, flood)
  assert.equal(intake.taken.length, 30)
  guard.hungUp(connection)
  guard.gone(connection)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(intake.taken.length, 60)
  assert.equal(guard.connections.size, 0)
})
