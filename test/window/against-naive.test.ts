import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NumberStatistics, TextStatistics, WindowRecord } from '../../gateway/record.ts'
import type { WindowDefinition } from '../../gateway/window/stage.ts'
import { Bench, define, finalResults, random, type Sample, START } from './simulation.ts'

const KINDS = {
  tumbling: { tumbling: 10_000 },
  hopping: { hopping: { size: 45_000, slide: 15_000 } },
  session: { session: 4_000 },
} as const
const KEYS = {
  'by device': ['device'],
  'by device and stream': ['device', 'stream'],
  'by a tag and a text field': ['site', 'state'],
  'over the whole fleet': [],
} as const

/** Readings of some devices, out of order by up to `jitter`, some of them by up to `lag`. Times in ms. */
function samples(seed: number, count: number, jitter: number, lag: number): Sample[] {
  const next = random(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  return Array.from({ length: count }, (_, i): Sample => {
    const now = START + i * 200 + (i > count / 2 ? 30_000 : 0)
    const behind = lag > 0 && next() < 0.1 ? next() * lag : next() * jitter
    const fields: Record<string, number | string> = { a: Math.floor(next() * 1000) }
    if (next() < 0.5) fields.b = next() - 0.5
    fields.state = pick(['NSW', 'VIC', 'QLD'])
    return {
      device: pick(['d1', 'd2', 'd3']),
      time: Math.floor(now - behind),
      received: now,
      source: pick(['mqtt', 'http']),
      stream: pick(['x', 'y']),
      tags: { site: pick(['north', 'south']) },
      fields,
    }
  })
}

function keyOf(sample: Sample, by: readonly string[]): Record<string, string> {
  const all: Record<string, string | undefined> = {
    device: sample.device,
    stream: sample.stream,
    ...sample.tags,
    state: String(sample.fields.state),
  }
  return Object.fromEntries(by.map((part) => [part, all[part] as string]))
}

interface Naive {
  readonly key: Record<string, string>
  readonly start: number
  readonly end: number
  readonly samples: Sample[]
}

/** The clock that closes the windows of a sample's key, as contract and definition word it. */
class NaiveClock {
  readonly #times = new Map<string, number>()
  #least = Number.NEGATIVE_INFINITY
  readonly #definition: WindowDefinition

  constructor(definition: WindowDefinition) {
    this.#definition = definition
  }

  of(sample: Sample): number {
    if (!this.#byDevice) return this.#least
    return (this.#times.get(sample.device) ?? Number.NEGATIVE_INFINITY) - this.#definition.delay
  }

  see(sample: Sample): void {
    const name = this.#byDevice ? sample.device : (sample.source ?? '')
    const time = this.#byDevice ? sample.time : Math.min(sample.time, sample.received ?? 0)
    this.#times.set(name, Math.max(this.#times.get(name) ?? Number.NEGATIVE_INFINITY, time))
    if (!this.#byDevice) this.#least = Math.max(this.#least, Math.min(...this.#times.values()) - this.#definition.delay)
  }

  get #byDevice(): boolean {
    return this.#definition.by.includes('device')
  }
}

function windowsOf(time: number, size: number, slide: number): number[] {
  const starts: number[] = []
  for (let start = Math.floor(time / slide) * slide; start > time - size; start -= slide) starts.push(start)
  return starts
}

/** Every window with every reading that was in time for it, or all readings when late ones correct. */
function recompute(input: readonly Sample[], definition: WindowDefinition): Naive[] {
  const windows = new Map<string, Naive>()
  const clock = new NaiveClock(definition)
  const { kind } = definition
  if ('session' in kind) return recomputeSessions(input, definition, kind.session)
  const { size, slide } = 'tumbling' in kind ? { size: kind.tumbling, slide: kind.tumbling } : kind.hopping
  for (const sample of input) {
    for (const start of windowsOf(sample.time, size, slide)) {
      if (definition.late === 'drop' && start + size <= clock.of(sample)) continue
      const key = keyOf(sample, definition.by)
      const id = JSON.stringify([key, start])
      const window = windows.get(id) ?? { key, start, end: start + size, samples: [] }
      window.samples.push(sample)
      windows.set(id, window)
    }
    clock.see(sample)
  }
  return [...windows.values()]
}

function recomputeSessions(input: readonly Sample[], definition: WindowDefinition, gap: number): Naive[] {
  const sessions: Naive[] = []
  const keys = new Map(input.map((sample) => [JSON.stringify(keyOf(sample, definition.by)), sample]))
  for (const [id, of] of keys) {
    const mine = input.filter((sample) => JSON.stringify(keyOf(sample, definition.by)) === id)
    mine.sort((a, b) => a.time - b.time)
    let session: Sample[] = []
    const end = () => (session.at(-1) as Sample).time + gap
    const close = () => {
      const [first] = session
      if (first) sessions.push({ key: keyOf(of, definition.by), start: first.time, end: end(), samples: session })
    }
    for (const sample of mine) {
      if (session.length > 0 && sample.time >= end()) {
        close()
        session = []
      }
      session.push(sample)
    }
    close()
  }
  return sessions
}

function compare(actual: Map<string, WindowRecord>, expected: readonly Naive[], name: string): void {
  for (const { key, start, end, samples } of expected) {
    const id = `${name} ${JSON.stringify(key)} ${new Date(start).toISOString()}`
    const record = actual.get(id)
    assert.ok(record, `${id} is missing`)
    assert.equal(record.end, new Date(end).toISOString())
    assert.equal(record.count, samples.length, id)
    for (const field of ['a', 'b']) compareField(record.fields[field] as NumberStatistics | undefined, samples, field)
    const states = record.fields.state as TextStatistics
    for (const state of ['NSW', 'VIC', 'QLD']) {
      assert.equal(states.values[state] ?? 0, samples.filter(({ fields }) => fields.state === state).length)
    }
  }
  assert.equal(actual.size, expected.length)
}

function compareField(actual: NumberStatistics | undefined, samples: readonly Sample[], field: string): void {
  const values = samples.map(({ fields }) => fields[field]).filter((value) => typeof value === 'number')
  if (values.length === 0) {
    assert.equal(actual, undefined)
    return
  }
  const sum = values.reduce((a, b) => a + b, 0)
  const mean = sum / values.length
  const ssd = values.reduce((total, value) => total + (value - mean) ** 2, 0)
  assert.ok(actual, `${field} is missing`)
  assert.equal(actual.count, values.length)
  assert.equal(actual.min, Math.min(...values))
  assert.equal(actual.max, Math.max(...values))
  if (field === 'a') assert.equal(actual.sum, sum)
  near(actual.sum, sum)
  near(actual.mean, mean)
  near(actual.ssd, ssd)
  near(actual.stddev, Math.sqrt(ssd / values.length))
}

function near(actual: number | undefined, expected: number): void {
  assert.ok(
    Math.abs((actual ?? Number.NaN) - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
    `${actual} ${expected}`,
  )
}

function assertBalanced(bench: Bench): void {
  for (const row of bench.stage.ledger()) {
    assert.equal(row.decoded, row.windowed + row.open + row.late + row.filtered, JSON.stringify(row))
  }
}

function run(definition: WindowDefinition, input: readonly Sample[]): Bench {
  const bench = new Bench(definition)
  input.forEach((sample, i) => {
    bench.add(sample)
    if (i % 7 === 0) assertBalanced(bench)
    if (i % 50 === 0) bench.pass(sample.received ?? 0, i * 200)
  })
  bench.finish(START + 3_600_000)
  assertBalanced(bench)
  for (const row of bench.stage.ledger()) assert.equal(row.open, 0)
  return bench
}

describe('windows against a naive recomputation', () => {
  for (const [kindName, kind] of Object.entries(KINDS)) {
    for (const [keyName, by] of Object.entries(KEYS)) {
      it(`${kindName} windows ${keyName} agree when everything is in time`, () => {
        const definition = define({ kind, by, delay: 4_000 })
        const input = samples(1, 800, 3_000, 0)
        const bench = run(definition, input)
        assert.equal(bench.records.filter(({ kind }) => kind !== 'window').length, 0)
        compare(finalResults(bench.records), recompute(input, definition), 'w')
      })

      if (kindName === 'session') continue

      it(`${kindName} windows ${keyName} agree when late readings correct`, () => {
        const definition = define({ kind, by, delay: 1_000, retain: 3_600_000 })
        const input = samples(2, 800, 2_000, 60_000)
        const bench = run(definition, input)
        assert.notEqual(bench.records.filter(({ kind }) => kind === 'correction').length, 0)
        assert.deepEqual(bench.losses, [])
        compare(finalResults(bench.records), recompute(input, definition), 'w')
      })

      it(`${kindName} windows ${keyName} agree when late readings are dropped`, () => {
        const definition = define({ kind, by, delay: 1_000, late: 'drop' })
        const input = samples(3, 800, 2_000, 60_000)
        const bench = run(definition, input)
        const lost = bench.losses.reduce((sum, { count }) => sum + count, 0)
        assert.notEqual(lost, 0)
        assert.equal(
          lost,
          bench.stage.ledger().reduce((sum, { late }) => sum + late, 0),
        )
        compare(finalResults(bench.records), recompute(input, definition), 'w')
      })
    }
  }

  it('sessions with late readings count each of them once', () => {
    for (const seed of [4, 5, 6]) {
      const input = samples(seed, 800, 2_000, 60_000)
      const bench = run(define({ kind: KINDS.session, by: ['device'], delay: 500, retain: 3_600_000 }), input)
      const results = [...finalResults(bench.records).values()]
      assert.equal(
        results.reduce((sum, { count }) => sum + count, 0),
        input.length,
      )
    }
  })
})
