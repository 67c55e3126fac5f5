import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NotConnectedError } from '../../gateway/errors.ts'
import { createSourceRunner } from '../../gateway/ingest/source-runner.ts'
import type { Emit, Source } from '../../gateway/plugin.ts'
import { FakeClock } from '../support/clock.ts'
import { recordingLog } from '../upstream/scripted.ts'

const emit: Emit = Object.assign(async () => {}, { offer: () => true, room: async () => {} })

function setUp(run: Source['run'], more: Partial<Source> = {}) {
  const clock = new FakeClock()
  const log = recordingLog()
  const runner = createSourceRunner({ name: 'zmq' }, { source: { run, ...more }, emit, clock, log, random: () => 0.5 })
  return { clock, log, runner }
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))

describe('source runner', () => {
  it('runs a source until it is stopped', async () => {
    const { runner } = setUp((_, signal) => untilAborted(signal), { ports: () => ({ zmq: 5557 }) })
    runner.start()
    assert.equal(runner.status().state, 'running')
    assert.deepEqual(runner.status().ports, { zmq: 5557 })
    await runner.stop()
    assert.equal(runner.status().state, 'stopped')
    assert.deepEqual(runner.status().ports, {})
  })

  it('starts a source again that cannot connect, with growing pauses', async () => {
    const attempts: number[] = []
    const { clock, runner, log } = setUp(async () => {
      attempts.push(clock.monotonic())
      throw new NotConnectedError('SLUICE_DOWN', 'the broker is down')
    })
    runner.start()
    await clock.advance(60_000)
    assert.deepEqual(attempts.slice(0, 5), [0, 125, 375, 875, 1875])
    assert.equal(runner.status().state, 'waiting')
    assert.equal(runner.status().lastError?.code, 'SLUICE_DOWN')
    assert.equal(log.lines.length, 1)
    await runner.stop()
  })

  it('starts a source again that throws at once or simply ends', async () => {
    let runs = 0
    const { clock, runner } = setUp((_, signal) => {
      runs++
      if (runs === 1) throw new TypeError('a defect')
      if (runs === 2) return Promise.resolve()
      return untilAborted(signal)
    })
    runner.start()
    await clock.advance(1000)
    assert.equal(runner.status().state, 'running')
    assert.deepEqual({ ...runner.status().errors }, { SLUICE_SOURCE_FAILED: 1, SLUICE_SOURCE_ENDED: 1 })
    assert.equal(runner.status().restarts, 2)
    await runner.stop()
  })

  it('pauses shortly again after a source ran well for a while', async () => {
    let runs = 0
    const { clock, runner } = setUp(async (_, signal) => {
      if (++runs < 10 || runs > 10) throw new NotConnectedError('SLUICE_DOWN', 'down')
      await clock.sleep(40_000, signal)
      throw new NotConnectedError('SLUICE_DOWN', 'down')
    })
    runner.start()
    while (runs < 10) await clock.advance(1000)
    await clock.advance(40_000)
    const before = runs
    await clock.advance(500)
    assert.ok(runs > before)
    await runner.stop()
  })

  it('tries again at once when told to', async () => {
    let runs = 0
    const { clock, runner } = setUp(async () => {
      runs++
      throw new NotConnectedError('SLUICE_DOWN', 'down', { retryAfter: 100_000 })
    })
    runner.start()
    await clock.advance(10)
    runner.retry()
    await clock.advance(0)
    assert.equal(runs, 2)
    await runner.stop()
  })

  it('abandons a source that hangs on stop, and says so', async () => {
    const { clock, runner, log } = setUp(() => new Promise(() => {}))
    runner.start()
    const stopped = runner.stop()
    await clock.advance(2000)
    await stopped
    assert.ok(log.lines.some((line) => line.includes('abandoned')))
  })

  it('lets a source finish cleanly when it is stopped', async () => {
    let finished = false
    const { runner, log } = setUp(async (_, signal) => {
      await untilAborted(signal)
      finished = true
    })
    runner.start()
    await runner.stop()
    assert.ok(finished)
    assert.deepEqual(log.lines, [])
  })
})
