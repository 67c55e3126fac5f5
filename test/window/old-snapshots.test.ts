/**
 * `snapshot-v2/half.bin` is what the stage of the first builds wrote after the first half of `samples`, on definitions of
 * every kind: it goes on from there as if nothing had happened.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Bench, define, random, type Sample, START } from './simulation.ts'

const DEFINITIONS = [
  define({ name: 'tumbling', retain: 20_000, attach: true, statistics: ['sum', 'p99', 'distinct', 'sketch'] }),
  define({ name: 'hopping', kind: { hopping: { size: 45_000, slide: 15_000 } }, by: ['site'] }),
  define({ name: 'session', kind: { session: 3_000 }, by: ['device', 'state'], delay: 500 }),
  define({ name: 'fleet', by: [], delay: 500, retain: 30_000 }),
  define({ name: 'crowded', by: ['device', 'state'], maxKeys: 4, retain: 30_000 }),
]

function samples(count: number): Sample[] {
  const next = random(7)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  return Array.from({ length: count }, (_, i): Sample => {
    const now = START + i * 250
    return {
      device: pick(['d1', 'd2', 'd3', 'd4']),
      time: Math.floor(now - (next() < 0.1 ? next() * 30_000 : next() * 1000)),
      received: now,
      source: pick(['mqtt', 'mqtt', 'http']),
      tags: { site: pick(['north', 'south']) },
      fields: { a: Math.floor(next() * 100), ...(next() < 0.5 ? { b: next() } : {}), state: pick(['up', 'down']) },
    }
  })
}

test('a snapshot of the first builds is read, and what comes after it gives the same records', () => {
  const all = samples(600)
  const whole = new Bench(...DEFINITIONS)
  for (const sample of all.slice(0, 300)) whole.add(sample)
  const old = new Bench(...DEFINITIONS)
  old.entry = whole.entry
  old.stage.restore(readFileSync(new URL('snapshot-v2/half.bin', import.meta.url)))
  const before = whole.records.length
  for (const bench of [whole, old]) {
    for (const sample of all.slice(300)) bench.add(sample)
    bench.finish(START + 3_600_000)
  }
  assert.deepEqual(old.records, whole.records.slice(before))
  assert.deepEqual(old.stage.ledger(), whole.stage.ledger())
})
