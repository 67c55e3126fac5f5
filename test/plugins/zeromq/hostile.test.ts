import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '../../support/clock.ts'
import { within } from '../contract.ts'
import { LOOPBACK, run, texts } from './oracle.ts'
import { commandBytes, greetingBytes, rawConnection, rawPeer, readyBytes } from './raw-peer.ts'

const MESSAGE = Buffer.from('\x01\x0ctelemetry/d1\x00\x011', 'latin1')

describe('zeromq and hostile peers', () => {
  const openings: readonly [string, Buffer][] = [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['ZMTP 2', Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 8])],
    ['another mechanism', greetingBytes(1, 'CURVE')],
    ['a message before the handshake', Buffer.concat([greetingBytes(), MESSAGE])],
    ['a handshake of another mechanism', Buffer.concat([greetingBytes(), commandBytes('\x05HELLO\x01a\x01b')])],
    ['a socket that does not fit', Buffer.concat([greetingBytes(), readyBytes('SUB')])],
    [
      'properties that are cut off',
      Buffer.concat([greetingBytes(), commandBytes('\x05READY\x0bSocket-Type\0\0\0\x7fPUSH')]),
    ],
    ['flags that nobody defined', Buffer.concat([greetingBytes(), readyBytes('PUSH'), Buffer.from([8, 0])])],
    ['a PING that is cut off', Buffer.concat([greetingBytes(), readyBytes('PUSH'), commandBytes('\x04PING\0')])],
  ]
  for (const [name, bytes] of openings)
    it(`ends a connection that opens with ${name}, and serves others`, async (t) => {
      const running = await run(t, { pull: LOOPBACK })
      const bad = await rawConnection(t, running.port('pull'))
      bad.write(bytes)
      await within(5000, 'ending', bad.closed)
      const good = await rawPeer(t, running.port('pull'), 'PUSH')
      good.write(MESSAGE)
      await running.count(1)
      assert.deepEqual(texts(running.messages), [['telemetry/d1', '1']])
    })

  it('understands a connection that comes byte by byte', async (t) => {
    const running = await run(t, { pull: LOOPBACK })
    const peer = await rawConnection(t, running.port('pull'))
    const long = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 1, 44]), Buffer.alloc(300, 0x61)])
    for (const byte of Buffer.concat([greetingBytes(), readyBytes('PUSH'), MESSAGE, long, MESSAGE])) {
      peer.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await running.count(3)
    assert.deepEqual(texts(running.messages), [
      ['telemetry/d1', '1'],
      ['telemetry/zmq', 'a'.repeat(300)],
      ['telemetry/d1', '1'],
    ])
  })

  it('ends a greeting and a handshake that are not finished in time', async (t) => {
    const clock = new FakeClock()
    const running = await run(t, { pull: LOOPBACK, timeout: '5s' }, { context: { clock } })
    const silent = await rawConnection(t, running.port('pull'))
    const halfway = await rawConnection(t, running.port('pull'))
    halfway.write(greetingBytes())
    await halfway.received('READY')
    const patient = await rawPeer(t, running.port('pull'), 'PUSH')
    await clock.advance(4900)
    assert.ok(silent.open && halfway.open)
    await clock.advance(2000)
    await within(5000, 'ending', Promise.all([silent.closed, halfway.closed]))
    assert.equal(running.counts.get('closed_handshake_timeout'), 2)
    assert.ok(patient.open)
  })

  it('asks a silent peer whether it lives, and ends it when it does not answer', async (t) => {
    const clock = new FakeClock()
    const running = await run(t, { pull: LOOPBACK, heartbeat: '10s' }, { context: { clock } })
    const peer = await rawPeer(t, running.port('pull'), 'PUSH')
    const old = await rawPeer(t, running.port('pull'), 'PUSH', 0)
    await clock.advance(12_000)
    await within(5000, 'asking', peer.received('PING'))
    peer.write(commandBytes('\x04PONG'))
    await running.until('answering', () => true)
    await clock.advance(40_000)
    await within(5000, 'ending', peer.closed)
    assert.equal(running.counts.get('closed_silent'), 1)
    assert.ok(old.open, 'a peer of ZMTP 3.0 knows no PING')
  })

  it('ends a peer that falls silent for longer than it said it would', async (t) => {
    const clock = new FakeClock()
    const running = await run(t, { pull: LOOPBACK }, { context: { clock } })
    const peer = await rawPeer(t, running.port('pull'), 'PUSH')
    peer.write(commandBytes('\x04PING\x00\x1econtext'))
    await within(5000, 'answering', peer.received('\x04PONGcontext'))
    await clock.advance(2000)
    assert.ok(peer.open)
    await clock.advance(3000)
    await within(5000, 'ending', peer.closed)
  })

  it('refuses a frame longer than allowed at its header, and a message whose frames are', async (t) => {
    const running = await run(t, { pull: LOOPBACK, maxMessage: 1024 })
    const one = await rawPeer(t, running.port('pull'), 'PUSH')
    one.write(Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 0]))
    await within(5000, 'ending', one.closed)
    const many = await rawPeer(t, running.port('pull'), 'PUSH')
    const part = Buffer.concat([Buffer.from([1, 250]), Buffer.alloc(250)])
    many.write(Buffer.concat([part, part, part, part, part]))
    await within(5000, 'ending', many.closed)
    assert.equal(running.counts.get('closed_too_large'), 2)
  })

  it('refuses a message that never ends', async (t) => {
    const running = await run(t, { pull: LOOPBACK })
    const peer = await rawPeer(t, running.port('pull'), 'PUSH')
    peer.write(Buffer.from('\x01\x00'.repeat(100), 'latin1'))
    await within(5000, 'ending', peer.closed)
    assert.equal(running.counts.get('closed_too_large'), 1)
  })

  it('ends a peer that asks for ever and does not read the answers', async (t) => {
    const running = await run(t, { pull: LOOPBACK })
    const peer = await rawPeer(t, running.port('pull'), 'PUSH')
    peer.pause()
    const pings = Buffer.concat(Array.from({ length: 3000 }, () => commandBytes('\x04PING\0\0a context of 16.')))
    while (peer.open && !running.counts.has('closed_flood')) {
      peer.write(pings)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await running.until('ending', () => running.counts.has('closed_flood'))
  })

  it('stops reading requests of a peer that does not read the answers, and goes on when it does', async (t) => {
    const running = await run(t, { rep: LOOPBACK, highWater: 65_536 })
    const peer = await rawPeer(t, running.port('rep'), 'DEALER')
    peer.pause()
    // An envelope is sent back as it came.
    const envelope = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, 0xea, 0x60]), Buffer.alloc(60_000)])
    const request = Buffer.concat([envelope, Buffer.from([1, 0]), MESSAGE])
    for (let i = 0; i < 500; i++) peer.write(request)
    await running.until('stopping', () => running.counts.has('answers_unread'))
    assert.ok(running.messages.length < 500)
    peer.resume()
    await running.count(500)
  })

  it('ends a peer that subscribes without end', async (t) => {
    const running = await run(t, { commands: LOOPBACK })
    const peer = await rawPeer(t, running.port('commands'), 'SUB')
    const subscriptions = Array.from({ length: 1001 }, (_, i) => commandBytes(`\x09SUBSCRIBE${i}`))
    peer.write(Buffer.concat(subscriptions))
    await within(5000, 'ending', peer.closed)
    assert.equal(running.counts.get('closed_flood'), 1)
  })

  it('ignores commands it does not know', async (t) => {
    const running = await run(t, { pull: LOOPBACK })
    const peer = await rawPeer(t, running.port('pull'), 'PUSH')
    peer.write(Buffer.concat([commandBytes('\x05DANCE'), commandBytes(''), commandBytes('\x7f'), MESSAGE]))
    await running.count(1)
  })

  it('turns connections away beyond its bounds, and serves those it has', async (t) => {
    const running = await run(t, { pull: LOOPBACK, connections: 20, perAddress: 10 })
    const first = await rawPeer(t, running.port('pull'), 'PUSH')
    const rest = await Promise.all(Array.from({ length: 999 }, () => rawConnection(t, running.port('pull'))))
    await running.until('turning away', () => running.counts.get('turned_away') === 990)
    await running.until('closing', () => rest.filter(({ open }) => open).length === 9)
    first.write(MESSAGE)
    await running.count(1)
    for (const one of rest) one.end()
    await running.until('leaving', () => running.counts.get('closed_ended') === 9)
    const next = await rawPeer(t, running.port('pull'), 'PUSH')
    next.write(MESSAGE)
    await running.count(2)
  })
})
