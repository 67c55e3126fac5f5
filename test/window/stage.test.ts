import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createReading, createShapes, NUMBER } from '../../gateway/reading.ts'
import { createWindowStage, type WindowDefinition } from '../../gateway/window/stage.ts'
import { Bench, define, random, START } from './simulation.ts'

const iso = (ms: number) => new Date(START + ms).toISOString()

function say(bench: Bench, device: string, at: number, fields: Record<string, number | string> = { x: 1 }): void {
  bench.add({ device, time: START + at, fields })
}

describe('a result', () => {
  it('has the form of the contract', () => {
    const bench = new Bench(define({ name: 'per-device' }))
    for (const cpuusage of [51, 99]) say(bench, 'dvc3001', 0, { cpuusage, state: 'NSW' })
    bench.finish(START)
    assert.equal(
      JSON.stringify(bench.records[0]),
      '{"kind":"window","window":"per-device","key":{"device":"dvc3001"},' +
        '"start":"2026-11-23T07:44:00.000Z","end":"2026-11-23T07:44:10.000Z","count":2,' +
        '"fields":{"cpuusage":{"count":2,"min":51,"max":99,"sum":150,"mean":75,"ssd":1152,"stddev":24},' +
        '"state":{"count":2,"values":{"NSW":2}}}}',
    )
  })

  it('has the fields in the order in which they first appeared', () => {
    const bench = new Bench(define({ statistics: ['count'] }))
    for (const fields of [{ c: 1 }, { a: 1, c: 1 }, { b: 'x', d: 1 }, { e: 1, f: 1, g: 1, h: 1 }]) {
      say(bench, 'd', 0, fields as Record<string, number>)
    }
    bench.finish(START)
    const fields = bench.records[0]?.fields ?? {}
    assert.deepEqual(Object.keys(fields), ['c', 'a', 'b', 'd', 'e', 'f', 'g', 'h'])
    assert.deepEqual(fields.c, { count: 2 })
  })

  it('has only the fields that are asked for', () => {
    const bench = new Bench(
      define({ name: 'only', fields: ['a', 's'], statistics: ['max'] }),
      define({ name: 'but', exclude: ['a', 's'], statistics: ['max'] }),
    )
    say(bench, 'd', 0, { a: 1, b: 2, s: 't' })
    bench.finish(START)
    assert.deepEqual(bench.records[0]?.fields, { a: { count: 1, max: 1 }, s: { count: 1, values: { t: 1 } } })
    assert.deepEqual(bench.records[1]?.fields, { b: { count: 1, max: 2 } })
  })

  it('counts only readings that match, and says how many did not', () => {
    const bench = new Bench(define({ where: { state: 'NSW', site: 'north' } }))
    for (const [state, site] of [
      ['NSW', 'north'],
      ['NSW', 'south'],
      ['VIC', 'north'],
    ] as const) {
      bench.add({ device: 'd', time: START, tags: { site }, fields: { state } })
    }
    bench.finish(START)
    assert.equal(bench.records[0]?.count, 1)
    assert.deepEqual(bench.stage.ledger(), [
      ...[{ window: 'w', source: 'mqtt', decoded: 3, windowed: 1, open: 0, late: 0, corrected: 0, filtered: 2 }].map(
        (row) => ({ ...row, evictedKeys: 0 }),
      ),
    ])
  })

  it('keeps its accounts per source, also for panes with readings of several', () => {
    const bench = new Bench(define({ kind: { hopping: { size: 30_000, slide: 10_000 } }, by: [] }))
    for (let i = 0; i < 30; i++) {
      bench.add({ device: 'd', time: START + i * 1000, source: ['a', 'b', 'c'][i % 3] as string, fields: { x: 1 } })
    }
    const open = bench.stage.ledger().map(({ source, open }) => [source, open])
    assert.deepEqual(open, [
      ['a', 10],
      ['b', 10],
      ['c', 10],
    ])
    bench.finish(START + 1e6)
    assert.deepEqual(
      bench.stage.ledger().map(({ windowed, open }) => [windowed, open]),
      [
        [10, 0],
        [10, 0],
        [10, 0],
      ],
    )
  })
})

describe('the number of keys', () => {
  for (const by of [['device'], ['device', 'x'], ['x', 'device'], ['site']]) {
    it(`by ${by.join(', ')} is bounded, and who was silent the longest goes first, with what it had`, () => {
      const bench = new Bench(define({ by, maxKeys: 3 }))
      const add = (name: string) =>
        bench.add({ device: name, time: START, tags: { site: name }, fields: { x: 'v', y: 1 } })
      for (const name of ['a', 'b', 'c', 'a', 'd', 'e', 'b']) add(name)
      assert.deepEqual(
        bench.records.map(({ key, count }) => [key.device ?? key.site, count]),
        [
          ['b', 1],
          ['c', 1],
          ['a', 2],
        ],
      )
      const [row] = bench.stage.ledger()
      assert.deepEqual([row?.windowed, row?.open, row?.evictedKeys], [4, 3, 3])
      assert.equal(bench.stage.stats()[0]?.keys, 3)
    })
  }

  it('is bounded by refusing new keys while the others are open', () => {
    const bench = new Bench(define({ maxKeys: 2, whenFull: 'refuse' }))
    for (const name of ['a', 'b', 'c', 'a']) say(bench, name, 0)
    assert.equal(bench.stage.ledger()[0]?.filtered, 1)
    bench.finish(START)
    say(bench, 'c', 0)
    assert.equal(bench.stage.ledger()[0]?.filtered, 1)
    assert.equal(bench.stage.ledger()[0]?.open, 1)
  })

  it('keeps the exact order of silence through a flood of new keys', () => {
    const bench = new Bench(define({ maxKeys: 2000 }))
    const next = random(3)
    const last = new Map<string, number>()
    let oldest = 0
    for (let i = 0; i < 12_000; i++) {
      const device = `d${Math.floor(next() * 5000)}`
      const seen = bench.records.length
      const known = last.delete(device)
      say(bench, device, 0)
      last.set(device, i)
      if (known || last.size <= 2000) continue
      const [expected] = last.keys()
      last.delete(expected as string)
      oldest++
      assert.equal(bench.records[seen]?.key.device, expected)
    }
    assert.ok(oldest > 1000, `${oldest} evictions were checked`)
  })
})

describe('field names that a sender invents', () => {
  it('fill neither a result nor the memory', () => {
    const bench = new Bench(define({ by: [] }))
    for (let i = 0; i < 6000; i++) say(bench, 'd', 0, { [`f${i}`]: i, [`t${i}`]: 'x' })
    const { skippedValues } = bench.stage.stats()[0] ?? {}
    assert.equal(skippedValues, 12_000 - 1024)
    bench.finish(START)
    assert.equal(Object.keys(bench.records[0]?.fields ?? {}).length, 1024)
  })

  it('leave the panes of others as they are when the layouts are swept', () => {
    const bench = new Bench(define({ statistics: ['sum'] }))
    for (let i = 0; i < 10; i++) say(bench, `good${i}`, 0, { a: 1, [`b${i}`]: 2 })
    for (let i = 0; i < 9000; i++) say(bench, 'bad', i * 100, { [`f${i}`]: i })
    for (let i = 0; i < 10; i++) say(bench, `good${i}`, 0, { a: 1, c: 3 })
    bench.finish(START)
    for (let i = 0; i < 10; i++) {
      const good = bench.records.find(({ key }) => key.device === `good${i}`)
      const expected = { a: { count: 2, sum: 2 }, [`b${i}`]: { count: 1, sum: 2 }, c: { count: 1, sum: 3 } }
      assert.deepEqual(good?.fields, expected)
    }
  })
})

describe('the latest result', () => {
  it('of the same key and of the same type goes on a reading', () => {
    const bench = new Bench(define({ attach: true, attachType: 'type' }), define({ name: 'other' }))
    const add = (device: string, at: number) =>
      bench.add({ device, time: START + at, tags: { type: 'bike' }, fields: { x: 1 } })
    const attached = (device: string) =>
      bench.stage.attached(bench.readings.of({ device, time: START, tags: { type: 'bike' }, fields: {} }))
    add('a', 0)
    assert.equal(attached('a'), undefined)
    add('a', 12_000)
    bench.reload()
    assert.equal(attached('a')?.w?.key?.start, iso(0))
    assert.deepEqual(Object.keys(attached('b')?.w ?? {}), ['type'])
    assert.equal(attached('b')?.w?.type?.key.device, 'a')
    assert.equal(attached('a')?.other, undefined)
  })

  it('is never an older one that was corrected', () => {
    const bench = new Bench(define({ attach: true }))
    for (const at of [0, 12_000, 25_000, 1000]) say(bench, 'a', at)
    bench.stage.tick({ now: START, idle: {}, flush: true })
    assert.equal(bench.records.at(-1)?.kind, 'correction')
    assert.equal(bench.stage.latest('w', { device: 'a' })[0]?.start, iso(10_000))
  })

  it('is kept for the API for a thousand keys', () => {
    const bench = new Bench(define())
    for (let i = 0; i < 1500; i++) say(bench, `d${i}`, 0)
    bench.finish(START)
    assert.equal(bench.stage.latest('w').length, 1000)
    assert.equal(bench.stage.latest('w', { device: 'd1499' }).length, 1)
    assert.deepEqual(bench.stage.latest('unknown'), [])
  })
})

describe('a snapshot', () => {
  it('serves a definition whose times or bounds were edited', () => {
    const bench = new Bench(define())
    say(bench, 'd', 0)
    const edited = define({ delay: 5000, idle: 1000, maxKeys: 5, late: 'drop' })
    const stage = bench.create([define({ name: 'new' }), edited])
    assert.deepEqual(stage.restore(bench.snapshot()), [])
    bench.stage = stage
    say(bench, 'd', 15_000)
    assert.deepEqual(
      bench.records.map(({ window, count }) => [window, count]),
      [['w', 1]],
    )
  })

  it('gives up a definition that was removed or changed, emitting what was open', () => {
    const kept = define({ name: 'kept' })
    const bench = new Bench(define({ name: 'removed' }), kept, define({ name: 'changed' }))
    for (const device of ['a', 'b']) say(bench, device, 0)
    const changed: WindowDefinition = define({ name: 'changed', kind: { tumbling: 20_000 } })
    const stage = bench.create([changed, kept])
    const displaced = stage.restore(bench.snapshot())
    assert.deepEqual(
      displaced.map(({ definition, reason, results, ledger }) => [definition.name, reason, results, ledger[0]?.open]),
      [
        ['removed', 'removed', 2, 0],
        ['changed', 'changed', 2, 0],
      ],
    )
    assert.deepEqual(
      bench.records.map(({ window, end }) => [window, end]),
      ['removed', 'removed', 'changed', 'changed'].map((name) => [name, iso(10_000)]),
    )
    assert.deepEqual(
      stage.ledger().map(({ window, open }) => [window, open]),
      [['kept', 2]],
    )
  })

  it('that is cut short or of a newer version is refused', () => {
    const bench = new Bench(define())
    say(bench, 'd', 0)
    const bytes = bench.snapshot()
    for (const length of [0, 3, 20, bytes.length - 1]) {
      assert.throws(() => bench.create().restore(bytes.subarray(0, length)), { code: 'SLUICE_SNAPSHOT_DAMAGED' })
    }
    const other = Buffer.from(
      Buffer.from(bytes)
        .toString('latin1')
        .replace(/"version":\d+/, '"version":9'),
      'latin1',
    )
    assert.throws(() => bench.create().restore(other), { code: 'SLUICE_NEWER_DATA' })
  })
})

describe('the state', () => {
  /** Bytes per key and field after every device has sent `rounds` readings, 2 s apart. */
  function bytesPer(devices: number, fields: number, rounds: number): number {
    const stage = createWindowStage([define({ retain: 10_000 })], { result() {} })
    let shape = createShapes()
    for (let i = 0; i < fields; i++) shape = shape.with(`f${i}`, NUMBER)
    const all = Array.from({ length: devices }, (_, i) => ({ id: `dvc${i}`, slots: [] }))
    const reading = createReading(all[0] ?? { id: '', slots: [] }, shape)
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < devices; i++) {
        reading.device = all[i] ?? reading.device
        reading.time = START + round * 2000
        reading.received = reading.time
        stage.add(reading, round * devices + i)
      }
    }
    return (stage.stats()[0]?.bytes ?? 0) / devices / fields
  }

  it('takes less than 600 bytes per key and field', () => {
    for (const [devices, fields] of [
      [30_000, 1],
      [5000, 4],
    ] as const) {
      const bytes = bytesPer(devices, fields, 15)
      assert.ok(bytes < 600, `${bytes} bytes with ${fields} fields`)
    }
  })

  it('does not grow while windows come and go', () => {
    const bench = new Bench(define({ retain: 20_000 }))
    const sizes: number[] = []
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 500; i++) say(bench, `d${i}`, round * 10_000, { x: 1, y: round, s: 'a' })
      sizes.push(bench.stage.stats()[0]?.bytes ?? 0)
    }
    assert.equal(sizes[29], sizes[9], 'bytes after 30 and after 10 windows')
  })
})

describe('a definition that makes no sense', () => {
  it('is refused', () => {
    const create = (overrides: Partial<WindowDefinition>) => () =>
      createWindowStage([define(overrides)], { result() {} })
    assert.throws(create({ kind: { tumbling: 0 } }), /length that is not positive/)
    assert.throws(create({ kind: { hopping: { size: 10, slide: 3 } } }), /not a multiple/)
  })
})
