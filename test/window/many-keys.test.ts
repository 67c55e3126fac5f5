import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NumberStatistics } from '../../gateway/record.ts'
import { KEYS } from '../../gateway/window/slices.ts'
import type { Tick, WindowDefinition } from '../../gateway/window/stage.ts'
import { Bench, define, finalResults, random, type Sample, START } from './simulation.ts'

const MANY = 3000
const KINDS = {
  tumbling: { tumbling: 10_000 },
  hopping: { hopping: { size: 30_000, slide: 10_000 } },
  session: { session: 8_000 },
} as const

type Step = { readonly sample: Sample } | { readonly tick: Tick }

/** A reading of each of many sites every five seconds, some late, and the ticks as `due` asked for them. */
function journal(definition: WindowDefinition, seed: number): { steps: Step[]; most: number } {
  const next = random(seed)
  const bench = new Bench(definition)
  const steps: Step[] = []
  let most = 0
  const watch = (act: () => void) => {
    const before = bench.records.length
    act()
    most = Math.max(most, bench.records.length - before)
  }
  for (let i = 0; i < 8 * MANY; i++) {
    const now = START + i * (5_000 / MANY)
    const site = `site-${Math.floor(next() * MANY)}`
    const time = Math.floor(now - (next() < 0.05 ? next() * 40_000 : next() * 1000))
    const sample = {
      device: `d${i % 50}`,
      time,
      received: now,
      tags: { site },
      fields: { a: Math.floor(next() * 100) },
    }
    watch(() => bench.add(sample))
    steps.push({ sample })
    // As often as the gateway looks; while a closing is under way, between any two readings.
    if (i % 60 !== 0 && !(bench.stage.ticking && next() < 0.1)) continue
    const tick = bench.stage.due(Math.floor(now), now - START, bench.entry)
    if (tick === null) continue
    bench.entry++
    watch(() => bench.stage.tick(tick))
    steps.push({ tick })
  }
  return { steps, most }
}

function replay(definition: WindowDefinition, steps: readonly Step[], reload: (bench: Bench) => boolean): Bench {
  const bench = new Bench(definition)
  for (const step of steps) {
    if ('tick' in step) {
      bench.entry++
      bench.stage.tick(step.tick)
    } else bench.add(step.sample)
    if (reload(bench)) bench.reload()
  }
  return bench
}

const textOf = (bench: Bench) => bench.records.map((record) => JSON.stringify(record))

/** Sum and count per site and aligned window, of all readings. */
function recompute(steps: readonly Step[], size: number, slide: number): Map<string, string> {
  const windows = new Map<string, [number, number]>()
  for (const step of steps) {
    if ('tick' in step) continue
    const { time, tags, fields } = step.sample
    for (let start = Math.floor(time / slide) * slide; start > time - size; start -= slide) {
      const id = `w {"site":"${tags?.site}"} ${new Date(start).toISOString()}`
      const [count, sum] = windows.get(id) ?? [0, 0]
      windows.set(id, [count + 1, sum + (fields.a as number)])
    }
  }
  return new Map([...windows].map(([id, [count, sum]]) => [id, `${count} ${sum}`]))
}

/** Closes what is open, as ticks do. */
function finish(bench: Bench): void {
  const now = START + 3_600_000
  const idle = { w: bench.entry }
  const times = { w: { of: 1, to: now } }
  bench.entry++
  bench.stage.tick({ now, idle, times, flush: true })
}

describe('windows over several devices with very many keys', () => {
  for (const [name, kind] of Object.entries(KINDS)) {
    for (const time of name === 'session' ? (['event'] as const) : (['event', 'processing'] as const)) {
      const definition = define({ kind, by: ['site'], time, retain: 3_600_000, statistics: ['sum'] })
      const { steps, most } = journal(definition, 1)
      const whole = replay(definition, steps, () => false)

      it(`close in slices while readings come (${name}, ${time} time)`, () => {
        assert.ok(whole.records.length > MANY, `${whole.records.length} records`)
        assert.ok(most < 2 * KEYS, `${most} at once`)
      })

      it(`give the same records from a snapshot in the middle of a closing (${name}, ${time} time)`, () => {
        const next = random(2)
        const broken = replay(definition, steps, ({ stage }) => next() < (stage.ticking ? 0.1 : 0.0005))
        assert.deepEqual(textOf(broken), textOf(whole))
        assert.deepEqual(broken.stage.ledger(), whole.stage.ledger())
      })

      it(`count each reading in its windows (${name}, ${time} time)`, () => {
        const bench = replay(definition, steps, () => false)
        for (const row of bench.stage.ledger())
          assert.equal(row.decoded, row.windowed + row.open + row.late + row.filtered)
        finish(bench)
        const results = finalResults(bench.records)
        if (time === 'event' && 'session' in kind === false) {
          const [size, slide] = 'tumbling' in kind ? [kind.tumbling, kind.tumbling] : [30_000, 10_000]
          const found = [...results].map(
            ([id, { count, fields }]) => [id, `${count} ${(fields.a as NumberStatistics).sum}`] as const,
          )
          assert.deepEqual(new Map(found.sort()), new Map([...recompute(steps, size, slide)].sort()))
        } else {
          const windows = name === 'hopping' ? 3 : 1
          const counted = [...results.values()].reduce((sum, { count }) => sum + count, 0)
          assert.equal(counted, windows * 8 * MANY)
        }
      })
    }
  }

  it('close every other key at the same tick when some are missing', () => {
    const definition = define({ by: ['site'], retain: 3_600_000 })
    const { steps } = journal(definition, 3)
    const missing = (site: unknown) => String(site).endsWith('7')
    const some = steps.filter((step) => 'tick' in step || !missing(step.sample.tags?.site))
    const byTick = (of: readonly Step[]) => {
      const bench = new Bench(definition)
      const ticks: string[][] = []
      for (const step of of) {
        const before = bench.records.length
        if ('sample' in step) bench.add(step.sample)
        else bench.stage.tick(step.tick)
        const own = bench.records.slice(before).filter(({ key }) => !missing(key.site))
        if ('tick' in step) ticks.push(own.map((record) => JSON.stringify(record)))
      }
      return ticks
    }
    assert.deepEqual(byTick(some), byTick(steps))
  })

  it('close all at once where the journal of an older gateway has no slices', () => {
    const bench = new Bench(define({ by: ['site'], retain: 3_600_000 }))
    const say = (i: number, at: number) =>
      bench.add({ device: 'd', time: START + at, tags: { site: `s${i}` }, fields: { a: 1 } })
    for (let i = 0; i < MANY; i++) say(i, 0)
    say(0, 12_000)
    assert.equal(bench.records.length, MANY)
    for (let i = 0; i < MANY; i++) say(i, 1_000)
    bench.stage.tick({ now: START + 12_000, idle: {}, flush: true, slice: { index: 0, of: 3 } })
    assert.equal(bench.records.length, 2 * MANY)
  })

  it('close when every source is idle, no further than what was open', () => {
    const bench = new Bench(define({ by: ['site'], idle: 5000, delay: 60_000 }))
    const say = (i: number, at: number) =>
      bench.add({ device: 'd', time: START + at, received: START + 20_000, tags: { site: `s${i}` }, fields: { a: 1 } })
    const drain = (monotonic: number) => {
      while (bench.pass(START + 20_000 + monotonic, monotonic));
    }
    for (let i = 0; i < MANY; i++) say(i, i % 2 === 0 ? -3_600_000 : -3_650_000)
    drain(0)
    assert.equal(bench.records.length, 0)
    drain(7000)
    assert.equal(bench.records.length, MANY)
    // What goes on from there is not late.
    say(1, -3_590_000)
    assert.equal(bench.stage.ledger()[0]?.late, 0)
  })
})

describe('corrections of very many keys', () => {
  for (const by of ['device', 'site']) {
    it(`are sent in slices (by ${by})`, () => {
      const bench = new Bench(define({ by: [by], retain: 3_600_000 }))
      const say = (i: number, at: number, now: number) =>
        bench.add({
          device: `d${i}`,
          time: START + at,
          received: START + now,
          tags: { site: `s${i}` },
          fields: { a: 1 },
        })
      let most = 0
      const drain = (now: number) => {
        for (;;) {
          const before = bench.records.length
          if (!bench.pass(START + now, now)) return
          most = Math.max(most, bench.records.length - before)
        }
      }
      for (let i = 0; i < MANY; i++) say(i, 0, 0)
      drain(100)
      for (let i = 0; i < MANY; i++) say(i, 20_000, 20_000)
      drain(20_000)
      assert.equal(bench.records.length, MANY)
      for (let i = 0; i < MANY; i++) say(i, 1000, 20_000)
      drain(20_100)
      most = 0
      drain(22_000)
      assert.equal(bench.records.filter(({ kind, count }) => kind === 'correction' && count === 2).length, MANY)
      assert.ok(most < 2 * KEYS, `${most} at once`)
    })
  }
})

describe('windows by device of very many devices', () => {
  const NOW = START + 10_000
  const devices = Array.from({ length: 1200 }, (_, i) => `d${i}`)

  /** Results by the slice that closed them. */
  function closeAll(present: readonly string[]): string[][] {
    const bench = new Bench(define({ name: 'w' }))
    for (const device of present) bench.add({ device, time: START, received: START, stamped: true, fields: { a: 1 } })
    const slices: string[][] = []
    for (let index = 0; index < 3; index++) {
      const before = bench.records.length
      bench.stage.tick({ now: NOW + 60_000, idle: {}, slice: { index, of: 3 } })
      slices.push(bench.records.slice(before).map(({ key }) => key.device as string))
    }
    return slices
  }

  it('close in slices, one tick after the other, each device once', () => {
    const bench = new Bench(define({ name: 'w' }))
    for (const device of devices) bench.add({ device, time: START, received: START, stamped: true, fields: { a: 1 } })
    const sizes: number[] = []
    for (let tick = bench.stage.due(NOW + 60_000, 0, bench.entry); tick; tick = bench.stage.due(NOW + 60_000, 0, 0)) {
      const before = bench.records.length
      bench.stage.tick(tick)
      sizes.push(bench.records.length - before)
    }
    assert.equal(sizes.length, 3)
    assert.ok(Math.max(...sizes) < 500, `${sizes}`)
    assert.equal(new Set(bench.records.map(({ key }) => key.device)).size, 1200)
    assert.equal(bench.stage.ticking, false)
  })

  it('are in the same slice when some of them are missing', () => {
    const all = closeAll(devices)
    const some = devices.filter((_, i) => i % 3 !== 1)
    const missing = new Set(devices.filter((device) => !some.includes(device)))
    assert.deepEqual(
      closeAll(some),
      all.map((slice) => slice.filter((device) => !missing.has(device))),
    )
  })
})
