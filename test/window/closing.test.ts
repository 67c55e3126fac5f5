import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { WindowRecord } from '../../gateway/record.ts'
import { Bench, define, START } from './simulation.ts'

const HOUR = 3_600_000
const iso = (ms: number) => new Date(START + ms).toISOString()
const brief = ({ key, start, count, kind }: WindowRecord) => [kind, Object.values(key).join('/'), start, count]

/** One reading of a device; `at` is event time and `now` the gateway's clock, both ms after START. */
function say(bench: Bench, device: string, at: number, now = at, source = 'mqtt'): void {
  bench.add({ device, time: START + at, received: START + now, source, fields: { x: 1 } })
}

function stamp(bench: Bench, device: string, now: number): void {
  bench.add({ device, time: START + now, received: START + now, stamped: true, fields: { x: 1 } })
}

describe('windows by device', () => {
  it('give a device that comes back with an hour of backlog its windows', () => {
    const bench = new Bench(define())
    for (let i = 0; i < 5; i++) say(bench, 'present', HOUR + i * 1000)
    for (let at = 0; at < HOUR; at += 2500) say(bench, 'backlog', at, HOUR + 5000)
    const backlog = bench.records.filter(({ key }) => key.device === 'backlog')
    assert.equal(backlog.length, 359)
    assert.equal(backlog.filter(({ kind, count }) => kind === 'window' && count === 4).length, 359)
    assert.equal(bench.stage.ledger()[0]?.late, 0)
  })

  it('let a wrong clock harm its own device only', () => {
    const bench = new Bench(define({ retain: 0 }))
    for (let at = 0; at < 60_000; at += 1000) {
      say(bench, 'right', at)
      say(bench, 'ahead', at === 20_000 ? at + 50 * 60_000 : at)
      say(bench, 'behind', at === 20_000 ? at - 24 * HOUR : at)
    }
    const right = bench.records.filter(({ key }) => key.device === 'right')
    assert.deepEqual(
      right.map(({ count }) => count),
      [10, 10, 10, 10, 10],
    )
    const behind = bench.records.filter(({ key }) => key.device === 'behind')
    assert.deepEqual(
      behind.map(({ count }) => count),
      [10, 10, 9, 10, 10],
    )
    const ahead = bench.records.filter(({ key }) => key.device === 'ahead')
    assert.deepEqual(
      ahead.map(({ count }) => count),
      [10, 10],
    )
    assert.equal(bench.stage.ledger()[0]?.late, 1 + 39)
  })

  it('close exactly when the highest event time less the delay reaches their end', () => {
    const bench = new Bench(define())
    say(bench, 'd', 0)
    say(bench, 'd', 11_999)
    assert.equal(bench.records.length, 0)
    say(bench, 'd', 12_000)
    assert.deepEqual(bench.records.map(brief), [['window', 'd', iso(0), 1]])
    assert.equal(bench.records[0]?.end, iso(10_000))
  })

  it('put a reading at the very end of a window into the next', () => {
    const bench = new Bench(define())
    for (const at of [-1, 0, 9999, 10_000]) say(bench, 'd', at)
    bench.finish(START)
    assert.deepEqual(
      bench.records.map(({ start, count }) => [start, count]),
      [
        [iso(-10_000), 1],
        [iso(0), 2],
        [iso(10_000), 1],
      ],
    )
  })

  it('close after `idle` without a reading of the device, and take what follows as late', () => {
    const bench = new Bench(define({ idle: 5000 }))
    say(bench, 'silent', 1000)
    assert.equal(bench.pass(START + 1000, 0), false)
    for (let t = 500; t < 5000; t += 500) {
      say(bench, 'lively', 1000)
      assert.equal(bench.pass(START + 1000 + t, t), false)
    }
    say(bench, 'lively', 1000)
    assert.equal(bench.pass(START + 6000, 5200), true)
    assert.deepEqual(bench.records.map(brief), [['window', 'silent', iso(0), 1]])
    say(bench, 'silent', 2000)
    bench.finish(START)
    assert.deepEqual(bench.records.slice(1).map(brief), [
      ['window', 'lively', iso(0), 10],
      ['correction', 'silent', iso(0), 2],
    ])
  })

  it('close by the clock for a device that the gateway stamps, though nothing more arrives', () => {
    const bench = new Bench(define())
    stamp(bench, 'd', 3000)
    assert.equal(bench.pass(START + 11_999, 9000), false)
    assert.equal(bench.pass(START + 12_000, 9001), true)
    assert.deepEqual(bench.records.map(brief), [['window', 'd', iso(0), 1]])
  })

  it('go on without loss or repetition when the clock of the gateway is stepped an hour either way', () => {
    for (const step of [HOUR, -HOUR]) {
      const bench = new Bench(define())
      for (let t = 0; t < 120_000; t += 500) {
        const wall = t + (t >= 60_000 ? step : 0)
        stamp(bench, 'd', wall)
        bench.pass(START + wall, t)
      }
      const { late, open, windowed } = bench.stage.ledger()[0] ?? {}
      assert.equal(late, 0)
      assert.equal((open ?? 0) + (windowed ?? 0), 240)
      assert.ok((open ?? 0) <= 30, `${open} are still open`)
      assert.equal(new Set(bench.records.map(({ start }) => start)).size, bench.records.length)
    }
  })

  it('share the time of the device between its streams', () => {
    const bench = new Bench(define({ by: ['device', 'stream'] }))
    const add = (stream: string | undefined, at: number) =>
      bench.add({ device: 'd', time: START + at, ...(stream ? { stream } : {}), fields: { x: 1 } })
    add('a', 0)
    add('b', 12_000)
    assert.deepEqual(bench.records.map(brief), [['window', 'd/a', iso(0), 1]])
    add(undefined, 30_000)
    assert.deepEqual(bench.records.slice(1).map(brief), [['window', 'd/b', iso(10_000), 1]])
    assert.equal(bench.stage.ledger()[0]?.filtered, 1)
  })

  it('keep many streams of a device apart', () => {
    const bench = new Bench(define({ by: ['device', 'stream'] }))
    for (let i = 0; i < 100; i++) {
      bench.add({ device: 'd', time: START, stream: `s${i % 50}`, fields: { x: i } })
    }
    bench.finish(START)
    assert.equal(bench.records.length, 50)
    assert.equal(bench.records.filter(({ count }) => count !== 2).length, 0)
  })
})

describe('windows over several devices', () => {
  it('close on the highest event time that the source has shown', () => {
    const bench = new Bench(define({ by: [] }))
    say(bench, 'a', 1000)
    say(bench, 'b', 11_999)
    assert.equal(bench.records.length, 0)
    say(bench, 'a', 12_000)
    assert.deepEqual(bench.records.map(brief), [['window', '', iso(0), 1]])
  })

  it('take that time at most up to the clock of the gateway', () => {
    const bench = new Bench(define({ by: [] }))
    say(bench, 'right', 1000)
    say(bench, 'ahead', 1000 + 30 * 60_000, 1000)
    say(bench, 'right', 5000)
    assert.deepEqual(bench.records, [])
    assert.equal(bench.stage.ledger()[0]?.late, 0)
    say(bench, 'right', 12_000)
    assert.deepEqual(bench.records.map(brief), [['window', '', iso(0), 2]])
  })

  it('correct their result for a device that is further behind', () => {
    const bench = new Bench(define({ by: [] }))
    say(bench, 'a', 1000)
    say(bench, 'a', 13_000)
    say(bench, 'behind', 2000, 13_000)
    say(bench, 'behind', 3000, 13_000)
    bench.pass(START + 13_000, 0)
    assert.equal(bench.records.length, 1)
    bench.pass(START + 14_000, 1000)
    assert.deepEqual(bench.records.slice(1).map(brief), [['correction', '', iso(0), 3]])
    assert.equal(bench.records[1]?.rev, 2)
  })

  it('wait for the slowest source that is not idle', () => {
    const bench = new Bench(define({ by: [], idle: 5000 }))
    say(bench, 'a', 1000, 1000, 'slow')
    bench.pass(START + 1000, 0)
    for (let at = 2000; at <= 40_000; at += 1000) say(bench, 'b', at, at, 'fast')
    assert.equal(bench.records.length, 0)
    assert.equal(bench.pass(START + 40_000, 4999), false)
    assert.equal(bench.pass(START + 40_000, 5200), true)
    assert.deepEqual(
      bench.records.map(({ start, count }) => [start, count]),
      [
        [iso(0), 9],
        [iso(10_000), 10],
        [iso(20_000), 10],
      ],
    )
  })

  it('close when every source is idle, but not what a wrong clock has put ahead', () => {
    const bench = new Bench(define({ by: [], idle: 5000 }))
    say(bench, 'right', 1000)
    say(bench, 'ahead', 1000 + 30 * 60_000, 1000)
    bench.pass(START + 1000, 0)
    assert.equal(bench.pass(START + 7000, 6000), true)
    assert.deepEqual(bench.records.map(brief), [['window', '', iso(0), 1]])
    say(bench, 'right', 65_000)
    assert.equal(bench.stage.ledger()[0]?.late, 0)
    assert.equal(bench.stage.ledger()[0]?.open, 2)
  })

  it('take up old data again after a pause', () => {
    const bench = new Bench(define({ by: [], idle: 5000 }))
    const old = -10 * 365 * 24 * HOUR
    for (let at = 0; at < 30_000; at += 1000) say(bench, 'd', old + at, 0)
    bench.pass(START, 0)
    bench.pass(START + 7000, 7000)
    assert.equal(bench.records.length, 3)
    for (let at = 30_000; at < 60_000; at += 1000) say(bench, 'd', old + at, 7000)
    assert.equal(bench.stage.ledger()[0]?.late, 0)
  })

  it('close by the clock when the gateway stamps the readings', () => {
    const bench = new Bench(define({ by: [] }))
    stamp(bench, 'd', 3000)
    assert.equal(bench.pass(START + 11_999, 9000), false)
    assert.equal(bench.pass(START + 12_000, 9001), true)
    assert.equal(bench.records.length, 1)
  })

  it('by processing time close at their end, whatever the event times say', () => {
    const bench = new Bench(define({ by: ['device'], time: 'processing' }))
    say(bench, 'd', -HOUR, 1000)
    say(bench, 'd', HOUR, 9000)
    assert.equal(bench.pass(START + 9999, 9000), false)
    assert.equal(bench.pass(START + 10_000, 9001), true)
    assert.deepEqual(bench.records.map(brief), [['window', 'd', iso(0), 2]])
    assert.equal(bench.stage.ledger()[0]?.late, 0)
  })
})

describe('a tick', () => {
  it('is asked for only when it does something', () => {
    const bench = new Bench(
      define({ name: 'device', kind: { session: 3000 }, idle: 7000 }),
      define({ name: 'fleet', kind: { session: 3000 }, by: [], idle: 7000 }),
      define({ name: 'tumbling', idle: 7000 }),
      define({ name: 'processing', time: 'processing', by: [] }),
    )
    let ticks = 0
    for (let t = 0; t < 100_000; t += 100) {
      if (t % 1000 === 0 && t % 30_000 < 12_000) stamp(bench, `d${t % 7}`, t)
      if (t % 1000 === 0 && t < 20_000) say(bench, 'e', t - 500, t)
      const before = bench.records.length
      if (!bench.pass(START + t, t)) continue
      ticks++
      assert.ok(bench.records.length > before, `the tick at ${t} did nothing`)
    }
    assert.ok(ticks > 10, `${ticks} ticks`)
  })

  it('does nothing to clocks that other readings have moved already', () => {
    const bench = new Bench(define())
    say(bench, 'd', 1000)
    bench.stage.tick({ now: START + HOUR, idle: {} })
    say(bench, 'd', 2000, HOUR)
    assert.equal(bench.stage.ledger()[0]?.open, 2)
  })
})

describe('a time shown without a reading', () => {
  it('moves the clock of its device and its source', () => {
    const bench = new Bench(define({ name: 'device' }), define({ name: 'fleet', by: [] }))
    say(bench, 'd', 1000)
    bench.stage.advance('mqtt', 'd', START + 12_000, START + 12_000, false)
    assert.deepEqual(
      bench.records.map(({ window }) => window),
      ['device', 'fleet'],
    )
  })
})
