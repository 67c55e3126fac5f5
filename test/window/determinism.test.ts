import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Tick, WindowDefinition } from '../../gateway/window/stage.ts'
import { Bench, define, random, type Sample, START } from './simulation.ts'

type Step = { readonly sample: Sample } | { readonly tick: Tick }

const EVERY_STATISTIC = [
  ...['min', 'max', 'sum', 'mean', 'ssd', 'stddev', 'stddev_samp', 'first', 'last', 'rate', 'distinct'],
  ...['p50', 'p99.9', 'sketch'],
]

const DEFINITIONS: readonly WindowDefinition[] = [
  define({ name: 'tumbling', retain: 20_000, statistics: EVERY_STATISTIC, attach: true }),
  define({ name: 'hopping', kind: { hopping: { size: 45_000, slide: 15_000 } }, by: ['site'], idle: 15_000 }),
  define({ name: 'session', kind: { session: 3_000 }, by: ['device', 'stream'], idle: 5_000, delay: 500 }),
  define({ name: 'sessions', kind: { session: 1_000 }, by: ['state'], retain: 10_000, delay: 500 }),
  define({ name: 'fleet', by: [], delay: 500, late: 'drop', where: { site: 'north' } }),
  define({ name: 'processing', by: ['device'], time: 'processing' }),
  define({ name: 'crowded', by: ['device', 'state'], maxKeys: 7, retain: 30_000 }),
  define({ name: 'refusing', by: ['state', 'device'], maxKeys: 5, whenFull: 'refuse', idle: 3_000 }),
]

/** What the gateway journals: readings, and ticks as `due` asked for them; the wall clock is stepped twice. */
function journal(seed: number, count: number): Step[] {
  const next = random(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  const bench = new Bench(...DEFINITIONS)
  const steps: Step[] = []
  let monotonic = 0
  let step = 0
  for (let i = 0; i < count; i++) {
    monotonic += next() < 0.01 ? 20_000 : next() * 300
    if (i === Math.floor(count / 3)) step = 3_600_000
    if (i === Math.floor((count * 2) / 3)) step = 0
    const wall = Math.floor(START + monotonic + step)
    const due = bench.stage.due(wall, monotonic, bench.entry)
    // Some in slices, as if there were very many devices; the rest of it is due next.
    const tick = due && !due.slice && next() < 0.3 ? { ...due, slice: { index: 0, of: 3 } } : due
    if (tick) {
      bench.entry++
      bench.stage.tick(tick)
      steps.push({ tick })
    }
    const stamped = next() < 0.2
    const sample: Sample = {
      device: pick(['d1', 'd2', 'd3', 'd4', 'd5']),
      time: stamped ? wall : Math.floor(START + monotonic - (next() < 0.1 ? next() * 60_000 : next() * 1000)),
      received: wall,
      stamped,
      source: pick(['mqtt', 'mqtt', 'http']),
      stream: pick(['x', 'y']),
      tags: { site: pick(['north', 'south']) },
      fields: {
        ...(next() < 0.7 ? { a: Math.floor(next() * 100) } : { b: next() - 0.5 }),
        state: pick(['up', 'down']),
      },
    }
    bench.add(sample)
    steps.push({ sample })
  }
  return steps
}

function replay(steps: readonly Step[], reload: (i: number) => boolean): Bench {
  const bench = new Bench(...DEFINITIONS)
  steps.forEach((step, i) => {
    if ('tick' in step) {
      bench.entry++
      bench.stage.tick(step.tick)
    } else bench.add(step.sample)
    if (reload(i)) bench.reload()
  })
  return bench
}

const textOf = (bench: Bench) => bench.records.map((record) => JSON.stringify(record))

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
