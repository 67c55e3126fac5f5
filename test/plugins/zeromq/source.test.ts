import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Emit, Message } from '../../../gateway/plugin.ts'
import { LOOPBACK, NO_ZMQ, run, startOracle, texts } from './oracle.ts'
import { rawPeer } from './raw-peer.ts'

describe('zeromq source against libzmq', { skip: NO_ZMQ }, () => {
  it('takes topic and payload from PUSH sockets, in order', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { pull: LOOPBACK })
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')] })
    for (let i = 0; i < 5; i++) await zmq.send('a', ['telemetry/d1', `{"n":${i}}`])
    await running.count(5)
    assert.deepEqual(
      texts(running.messages),
      [0, 1, 2, 3, 4].map((n) => ['telemetry/d1', `{"n":${n}}`]),
    )
  })

  it('reads one frame, two, three, and keeps what has more', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { pull: LOOPBACK, topic: 'telemetry/one' })
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')] })
    await zmq.send('a', ['1'])
    await zmq.send('a', ['telemetry/two', '2'])
    await zmq.send('a', ['three', 'telemetry/three/x', '3'])
    await zmq.send('a', ['three', 'env', '4'])
    await zmq.send('a', ['three', '', '5'])
    await zmq.send('a', ['a', 'b', 'c', 'd'])
    await running.count(6)
    assert.deepEqual(texts(running.messages.slice(0, 5)), [
      ['telemetry/one', '1'],
      ['telemetry/two', '2'],
      ['telemetry/three/x', '3'],
      ['telemetry/three/env', '4'],
      ['telemetry/three', '5'],
    ])
    assert.equal(running.messages[5]?.payload[0], 0xff)
    assert.equal(running.counts.get('unknown_layout'), 1)
  })

  it('takes messages of every length, however they are cut on the way', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { pull: LOOPBACK })
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')] })
    const lengths = [0, 1, 254, 255, 256, 8191, 8192, 65_535, 65_536, 300_000]
    for (const length of lengths) await zmq.send('a', ['telemetry/d1', 'x'.repeat(length)])
    await running.count(lengths.length)
    assert.deepEqual(
      running.messages.map(({ payload }) => payload.length),
      lengths,
    )
  })

  it('takes messages over IPC, also where a crash left the socket file', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-zmq-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const endpoint = `ipc://${directory}/in.sock`
    const first = startOracle(t)
    await first.socket('left', 'PULL', { bind: endpoint })
    await first.kill()
    const zmq = startOracle(t)
    const running = await run(t, { pull: [endpoint, LOOPBACK] })
    await zmq.socket('a', 'PUSH', { connect: [endpoint] })
    await zmq.send('a', ['telemetry/d1', '1'])
    await running.count(1)
    assert.deepEqual(texts(running.messages), [['telemetry/d1', '1']])
  })

  it('takes what DEALER sockets send under their identity', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { router: LOOPBACK })
    const connect = [running.endpoint('router')]
    await zmq.socket('a', 'DEALER', { connect, options: { identity: 'd7' } })
    await zmq.send('a', ['7'])
    await zmq.send('a', ['', 'telemetry/d8', '8'])
    await running.count(2)
    assert.deepEqual(texts(running.messages), [
      ['telemetry/d7', '7'],
      ['telemetry/d8', '8'],
    ])
  })

  it('answers REQ sockets when their message is durable', async (t) => {
    const zmq = startOracle(t)
    const durable: (() => void)[] = []
    const running = await run(
      t,
      { rep: LOOPBACK, router: LOOPBACK },
      { settle: (settled) => durable.push(() => settled(null)) },
    )
    for (const socket of ['rep', 'router']) {
      await zmq.socket(socket, 'REQ', { connect: [running.endpoint(socket)] })
      await zmq.send(socket, ['telemetry/d1', '1'])
      await running.until('the request', () => durable.length === 1)
      assert.deepEqual(await zmq.receive(socket, 1, 50), [])
      durable.shift()?.()
      assert.deepEqual(await zmq.receive(socket), [['ok']])
    }
  })

  it('tells a REQ socket that its message is not durable', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { rep: LOOPBACK }, { settle: (settled) => settled(new Error('disk full')) })
    await zmq.socket('a', 'REQ', { connect: [running.endpoint('rep')] })
    await zmq.send('a', ['telemetry/d1', '1'])
    assert.deepEqual(await zmq.receive('a'), [['error', 'disk full']])
  })

  it('subscribes to PUB sockets that listen, and to those that connect', async (t) => {
    const zmq = startOracle(t)
    const port = await zmq.socket('a', 'XPUB', { bind: LOOPBACK })
    const sub = { listen: LOOPBACK, connect: `tcp://127.0.0.1:${port}`, topics: ['telemetry/', 'x'] }
    const running = await run(t, { sub })
    await zmq.socket('b', 'XPUB', { connect: [running.endpoint('sub')] })
    for (const name of ['a', 'b']) {
      assert.deepEqual((await zmq.receive(name, 2)).flat(), ['\x01telemetry/', '\x01x'])
      await zmq.send(name, ['other/d1', '0'])
      await zmq.send(name, [`telemetry/${name}`, '1'])
    }
    await running.count(2)
    assert.deepEqual(texts(running.messages).sort(), [
      ['telemetry/a', '1'],
      ['telemetry/b', '1'],
    ])
  })

  it('connects out, and again when the peer comes back', async (t) => {
    const first = startOracle(t)
    const port = await first.socket('a', 'PUSH', { bind: LOOPBACK })
    const running = await run(t, { pull: { listen: LOOPBACK, connect: `tcp://127.0.0.1:${port}` } })
    await first.send('a', ['telemetry/d1', '1'])
    await running.count(1)
    await first.kill()
    const second = startOracle(t)
    await second.socket('a', 'PUSH', { bind: `tcp://127.0.0.1:${port}` })
    await second.send('a', ['telemetry/d1', '2'])
    await running.count(2)
    assert.deepEqual(
      texts(running.messages).map(([, payload]) => payload),
      ['1', '2'],
    )
  })

  it('answers the heartbeats of libzmq, which hangs up otherwise', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { pull: LOOPBACK })
    const options = { heartbeat_ivl: 50, heartbeat_timeout: 150, heartbeat_ttl: 300 }
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')], options })
    for (let i = 0; i < 5; i++) {
      await zmq.pause(100)
      await zmq.send('a', ['telemetry/d1', '1'])
    }
    await running.count(5)
    assert.equal(running.counts.get('closed_ended'), undefined)
  })

  it('takes nothing while there is no room, loses nothing, and goes on', async (t) => {
    const zmq = startOracle(t)
    const journal = journalOf(50)
    const running = await run(t, { pull: LOOPBACK }, journal)
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')], options: { sndhwm: 100 } })
    const sending = zmq.send('a', ['telemetry/d1', 'x'.repeat(1000)], 20_000)
    await running.until('waiting', () => journal.full)
    assert.equal(running.messages.length, 50)
    const blocked = Promise.race([
      sending.then(() => 'sent'),
      new Promise((done) => setTimeout(done, 300, 'held back')),
    ])
    assert.equal(await blocked, 'held back')
    journal.makeRoom()
    await sending
    await running.count(20_000)
  })

  it('takes what it had read of a sender that has gone, when there is room again', async (t) => {
    const journal = journalOf(1)
    const running = await run(t, { pull: LOOPBACK }, journal)
    const peer = await rawPeer(t, running.port('pull'), 'PUSH')
    peer.write(Buffer.from('\x01\x0ctelemetry/d1\x00\x011'.repeat(5), 'latin1'))
    peer.end()
    await running.until('waiting', () => journal.full)
    for (let turn = 0; turn < 20; turn++) await new Promise((next) => setImmediate(next))
    journal.makeRoom()
    await running.count(5)
    await running.until('ending', () => running.counts.get('closed_ended') === 1)
    assert.equal(running.counts.get('lost_bytes'), undefined)
  })

  it('says what it had read and could not take when it stops', async (t) => {
    const zmq = startOracle(t)
    let asked = false
    const full = (inner: Emit): Emit =>
      Object.assign(() => new Promise<void>(() => {}), inner, {
        offer: () => false,
        room() {
          asked = true
          return new Promise<void>(() => {})
        },
      })
    const running = await run(t, { pull: LOOPBACK }, { emit: full })
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')] })
    await zmq.send('a', ['telemetry/d1', '1'])
    await running.until('waiting', () => asked)
    await running.stop()
    assert.equal(running.counts.get('lost_bytes'), 13)
  })

  it('takes what was sent before it was told to stop', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { pull: LOOPBACK })
    await zmq.socket('a', 'PUSH', { connect: [running.endpoint('pull')] })
    await zmq.send('a', ['telemetry/d1', 'x'.repeat(200)], 2000)
    await running.count(1)
    const endpoint = running.endpoint('pull')
    await running.stop()
    // What libzmq had not yet given to the network it sends to whoever listens next.
    const left = 2000 - running.messages.length
    if (left === 0) return
    const next = await run(t, { pull: endpoint })
    await next.count(left)
    assert.equal(next.messages.length, left)
  })
})

/** A journal with room for so many messages until there is more. */
function journalOf(messages: number) {
  let open = messages
  let release: (() => void) | undefined
  return {
    /** Somebody waits for room. */
    get full() {
      return release !== undefined
    },
    makeRoom() {
      open = Number.POSITIVE_INFINITY
      release?.()
    },
    emit: (inner: Emit): Emit =>
      Object.assign((message: Message) => inner(message), {
        offer: ((message, settled) => open-- > 0 && inner.offer(message, settled)) as Emit['offer'],
        room: () =>
          new Promise<void>((resolve) => {
            release = resolve
          }),
      }),
  }
}
