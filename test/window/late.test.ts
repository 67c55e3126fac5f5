import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NumberStatistics } from '../../gateway/record.ts'
import { Bench, define, START } from './simulation.ts'

const iso = (ms: number) => new Date(START + ms).toISOString()

function say(bench: Bench, at: number, device = 'd', x = 1): void {
  bench.add({ device, time: START + at, fields: { x } })
}

describe('late readings', () => {
  it('make one correction together, with the whole new result', () => {
    const bench = new Bench(define())
    say(bench, 1000)
    say(bench, 15_000)
    for (const at of [2000, 3000, 4000]) say(bench, at, 'd', 5)
    bench.pass(START + 15_000, 0)
    bench.pass(START + 15_000, 500)
    assert.equal(bench.records.length, 1)
    bench.pass(START + 15_000, 1000)
    say(bench, 5000)
    bench.pass(START + 15_000, 1100)
    bench.pass(START + 15_000, 2100)
    const [first, ...corrections] = bench.records
    assert.equal(first?.count, 1)
    assert.deepEqual(
      corrections.map(({ kind, rev, start, count }) => [kind, rev, start, count]),
      [
        ['correction', 2, iso(0), 4],
        ['correction', 3, iso(0), 5],
      ],
    )
    assert.equal(Object.keys(corrections[0] ?? {}).join(), 'kind,rev,window,key,start,end,count,fields')
  })

  it('correct a window that had no reading when it closed', () => {
    const bench = new Bench(define())
    say(bench, 1000)
    say(bench, 35_000)
    say(bench, 12_000)
    bench.finish(START)
    const correction = bench.records.find(({ kind }) => kind === 'correction')
    assert.deepEqual([correction?.rev, correction?.start, correction?.count], [2, iso(10_000), 1])
  })

  it('beyond the horizon are counted and reported', () => {
    const bench = new Bench(define({ retain: 20_000 }))
    say(bench, 1000)
    say(bench, 100_000)
    for (const at of [5000, 3000]) say(bench, at)
    say(bench, 80_000)
    bench.finish(START)
    assert.deepEqual(bench.losses, [{ source: 'mqtt', window: 'w', count: 2, from: START + 3000, to: START + 5000 }])
    const { late, corrected } = bench.stage.ledger()[0] ?? {}
    assert.deepEqual([late, corrected], [3, 1])
  })

  it('for some of the windows of a hopping definition are late for none, and correct those', () => {
    const bench = new Bench(define({ kind: { hopping: { size: 30_000, slide: 10_000 } } }))
    say(bench, 25_000)
    say(bench, 43_000)
    say(bench, 26_000)
    bench.finish(START)
    const { late, windowed } = bench.stage.ledger()[0] ?? {}
    assert.deepEqual([late, windowed], [0, 3])
    assert.deepEqual(
      bench.records.filter(({ kind }) => kind === 'correction').map(({ start, count }) => [start, count]),
      [
        [iso(0), 2],
        [iso(10_000), 2],
      ],
    )
  })

  it('correct of a hopping definition only the windows that are still whole', () => {
    const bench = new Bench(define({ kind: { hopping: { size: 30_000, slide: 10_000 } }, retain: 5000 }))
    for (const at of [5000, 25_000, 43_000, 26_000]) say(bench, at)
    bench.finish(START)
    assert.deepEqual(
      bench.records.filter(({ kind }) => kind === 'correction').map(({ start, count }) => [start, count]),
      [[iso(10_000), 2]],
    )
  })

  it('are corrected before what they belong to is let go', () => {
    const bench = new Bench(define({ retain: 20_000 }))
    say(bench, 1000)
    say(bench, 15_000)
    say(bench, 2000)
    say(bench, 200_000)
    assert.deepEqual(
      bench.records.map(({ kind, start, count }) => [kind, start, count]),
      [
        ['window', iso(0), 1],
        ['window', iso(10_000), 1],
        ['correction', iso(0), 2],
      ],
    )
  })

  it('within a session that was emitted correct it, and its start and end stay', () => {
    const bench = new Bench(define({ kind: { session: 5000 }, delay: 0 }))
    for (const at of [0, 3000, 20_000]) say(bench, at)
    say(bench, 1000)
    say(bench, 7000)
    say(bench, 12_000)
    bench.finish(START)
    const corrections = bench.records.filter(({ kind }) => kind === 'correction')
    assert.deepEqual(
      corrections.map(({ start, end, count }) => [start, end, count]),
      [
        [iso(0), iso(8000), 4],
        [iso(12_000), iso(17_000), 1],
      ],
    )
  })

  it('join sessions that are still open', () => {
    const bench = new Bench(define({ kind: { session: 5000 }, delay: 30_000 }))
    for (const at of [0, 8000, 16_000, 4000, 12_000]) say(bench, at, 'd', at)
    bench.finish(START)
    assert.deepEqual(
      bench.records.map(({ start, end, count }) => [start, end, count]),
      [[iso(0), iso(21_000), 5]],
    )
    assert.deepEqual((bench.records[0]?.fields.x as NumberStatistics | undefined)?.sum, 40_000)
  })
})
