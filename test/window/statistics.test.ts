import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NumberStatistics, TextStatistics } from '../../gateway/record.ts'
import { mergeNumberStatistics, mergeTextStatistics } from '../../gateway/window/merge.ts'
import { createWindowStage } from '../../gateway/window/stage.ts'
import { isStatistic } from '../../gateway/window/statistics.ts'
import { Bench, define, random, START } from './simulation.ts'

/** The statistics of values that arrive one per `every` ms in a single window. */
function statisticsOf(values: readonly number[], statistics: readonly string[] = [], every = 1): NumberStatistics {
  const bench = new Bench(define({ kind: { tumbling: 3_600_000 }, statistics, delay: 3_600_000 }))
  values.forEach((x, i) => {
    bench.add({ device: 'd', time: START + i * every, fields: { x } })
  })
  bench.finish(START)
  return bench.records[0]?.fields.x as NumberStatistics
}

function textOf(values: readonly string[], textValues = 10, statistics: readonly string[] = []): TextStatistics {
  const bench = new Bench(define({ textValues, statistics }))
  for (const state of values) bench.add({ device: 'd', time: START, fields: { state } })
  bench.finish(START)
  return bench.records[0]?.fields.state as TextStatistics
}

function near(actual: unknown, expected: number, error: number): void {
  assert.ok(Math.abs((actual as number) - expected) <= error, `${actual} is not within ${error} of ${expected}`)
}

function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

describe('statistics of numbers', () => {
  it('are by default those of the contract, in its order', () => {
    const values = [51, 99, 60, 88]
    assert.equal(
      JSON.stringify(statisticsOf(values)),
      '{"count":4,"min":51,"max":99,"sum":298,"mean":74.5,"ssd":1545,"stddev":19.653244007033546}',
    )
  })

  it('keep a variance of 0.08 at an offset of a thousand million', () => {
    const next = random(7)
    const deviations = Array.from({ length: 100_000 }, () => Math.round(normal(next) * Math.sqrt(0.08) * 1024) / 1024)
    const mean = deviations.reduce((a, b) => a + b, 0) / deviations.length
    const variance = deviations.reduce((a, b) => a + (b - mean) ** 2, 0) / deviations.length
    const { stddev, ssd, mean: shown } = statisticsOf(deviations.map((d) => 1e9 + d))
    near((stddev as number) ** 2, variance, 1e-9)
    near(ssd, variance * deviations.length, 1e-6)
    near(shown, 1e9 + mean, 1e-6)
  })

  it('keep the variance when the first value is far from all others', () => {
    for (const outlier of [1e6, -3e5, 0.5, 1e3]) {
      const values = [outlier, ...Array.from({ length: 20_000 }, (_, i) => i % 2)]
      const mean = values.reduce((sum, x) => sum + x, 0) / values.length
      const expected = values.reduce((sum, x) => sum + (x - mean) ** 2, 0)
      near((statisticsOf(values).ssd as number) / expected, 1, 1e-12)
    }
  })

  it('sum integers exactly', () => {
    const values = Array.from({ length: 1000 }, (_, i) => 1e12 + ((i * 7919) % 1000))
    assert.equal(
      statisticsOf(values).sum,
      values.reduce((a, b) => a + b, 0),
    )
  })

  it('tell the sample form of the deviation from that of the population', () => {
    const { stddev, stddev_samp } = statisticsOf([1, 2, 3, 4], ['stddev', 'stddev_samp'])
    assert.equal(stddev, Math.sqrt(5 / 4))
    assert.equal(stddev_samp, Math.sqrt(5 / 3))
    assert.deepEqual(statisticsOf([1], ['stddev_samp']), { count: 1 })
  })

  it('take first and last by event time, not by arrival', () => {
    const bench = new Bench(define({ statistics: ['first', 'last'] }))
    for (const [time, x] of [
      [3000, 3],
      [1000, 1],
      [4000, 4],
      [2000, 2],
    ] as const) {
      bench.add({ device: 'd', time: START + time, fields: { x } })
    }
    bench.finish(START)
    assert.deepEqual(bench.records[0]?.fields.x, { count: 4, first: 1, last: 4 })
  })

  it('count a decrease as a reset of the counter in the rate', () => {
    assert.deepEqual(statisticsOf([100, 110, 5, 15], ['rate'], 1000), { count: 4, rate: 25 / 3 })
    assert.deepEqual(statisticsOf([100], ['rate'], 1000), { count: 1 })
  })

  it('carry the rate across the slices of a hopping window', () => {
    const bench = new Bench(define({ kind: { hopping: { size: 40_000, slide: 10_000 } }, statistics: ['rate'] }))
    for (let i = 0; i < 8; i++) bench.add({ device: 'd', time: START + i * 5000, fields: { x: i * 50 } })
    bench.finish(START)
    const whole = bench.records.find(({ start }) => start === new Date(START).toISOString())
    assert.deepEqual(whole?.fields.x, { count: 8, rate: 10 })
  })

  it('give quantiles within one per cent, of negative numbers and zeros too', () => {
    const next = random(11)
    for (const draw of [() => Math.exp(normal(next) * 3), () => normal(next) * 100, () => Math.round(normal(next))]) {
      const values = Array.from({ length: 5000 }, draw)
      const statistics = statisticsOf(values, ['p1', 'p50', 'p99', 'p99.9', 'p100'])
      const sorted = values.toSorted((a, b) => a - b)
      for (const percent of [1, 50, 99, 99.9, 100]) {
        const exact = sorted[Math.floor((percent / 100) * 4999)] as number
        near(statistics[`p${percent}`], exact, Math.abs(exact) * 0.01 + 1e-12)
      }
    }
  })

  it('bound the sketch whatever the span of the values', () => {
    const values = Array.from({ length: 6000 }, (_, i) => 10 ** ((i - 3000) / 10))
    const sketch = statisticsOf(values, ['sketch', 'p99']).sketch as { positive: unknown[] }
    assert.ok(sketch.positive.length <= 2048, `${sketch.positive.length} buckets`)
    near((statisticsOf(values, ['p99']).p99 as number) / 10 ** 293.9, 1, 0.01)
  })

  it('count distinct values exactly when they are few, and within ten per cent when many', () => {
    assert.equal(statisticsOf([1, 2, 2, 3, -0, 0], ['distinct']).distinct, 4)
    for (const many of [1000, 20_000]) {
      const values = Array.from({ length: many }, (_, i) => i * 1.5)
      near(statisticsOf(values, ['distinct']).distinct, many, many * 0.1)
    }
  })

  it('name what is a statistic', () => {
    for (const name of ['p50', 'p99.9', 'p100', 'rate', 'sketch', 'stddev_samp']) assert.ok(isStatistic(name), name)
    for (const name of ['p', 'p101', 'median', 'p5x', '']) assert.ok(!isStatistic(name), name)
    assert.throws(() => createWindowStage([define({ statistics: ['median'] })], { result() {} }), /median/)
  })
})

describe('statistics of text', () => {
  it('count per value, and together what is beyond the bound', () => {
    assert.deepEqual(textOf(['a', 'b', 'a', 'c', 'd', 'd'], 2), { count: 6, values: { a: 2, b: 1 }, other: 3 })
  })

  it('count many values, and names that mean something to JavaScript', () => {
    const values = Array.from({ length: 100 }, (_, i) => `v${i % 50}`)
    const { values: counts } = textOf([...values, '__proto__'], 100)
    assert.equal(Object.keys(counts).length, 51)
    assert.equal(counts.v7, 2)
    assert.match(JSON.stringify(counts), /"__proto__":1/)
  })

  it('can have a distinct count as well', () => {
    assert.equal((textOf(['a', 'b', 'a', 'c'], 1, ['distinct']) as unknown as { distinct: number }).distinct, 3)
  })

  it('stand beside the numbers when a field comes as both', () => {
    const bench = new Bench(define({ statistics: ['max'] }))
    bench.add({ device: 'd', time: START, fields: { x: 7 } })
    bench.add({ device: 'd', time: START, fields: { x: 'broken' } })
    bench.finish(START)
    assert.deepEqual(bench.records[0]?.fields, {
      x: { count: 1, max: 7 },
      'x#text': { count: 1, values: { broken: 1 } },
    })
  })
})

describe('partial results', () => {
  it('merge into what one window over all values gives', () => {
    const next = random(13)
    const names = ['min', 'max', 'sum', 'mean', 'ssd', 'stddev', 'stddev_samp', 'p50', 'p99', 'sketch']
    for (let round = 0; round < 20; round++) {
      const offset = round % 2 === 0 ? 0 : 1e9
      const draw = (count: number) => Array.from({ length: count }, () => offset + Math.floor(normal(next) * 50))
      const parts = [draw(1 + Math.floor(next() * 50)), draw(1 + Math.floor(next() * 5)), draw(40)]
      const whole = statisticsOf(parts.flat(), names)
      const merged = parts.map((part) => statisticsOf(part, names)).reduce(mergeNumberStatistics)
      for (const exact of ['count', 'min', 'max', 'sum', 'mean', 'p50', 'p99'] as const) {
        assert.equal(merged[exact], whole[exact], exact)
      }
      assert.deepEqual(merged.sketch, whole.sketch)
      for (const close of ['ssd', 'stddev', 'stddev_samp'] as const) {
        near((merged[close] as number) / (whole[close] as number), 1, 1e-6)
      }
    }
  })

  it('merge from mean and ssd alone, and leave out what cannot be merged', () => {
    const a = statisticsOf([1, 2, 3], ['mean', 'ssd', 'rate', 'distinct', 'p50'])
    const b = statisticsOf([10, 20], ['mean', 'ssd', 'rate', 'distinct', 'p50'])
    const { mean, ssd, ...rest } = mergeNumberStatistics(a, b)
    near(mean, 7.2, 1e-12)
    near(ssd, 254.8, 1e-9)
    assert.deepEqual(rest, { count: 5 })
  })

  it('merge text counts', () => {
    assert.deepEqual(
      mergeTextStatistics({ count: 3, values: { a: 3 } }, { count: 4, values: { a: 1, b: 2 }, other: 1 }),
      { count: 7, values: { a: 4, b: 2 }, other: 1 },
    )
  })
})
