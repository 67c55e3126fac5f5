import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readIso } from '../../gateway/decode/event-time.ts'
import { bench, RECEIVED, seeded } from './support.ts'

const timed = (value: unknown, unit?: 's' | 'ms' | 'us' | 'iso' | 'auto') => {
  const [reading] = bench({ time: 'at', timeUnit: unit }).read(JSON.stringify({ at: value, v: 1 }))
  return reading?.time
}
const refused = (value: unknown, unit?: 's' | 'ms' | 'us' | 'iso' | 'auto') =>
  bench({ time: 'at', timeUnit: unit }).reason(JSON.stringify({ at: value, v: 1 }))

test('ISO 8601 is read with and without zone, with a T or a space', () => {
  const at = Date.UTC(2026, 10, 23, 7, 44)
  const same = [
    '2026-11-23T07:44:00',
    '2026-11-23 07:44:00',
    '2026-11-23T07:44:00Z',
    '2026-11-23t07:44:00z',
    '2026-11-23T07:44',
    '2026-11-23T09:44:00+02:00',
    '2026-11-23T02:14:00-0530',
    '2026-11-23T09:44+02',
    ' 2026-11-23T07:44:00 ',
  ]
  for (const text of same) assert.equal(timed(text), at, text)
  assert.equal(timed('2026-11-23'), Date.UTC(2026, 10, 23))
  assert.equal(timed('2000-02-29'), Date.UTC(2000, 1, 29))
  assert.equal(timed('2024-02-29'), Date.UTC(2024, 1, 29))
  assert.equal(timed('2026-11-23T07:44:00.5Z'), at + 500)
  assert.equal(timed('2026-11-23T07:44:00,123456+00:00'), at + 123.456)
  assert.equal(timed('2026-11-23T07:44:00.000000000000000001'), at)
  assert.equal(timed('2016-12-31T23:59:60Z'), Date.UTC(2017, 0, 1))
})

test('ISO 8601 agrees with Date for days of all centuries', () => {
  const random = seeded(3)
  const out = new Float64Array(1)
  for (let i = 0; i < 5000; i++) {
    const ms = Math.floor(random() * 253_402_300_800_000 - 60_000_000_000_000 * random())
    const text = new Date(ms).toISOString()
    if (text.length !== 24) continue
    const bytes = Buffer.from(text)
    assert.ok(readIso(bytes, 0, bytes.length, out, 0), text)
    assert.equal(out[0], ms, text)
  }
})

test('texts that are no time are refused', () => {
  const bad = [
    '',
    'now',
    '2026-11',
    '2026-13-01',
    '2026-02-29',
    '2026-00-10',
    '1900-02-29',
    '2026-04-31',
    '2026-11-23T24:00:00',
    '2026-11-23T07:60',
    '2026-11-23T07:44:61',
    '2026-11-23T07:44:00+25:00',
    '2026-11-23T07:44:00+2',
    '2026-11-23T07:44:00.',
    '2026-11-23T07:44:',
    '2026-11-23T07',
    '2026-11-23T',
    '2026/11/23',
    '2026-11-23T07:44:00Zx',
    '23.11.2026',
    '1e99',
    'x'.repeat(100_000),
  ]
  for (const text of bad) assert.equal(refused(text), 'time', text.slice(0, 40))
  for (const value of [true, {}, [1795392000], { s: 5 }]) assert.equal(refused(value), 'time')
})

test('epoch numbers are seconds, milliseconds or microseconds by size', () => {
  assert.equal(timed(1795419840), 1795419840000)
  assert.equal(timed(1795419840.25), 1795419840250)
  assert.equal(timed(1795419840123), 1795419840123)
  assert.equal(timed(1795419840123456), 1795419840123.456)
  assert.equal(timed('1795419840'), 1795419840000)
  assert.equal(timed(-86400), -86_400_000)
  assert.equal(timed(0), 0)
})

test('a declared unit is taken at its word', () => {
  assert.equal(timed(5, 'ms'), 5)
  assert.equal(timed(5000, 'us'), 5)
  assert.equal(timed(5, 's'), 5000)
  assert.equal(timed('5', 's'), 5000)
  assert.equal(refused(5, 'iso'), 'time')
  assert.equal(refused('2026-11-23', 's'), 'time')
})

test('absurd times are refused, old ones are not', () => {
  for (const value of [1e300, -1e300, 1e19, -1e19]) assert.equal(refused(value), 'time')
  assert.equal(timed('0001-01-01T00:00:00Z'), Date.parse('0001-01-01T00:00:00Z'))
  assert.equal(timed(-62135596800), -62135596800000)
})

test('a time more than an hour ahead is refused, unless the clock of the gateway is not yet right', () => {
  const peer = bench({ time: 'at' })
  const ahead = (ms: number) => JSON.stringify({ at: RECEIVED + ms, v: 1 })
  assert.equal(peer.read(ahead(3_600_000))[0]?.time, RECEIVED + 3_600_000)
  assert.equal(peer.reason(ahead(3_600_001)), 'future')
  assert.equal(peer.read(ahead(3_600_001), { synced: false }).length, 1)
  assert.equal(bench({ time: 'at', future: 1000 }).reason(ahead(1001)), 'future')
})

test('without a time the reading is stamped, and the time field is no field', () => {
  const peer = bench({ time: 'at' })
  for (const text of ['{"v":1}', '{"at":null,"v":1}']) {
    assert.deepEqual(peer.read(text)[0], {
      device: 'd1',
      stream: undefined,
      tags: {},
      time: RECEIVED,
      stamped: true,
      fields: [['v', 1]],
    })
  }
  const [reading] = peer.read('{"at":1795392000,"v":1}')
  assert.equal(reading?.stamped, false)
  assert.deepEqual(reading?.fields, [['v', 1]])
  assert.deepEqual(bench().fields('{"at":1795392000,"v":1}'), { at: 1795392000, v: 1 })
  assert.equal(bench({ time: 'meta.at' }).read('{"meta":{"at":5,"x":1},"v":1}')[0]?.time, 5000)
})
