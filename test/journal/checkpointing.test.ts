import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCheckpointing } from '../../gateway/journal/checkpointing.ts'
import { FakeClock } from '../support/clock.ts'

/** A journal and an outbox that hold entry 1 once `held` is true; what is saved and said. */
function createBench() {
  const clock = new FakeClock()
  const bench = { clock, held: false, begun: 0, saved: [] as number[], said: [] as string[] }
  const log = { epoch: 'e', bytesWritten: 0, durable: 1, flush: async () => undefined }
  const parts = {
    journal: { log, last: 1 },
    pipeline: { entry: 1, state: () => ({}), windows: { snapshot: () => new Uint8Array() } },
    outbox: {
      closeGaps: () => void bench.begun++,
      commit: async () => undefined,
      get coveredByAll() {
        return bench.held ? 1 : 0
      },
    },
    deadLetters: { report: () => ({}) },
    store: { save: async (_: Buffer, entry: number) => void bench.saved.push(entry) },
    stages: () => ({}),
    claim: () => true,
    clock,
    log: {
      info: (_: object, message: string) => void bench.said.push(message),
      warn: (_: object, message: string) => void bench.said.push(message),
    },
  }
  const checkpointing = createCheckpointing(parts as unknown as Parameters<typeof createCheckpointing>[0])
  return Object.assign(bench, { checkpointing, journal: log })
}

test('64 MB of journal make a checkpoint due; where they come within a second, only five seconds or 256 MB do', async () => {
  const bench = createBench()
  bench.held = true
  const comes = async (bytes: number) => {
    await bench.clock.advance(1000)
    bench.journal.bytesWritten += bytes
    const { begun } = bench
    bench.checkpointing.look()
    if (bench.begun === begun) return false
    await bench.checkpointing.now()
    return true
  }
  const flood = [65 << 20, 65 << 20, 65 << 20, 65 << 20, 65 << 20]
  const made: boolean[] = []
  for (const bytes of [...flood, 1 << 20, 260 << 20, 1 << 20]) made.push(await comes(bytes))
  assert.deepEqual(made, [false, false, false, true, false, false, true, false])
  await bench.clock.advance(10_000)
  assert.deepEqual([await comes(62 << 20), await comes(2 << 20)], [false, true])
})

test('a moment that is the wrong one for a checkpoint alarms nobody: it is made at the next look', async () => {
  const bench = createBench()
  await bench.checkpointing.now()
  bench.held = true
  bench.checkpointing.look()
  await bench.checkpointing.now()
  assert.deepEqual([bench.saved, bench.said], [[1], []])
})

test('that no checkpoint could be made for ten seconds is said, and that one is made again', async () => {
  const bench = createBench()
  await bench.checkpointing.now()
  await bench.clock.advance(10_000)
  await bench.checkpointing.now()
  assert.match(bench.said.join(), /^no checkpoint could be made/)
  bench.held = true
  await bench.checkpointing.now()
  assert.deepEqual([bench.saved, bench.said.at(-1)], [[1], 'checkpoints are made again'])
})
