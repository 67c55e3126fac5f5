import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DEFINITIONS, journal, replay, type Step, take, textOf } from './journal.ts'
import { Bench, random } from './simulation.ts'

/** A snapshot that is being read, and what was seen until it was taken. */
interface Reading {
  readonly after: number
  readonly records: number
  readonly losses: number
  readonly entry: number
  readonly pieces: Iterator<Uint8Array>
  readonly bytes: Uint8Array[]
}

/** Takes snapshots on the way and reads a few pieces of each after each step, two of them at a time now and then. */
function interrupted(steps: readonly Step[], next: () => number): { bench: Bench; read: Reading[] } {
  const bench = new Bench(...DEFINITIONS)
  const open: Reading[] = []
  const read: Reading[] = []
  steps.forEach((step, i) => {
    take(bench, step)
    for (const reading of [...open]) {
      for (let n = Math.floor(next() * 4); n > 0; n--) {
        const { value, done } = reading.pieces.next()
        // Valid until the next one is asked for.
        if (!done) reading.bytes.push(Uint8Array.from(value))
        else if (open.includes(reading)) read.push(...open.splice(open.indexOf(reading), 1))
      }
    }
    if (open.length < 2 && next() < 0.02) {
      const { records, losses, entry, stage } = bench
      const pieces = stage.snapshot()[Symbol.iterator]()
      open.push({ after: i, records: records.length, losses: losses.length, entry, pieces, bytes: [] })
    }
  })
  return { bench, read }
}

describe('a snapshot whose bytes are made while readings and ticks come', () => {
  for (const seed of [1, 2]) {
    const steps = journal(seed, 1500)
    const whole = replay(steps, () => false)

    it(`is of the moment it was taken (seed ${seed})`, () => {
      const { bench, read } = interrupted(steps, random(seed + 200))
      assert.deepEqual(textOf(bench), textOf(whole))
      assert.ok(read.length > 5, `${read.length} snapshots`)
      for (const { after, records, losses, entry, bytes } of read) {
        const restored = new Bench(...DEFINITIONS)
        restored.entry = entry
        restored.stage.restore(Buffer.concat(bytes))
        for (const step of steps.slice(after + 1)) take(restored, step)
        assert.deepEqual(textOf(restored), textOf(whole).slice(records))
        assert.deepEqual(restored.losses, whole.losses.slice(losses))
        assert.deepEqual(restored.stage.ledger(), whole.stage.ledger())
      }
    })
  }
})

describe('other definitions while the stage runs', () => {
  const steps = journal(3, 1500)
  const half = steps.slice(0, 700)
  const edited = DEFINITIONS.filter(({ name }) => name !== 'crowded')
    .map((definition) => ({ ...definition, delay: 1500, retain: 5000, attach: !definition.attach, textValues: 1 }))
    .reverse()

  /** The second half goes to `other` definitions. */
  function changed(change: (bench: Bench) => void): Bench {
    const bench = new Bench(...DEFINITIONS)
    for (const step of half) take(bench, step)
    change(bench)
    for (const step of steps.slice(700)) take(bench, step)
    return bench
  }

  it('do what a new stage with the snapshot of this one does', () => {
    let displaced: unknown
    const restored = changed((bench) => {
      const bytes = bench.snapshot()
      bench.stage = bench.create(edited)
      displaced = bench.stage.restore(bytes)
    })
    const redefined = changed((bench) => {
      bench.readings.forget()
      assert.deepEqual(bench.stage.redefine(edited), displaced)
    })
    assert.deepEqual(textOf(redefined), textOf(restored))
    assert.deepEqual(redefined.stage.ledger(), restored.stage.ledger())
    assert.deepEqual(redefined.stage.definitions, edited)
  })

  it('leave a snapshot that is being read as it is', () => {
    const before = new Bench(...DEFINITIONS)
    for (const step of half) take(before, step)
    const pieces = before.stage.snapshot()
    before.readings.forget()
    before.stage.redefine(edited)
    for (const step of steps.slice(700)) take(before, step)
    const after = new Bench(...DEFINITIONS)
    after.entry = half.length
    after.stage.restore(Buffer.concat([...pieces]))
    for (const step of steps.slice(700)) take(after, step)
    const whole = replay(steps, () => false)
    assert.deepEqual(textOf(after), textOf(whole).slice(-after.records.length))
    assert.ok(after.records.length > 0)
  })
})
