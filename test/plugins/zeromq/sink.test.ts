import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { Batch, Sink } from '../../../gateway/plugin.ts'
import { zeromq } from '../../../plugins/zeromq/index.ts'
import { batchOf, create, pluginContext, within } from '../contract.ts'
import { freePort } from '../mosquitto.ts'
import { LOOPBACK, NO_ZMQ, startOracle } from './oracle.ts'
import { rawPeer } from './raw-peer.ts'

const { signal } = new AbortController()

function sinkOf(t: TestContext, options: object): Sink {
  const { sink } = create(zeromq, options, pluginContext())
  assert.ok(sink)
  t.after(() => sink.close())
  return sink
}

const local = (port: number) => `tcp://127.0.0.1:${port}`

/** Resolves once somebody has read the batch. */
async function written(sink: Sink, batch: Batch): Promise<void> {
  for (;;) {
    try {
      return await sink.write(batch, signal)
    } catch (error) {
      assert.ok(error instanceof NotConnectedError)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

describe('zeromq sink against libzmq', { skip: NO_ZMQ }, () => {
  it('pushes a batch as topic and JSON', async (t) => {
    const zmq = startOracle(t)
    const sink = sinkOf(t, { push: local(await zmq.socket('a', 'PULL', { bind: LOOPBACK })) })
    await sink.connect(signal)
    const batch = batchOf(1, 3)
    await sink.write(batch, signal)
    assert.deepEqual(await zmq.receive('a'), [['sluice/site-7/batch', batch.body().toString()]])
  })

  it('pushes records one by one, under topics made of them', async (t) => {
    const zmq = startOracle(t)
    const push = local(await zmq.socket('a', 'PULL', { bind: LOOPBACK }))
    const sink = sinkOf(t, { push, shape: 'record', topic: 'out/{class}/{device}' })
    await sink.connect(signal)
    await sink.write(batchOf(1, 2), signal)
    const received = await zmq.receive('a', 2)
    assert.deepEqual(
      received.map(([topic]) => topic),
      ['out/result/d1', 'out/result/d2'],
    )
  })

  it('pushes batches to several peers in turn', async (t) => {
    const zmq = startOracle(t)
    const push: string[] = []
    for (const name of ['a', 'b']) push.push(local(await zmq.socket(name, 'PULL', { bind: LOOPBACK })))
    const sink = sinkOf(t, { push })
    await sink.connect(signal)
    const seen = new Set<string>()
    for (let i = 1; seen.size < 2 && i < 50; i++) {
      await sink.write(batchOf(i, 1), signal)
      for (const name of ['a', 'b']) if ((await zmq.receive(name, 1, 20)).length > 0) seen.add(name)
    }
    assert.deepEqual([...seen].sort(), ['a', 'b'])
  })

  it('does not call a batch taken that the peer does not read', async (t) => {
    const zmq = startOracle(t)
    const bind = LOOPBACK
    const port = await zmq.socket('a', 'PULL', { bind, options: { rcvhwm: 1, rcvbuf: 4096 } })
    const sink = sinkOf(t, { push: local(port), timeout: '500ms', shape: 'record' })
    await sink.connect(signal)
    const writing = async () => {
      for (let i = 0; i < 100; i++) await sink.write(batchOf(1 + i * 1000, 1000), signal)
    }
    await within(10_000, 'failing', assert.rejects(writing(), NotConnectedError))
  })

  it('publishes to those who subscribe, by prefix, and waits while nobody subscribes to it', async (t) => {
    const zmq = startOracle(t)
    const port = await freePort()
    const sink = sinkOf(t, { pub: local(port) })
    const connected = sink.connect(signal)
    await zmq.socket('other', 'SUB', { connect: [local(port)], subscribe: ['other/'] })
    await connected
    const batch = batchOf(1, 1)
    await assert.rejects(sink.write(batch, signal), NotConnectedError)
    await zmq.socket('all', 'SUB', { connect: [local(port)], subscribe: [''] })
    await within(5000, 'publishing', written(sink, batch))
    assert.deepEqual(await zmq.receive('all'), [['sluice/site-7/batch', batch.body().toString()]])
    assert.deepEqual(await zmq.receive('other', 1, 50), [])
  })

  it('publishes to peers of ZMTP 3.0, which subscribe by messages', async (t) => {
    const port = await freePort()
    const sink = sinkOf(t, { pub: local(port) })
    const connected = sink.connect(signal)
    const peer = await rawPeer(t, port, 'SUB', 0)
    peer.write(Buffer.from('\x00\x01\x01', 'latin1'))
    await connected
    await sink.write(batchOf(1, 1), signal)
    await within(5000, 'receiving', peer.received('"count":1'))
  })

  it('waits for a subscriber, and tells when the last one has gone', async (t) => {
    const zmq = startOracle(t)
    const port = await freePort()
    const sink = sinkOf(t, { pub: local(port), timeout: '300ms' })
    await assert.rejects(sink.connect(signal), NotConnectedError)
    const connecting = sinkOf(t, { pub: local(port) })
    const connected = connecting.connect(signal)
    await zmq.socket('a', 'SUB', { connect: [local(port)], subscribe: [''] })
    await within(5000, 'connecting', connected)
    const lost = new Promise((resolve) => connecting.onLost?.(resolve))
    await zmq.close('a')
    assert.ok((await within(5000, 'losing', lost)) instanceof NotConnectedError)
    await assert.rejects(connecting.write(batchOf(1, 1), signal), NotConnectedError)
  })
})
