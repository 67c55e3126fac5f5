import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DEFINITIONS, journal, replay, textOf } from './journal.ts'
import { random, START } from './simulation.ts'

describe('the same readings and ticks', () => {
  for (const seed of [1, 2, 3]) {
    const steps = journal(seed, 1500)
    const whole = replay(steps, () => false)

    it(`give the same records, whatever is snapshot and restored on the way (seed ${seed})`, () => {
      const next = random(seed + 100)
      const broken = replay(steps, () => next() < 0.05)
      assert.deepEqual(textOf(broken), textOf(whole))
      assert.deepEqual(broken.losses, whole.losses)
      assert.deepEqual(broken.stage.ledger(), whole.stage.ledger())
    })

    it(`cover every kind of result (seed ${seed})`, () => {
      for (const { name } of DEFINITIONS) {
        const own = whole.records.filter(({ window }) => window === name)
        assert.ok(own.length > 10, name)
      }
      assert.notEqual(whole.records.filter(({ kind }) => kind === 'correction').length, 0)
      assert.notEqual(whole.losses.length, 0)
      assert.notEqual(steps.filter((step) => 'tick' in step).length, 0)
    })

    it(`leave a ledger that balances (seed ${seed})`, () => {
      for (const row of whole.stage.ledger()) {
        assert.equal(row.decoded, row.windowed + row.open + row.late + row.filtered, JSON.stringify(row))
      }
      assert.deepEqual(whole.stage.tally(), whole.stage.ledger())
    })

    it(`count every reading of a window by processing time once, though the clock was set back (seed ${seed})`, () => {
      const bench = replay(steps, () => false)
      bench.stage.tick({ now: START + 1e9, idle: {} })
      const counted = bench.records.filter(({ window }) => window === 'processing')
      assert.equal(
        counted.reduce((sum, { count }) => sum + count, 0),
        steps.filter((step) => 'sample' in step).length,
      )
      assert.equal(new Set(counted.map(({ key, start }) => JSON.stringify([key, start]))).size, counted.length)
    })
  }
})
