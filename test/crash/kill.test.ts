import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killCycles } from './kill.ts'

const seed = Number(process.env.CRASH_SEED ?? 20261123)

test('keeps every promise through kill -9 at random moments with an uplink that comes and goes', {
  timeout: 180_000,
}, async (t) => {
  t.diagnostic(`seed ${seed}; replay a failure with CRASH_SEED=${seed}`)
  const outcome = await killCycles(6, seed, () => undefined)
  t.diagnostic(
    `${outcome.acknowledged} acknowledged of ${outcome.sent}, ${outcome.records} records, ${outcome.repeats} sent again`,
  )
  assert.deepEqual(outcome.failures.slice(0, 10), [])
  assert.ok(outcome.acknowledged > 500)
})
