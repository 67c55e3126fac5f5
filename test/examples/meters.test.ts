import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Heartbeat, heartbeats, sampleOf } from '../../examples/meters/sample.ts'
import type { SentReading, SentWindow } from '../support/batches.ts'
import { type HttpUpstream, startHttpUpstream } from '../support/http-upstream.ts'
import { publishAll } from '../support/mqtt-device.ts'
import { assertNumbers, type NaiveWindow, naiveWindows, windowName } from '../support/naive.ts'
import { type Example, startExample } from './example.ts'

const METERS = 20
const SIZE = 60_000
const DELAY = 5000
/** Not on a full minute: the first and the last window are not full. */
const start = Math.floor(Date.now() / 60_000) * 60 - 600 + 25
const beats = [...heartbeats(METERS, start, 240)]
const timeOf = ({ time }: Heartbeat) => time * 1000
const last = Math.max(...beats.map(timeOf))

const KEYS: Readonly<Record<string, (beat: Heartbeat) => Record<string, string>>> = {
  'per-meter': ({ service }) => ({ device: service }),
  'per-state': ({ utility, state }) => ({ utility, state }),
}

function closed(window: string): NaiveWindow<Heartbeat>[] {
  const keyOf = KEYS[window]
  assert.ok(keyOf)
  return [...naiveWindows(beats, { size: SIZE }, timeOf, keyOf).values()].filter(({ end }) => end <= last - DELAY)
}

let upstream: HttpUpstream
let example: Example

before(async () => {
  upstream = await startHttpUpstream('utility-edge')
  example = await startExample('meters', { lake: { http: { url: upstream.url }, raw: true, batch: { age: '200ms' } } })
  await publishAll(example.gateway.ports.mqtt as number, beats.map(sampleOf))
  const results = closed('per-meter').length + closed('per-state').length
  const { inbox } = upstream
  await inbox.until('all meter records', () => {
    return inbox.readings().length >= beats.length && inbox.records('result').length >= results
  })
})

after(async () => {
  await example?.stop()
  await upstream?.close()
})

function compare(window: SentWindow, { rows, end }: NaiveWindow<Heartbeat>): void {
  const where = `${window.window} ${windowName(window.key, window.start)}`
  assert.equal(window.kind, 'window', where)
  assert.equal(window.end, new Date(end).toISOString(), where)
  assert.equal(window.count, rows.length, where)
  assert.deepEqual(Object.keys(window.fields), ['kwh'], where)
  const sum = rows.reduce((total, { kwh }) => total + kwh, 0)
  assertNumbers(window.fields.kwh, { count: rows.length, sum }, where)
}

for (const name of Object.keys(KEYS)) {
  test(`meters: sums ${name} are those of a naive recomputation`, () => {
    const expected = new Map(closed(name).map((window) => [windowName(window.key, window.start), window]))
    const windows = upstream.inbox.windows(name)
    assert.ok(expected.size >= 3 * 15)
    assert.equal(windows.length, expected.size)
    for (const window of windows) {
      const text = windowName(window.key, window.start)
      const naive = expected.get(text)
      assert.ok(naive, `${text} was not expected, or came twice`)
      expected.delete(text)
      compare(window, naive)
    }
  })
}

test('meters: a line of CSV becomes a device, its tags and one number', () => {
  beats.forEach(({ utility, service, state, city, kwh, time }, i) => {
    const { device, time: shown, tags, fields } = upstream.inbox.readings()[i] as SentReading
    assert.equal(device, service)
    assert.equal(shown, new Date(time * 1000).toISOString())
    assert.deepEqual({ ...tags }, { utility, state, city })
    assert.deepEqual({ ...fields }, { kwh })
  })
})
