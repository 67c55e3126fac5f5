import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NotConnectedError, PartialWriteError, RefusedError } from '../../gateway/errors.ts'
import type { Outbox } from '../../gateway/outbox/outbox.ts'
import type { Batch } from '../../gateway/plugin.ts'
import { alert, parse, reading, result } from '../outbox/contract.ts'
import { setUp } from './scripted.ts'

const down = () => new NotConnectedError('SLUICE_DOWN', 'the peer is down')

async function results(outbox: Outbox, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) outbox.append('result', n, result(n))
  await outbox.commit(to, true)
}

function numbers(batches: readonly Batch[]): number[] {
  return batches.flatMap((batch) => batch.records.map((record) => parse(record).seq))
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1)
}

describe('upstream runner', () => {
  it('drains events, then results, then readings', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    for (let n = 1; n <= 20; n++) outbox.append('reading', n, reading(n))
    for (let n = 21; n <= 40; n++) outbox.append('result', n, result(n))
    for (let n = 41; n <= 45; n++) outbox.append('event', n, alert(n))
    await outbox.commit(45, true)
    upstream.start()
    await clock.advance(1)
    assert.deepEqual(
      sink.taken.map((batch) => batch.class),
      ['event', 'result', 'result', 'reading', 'reading'],
    )
    await upstream.stop()
  })

  it('puts a new event before the readings that remain', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    for (let n = 1; n <= 30; n++) outbox.append('reading', n, reading(n))
    await outbox.commit(30, true)
    sink.onWrite = async (batch) => {
      if (batch.class !== 'reading' || batch.first !== 1) return
      outbox.append('event', 31, alert(31))
      await outbox.commit(31, true)
    }
    upstream.start()
    await clock.advance(1)
    assert.deepEqual(
      sink.taken.map((batch) => batch.class),
      ['reading', 'event', 'reading', 'reading'],
    )
    await upstream.stop()
  })

  it('waits for a batch to fill, at most as long as its age', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    upstream.start()
    await results(outbox, 1, 3)
    await clock.advance(900)
    assert.equal(sink.taken.length, 0)
    await clock.advance(100)
    assert.deepEqual(numbers(sink.taken), [1, 2, 3])
    await results(outbox, 4, 13)
    await clock.advance(1)
    assert.equal(sink.taken[1]?.count, 10)
    await upstream.stop()
  })

  it('sends an event at once', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    upstream.start()
    await clock.advance(1)
    outbox.append('event', 1, alert(1))
    await outbox.commit(1, true)
    await clock.advance(1)
    assert.equal(sink.taken.length, 1)
    await upstream.stop()
  })

  it('sends the identical batch again until it is taken', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 25)
    let failures = 3
    sink.onWrite = async () => {
      if (failures-- > 0) throw down()
    }
    upstream.start()
    await clock.advance(10_000)
    const bodies = sink.offered.slice(0, 4).map((batch) => batch.body().toString())
    assert.equal(new Set(bodies).size, 1)
    assert.deepEqual(numbers(sink.taken), upTo(25))
    assert.equal(upstream.status().retries, 3)
    assert.deepEqual({ ...upstream.status().errors }, { SLUICE_DOWN: 3 })
    await upstream.stop()
  })

  it('starts with the sink down and drains by itself when it comes up', async () => {
    const { clock, outbox, sink, upstream, states } = await setUp()
    sink.onConnect = async () => {
      throw down()
    }
    await results(outbox, 1, 10)
    upstream.start()
    await clock.advance(60_000)
    assert.equal(upstream.status().state, 'waiting')
    assert.ok(sink.connects >= 8, 'never pauses longer than 15 s')
    sink.onConnect = async () => {}
    await clock.advance(15_000)
    assert.deepEqual(numbers(sink.taken), upTo(10))
    assert.equal(upstream.status().state, 'connected')
    assert.ok(states.includes('waiting'))
    await upstream.stop()
  })

  it('doubles the bound of its pause up to 15 s', async () => {
    const { clock, sink, upstream } = await setUp()
    const attempts: number[] = []
    sink.onConnect = async () => {
      attempts.push(clock.monotonic())
      throw down()
    }
    upstream.start()
    await clock.advance(120_000)
    const pauses = attempts.slice(1).map((at, i) => Math.round(at - (attempts[i] as number)))
    // Half of each bound, for the random source says 0.5.
    assert.deepEqual(pauses.slice(0, 9), [125, 250, 500, 1000, 2000, 4000, 7500, 7500, 7500])
    await upstream.stop()
  })

  it('does not come back before the peer asked', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 10)
    sink.onWrite = async () => {
      if (sink.offered.length === 1)
        throw new NotConnectedError('SLUICE_HTTP_RETRY', 'come later', { retryAfter: 40_000 })
    }
    upstream.start()
    await clock.advance(39_999)
    assert.equal(sink.offered.length, 1)
    await clock.advance(1000)
    assert.equal(sink.taken.length, 1)
    await upstream.stop()
  })

  it('tries again at once when told to', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 10)
    sink.onConnect = async () => {
      if (sink.connects < 20) throw down()
    }
    upstream.start()
    await clock.advance(1)
    for (let i = 0; i < 25; i++) {
      upstream.retry()
      await clock.advance(0)
    }
    assert.equal(sink.taken.length, 1)
    await upstream.stop()
  })

  it('sends the rest when only a part was taken', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 10)
    sink.onWrite = async () => {
      if (sink.offered.length === 1) throw new PartialWriteError('SLUICE_PART', 'took four', 4)
    }
    upstream.start()
    await clock.advance(2000)
    assert.deepEqual(numbers(sink.taken), [5, 6, 7, 8, 9, 10])
    assert.equal(upstream.status().acked, 10)
    await upstream.stop()
  })

  it('finds the one record that the peer refuses, and sends a gap instead', async () => {
    const { clock, outbox, sink, upstream, log } = await setUp()
    await results(outbox, 1, 20)
    sink.onWrite = async (batch) => {
      const bad = batch.records.some((record) => parse(record).kind === 'window' && parse(record).seq === 7)
      if (bad) throw new RefusedError('SLUICE_REFUSED', 'no')
    }
    upstream.start()
    await clock.advance(5000)
    assert.deepEqual(numbers(sink.taken), upTo(20))
    const kinds = sink.taken.flatMap((batch) => batch.records.map((record) => parse(record)))
    assert.deepEqual(
      kinds.filter(({ kind }) => kind === 'gap').map(({ first, seq, reason }) => [first, seq, reason]),
      [[7, 7, 'refused']],
    )
    assert.equal(upstream.status().refused, 1)
    assert.equal(log.lines.filter((line) => line.startsWith('error')).length, 1)
    await upstream.stop()
  })

  it('tells a peer that refused everything for some seconds of what it refused', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 20)
    sink.onWrite = async () => {
      throw new RefusedError('SLUICE_REFUSED', 'no')
    }
    upstream.start()
    await clock.advance(5000)
    sink.onWrite = async () => {}
    await clock.advance(20_000)
    assert.deepEqual(numbers(sink.taken), upTo(20))
    assert.equal(upstream.status().refused, 1)
    await upstream.stop()
  })

  it('gives a peer that refuses everything little to refuse', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 1000)
    sink.onWrite = async () => {
      throw new RefusedError('SLUICE_REFUSED', 'no')
    }
    upstream.start()
    await clock.advance(600_000)
    assert.ok(upstream.status().refused < 100, `${upstream.status().refused} refused`)
    await upstream.stop()
  })

  it('keeps to the rate limit', async () => {
    const { clock, outbox, sink, upstream } = await setUp({ rate: 100 })
    await results(outbox, 1, 1000)
    upstream.start()
    await clock.advance(5000)
    const sent = numbers(sink.taken).length
    assert.ok(sent >= 500 && sent <= 620, `${sent} in 5 s`)
    await upstream.stop()
  })

  it('reconnects when the connection is lost while nothing is sent', async () => {
    const { clock, sink, upstream } = await setUp()
    upstream.start()
    await clock.advance(1)
    sink.lose(down())
    await clock.advance(1000)
    assert.equal(sink.connects, 2)
    assert.equal(upstream.status().state, 'connected')
    await upstream.stop()
  })

  it('says a failure once and then at a falling rate', async () => {
    const { clock, sink, upstream, log } = await setUp()
    sink.onConnect = async () => {
      throw down()
    }
    upstream.start()
    await clock.advance(3_600_000)
    assert.ok(sink.connects > 400)
    const said = log.lines.length
    assert.ok(said >= 4 && said <= 6, `${said} lines in an hour`)
    await upstream.stop()
  })

  it('survives a sink that throws anything at all', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 10)
    sink.onWrite = () => {
      if (sink.offered.length < 3) throw 'text'
      return Promise.resolve()
    }
    upstream.start()
    await clock.advance(5000)
    assert.equal(sink.taken.length, 1)
    assert.equal(upstream.status().errors.SLUICE_SINK_FAILED, 2)
    await upstream.stop()
  })

  it('gives up on a write that hangs and sends it again', async () => {
    const { clock, outbox, sink, upstream } = await setUp({ timeout: 30_000 })
    await results(outbox, 1, 10)
    let aborted = false
    sink.onWrite = (_, signal) => {
      if (sink.offered.length > 1) return Promise.resolve()
      signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    }
    upstream.start()
    await clock.advance(31_000)
    assert.ok(aborted)
    assert.equal(sink.taken.length, 1)
    await upstream.stop()
  })

  it('lets a write finish when it is stopped, and acknowledges it', async () => {
    const { clock, outbox, sink, upstream, cursor } = await setUp()
    await results(outbox, 1, 10)
    let finish = () => {}
    sink.onWrite = () =>
      new Promise((resolve) => {
        finish = resolve
      })
    upstream.start()
    await clock.advance(1)
    const stopped = upstream.stop()
    finish()
    await stopped
    assert.equal(cursor.depth('result'), 0)
    assert.equal(upstream.status().state, 'stopped')
  })

  it('stops in time although the sink hangs in write and in close', async () => {
    const { clock, outbox, sink, upstream, cursor, log } = await setUp()
    await results(outbox, 1, 10)
    sink.onWrite = () => new Promise(() => {})
    sink.close = () => new Promise(() => {})
    upstream.start()
    await clock.advance(1)
    const stopped = upstream.stop()
    await clock.advance(2000)
    await stopped
    assert.equal(cursor.depth('result'), 10)
    assert.ok(log.lines.some((line) => line.includes('abandoned')))
  })

  it('does not send a batch again that a person has skipped', async () => {
    const { clock, outbox, sink, upstream } = await setUp()
    await results(outbox, 1, 20)
    sink.onWrite = async (batch) => {
      if (batch.first === 1 && batch.count > 1) throw down()
    }
    upstream.start()
    await clock.advance(5000)
    assert.equal(sink.taken.length, 0)
    sink.onWrite = async () => {}
    await outbox.skip('cloud', 'result', 10)
    await clock.advance(16_000)
    assert.equal(parse(sink.taken[0]?.records[0] as Buffer).kind, 'gap')
    assert.equal(sink.taken.at(-1)?.last, 20)
    await upstream.stop()
  })
})
