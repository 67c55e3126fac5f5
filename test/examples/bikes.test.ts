import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createStations } from '../../examples/bikes/sample.ts'
import { NO_MOSQUITTO } from '../plugins/mosquitto.ts'
import type { SentReading, SentWindow } from '../support/batches.ts'
import { publishAndLeave } from '../support/mqtt-device.ts'
import { type MqttUpstream, startMqttUpstream } from '../support/mqtt-upstream.ts'
import {
  assertNumbers,
  type NaiveWindow,
  naiveNumbers,
  naiveTexts,
  naiveWindows,
  windowName,
} from '../support/naive.ts'
import { type Example, startExample } from './example.ts'

const STATIONS = 12
const ROUNDS = 12
/** Between rounds, ms. */
const PAUSE = 250
/** A fifteenth of the example's windows: the time of arrival can't be made up. */
const GEOMETRY = { size: 3000, slide: 1000 }
const HOPPING = '{ size: 3s, slide: 1s }'

const KEYS: Readonly<Record<string, (reading: SentReading) => Record<string, string>>> = {
  'per-station': ({ device }) => ({ device }),
  'per-type': ({ tags }) => ({ type: tags.type ?? '' }),
}
const arrival = (reading: SentReading) => Date.parse(reading.received)

function naive(window: string): Map<string, NaiveWindow<SentReading>> {
  const keyOf = KEYS[window]
  assert.ok(keyOf)
  return naiveWindows(upstream.inbox.readings(), GEOMETRY, arrival, keyOf)
}

let upstream: MqttUpstream
let example: Example
const sent: { topic: string; status: Record<string, unknown> }[] = []

before(async () => {
  if (NO_MOSQUITTO) return
  upstream = await startMqttUpstream('bike-city')
  example = await startExample(
    'bikes',
    { cloud: { mqtt: { url: upstream.url }, raw: true, batch: { age: '100ms' } } },
    { SLUICE__WINDOWS__PER_STATION__HOPPING: HOPPING, SLUICE__WINDOWS__PER_TYPE__HOPPING: HOPPING },
  )
  const stations = createStations(STATIONS)
  for (let round = 0; round < ROUNDS; round++) {
    const samples = stations(Date.now())
    await Promise.all(samples.map((sample) => publishAndLeave(example.gateway.ports.mqtt as number, sample)))
    for (const { topic, payload } of samples) sent.push({ topic, status: JSON.parse(payload) })
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
  const { inbox } = upstream
  await inbox.until('all bike records', () => {
    if (inbox.readings().length < sent.length) return false
    return inbox.records('result').length >= naive('per-station').size + naive('per-type').size
  })
})

after(async () => {
  await example?.stop()
  await upstream?.dispose()
})

const NUMBERS = ['num_bikes_available', 'num_bikes_disabled', 'num_docks_available', 'num_docks_disabled']
const TEXTS = ['is_installed', 'is_renting', 'is_returning', 'station_id']

function compare(window: SentWindow, { rows, end }: NaiveWindow<SentReading>): void {
  const where = `${window.window} ${windowName(window.key, window.start)}`
  assert.equal(window.kind, 'window', where)
  assert.equal(window.end, new Date(end).toISOString(), where)
  assert.equal(window.count, rows.length, where)
  for (const name of NUMBERS)
    assertNumbers(window.fields[name], naiveNumbers(rows.map(({ fields }) => Number(fields[name]))), `${where} ${name}`)
  for (const name of TEXTS.slice(0, 3))
    assert.deepEqual(
      window.fields[name],
      naiveTexts(rows.map(({ fields }) => String(fields[name]))),
      `${where} ${name}`,
    )
}

for (const name of Object.keys(KEYS)) {
  test(`bikes: the sliding windows ${name} are those of a naive recomputation`, { skip: NO_MOSQUITTO }, () => {
    const expected = naive(name)
    const windows = upstream.inbox.windows(name)
    assert.ok(expected.size >= 10)
    assert.equal(windows.length, expected.size)
    for (const window of windows) {
      const text = windowName(window.key, window.start)
      const recomputed = expected.get(text)
      assert.ok(recomputed, `${text} was not expected, or came twice`)
      expected.delete(text)
      compare(window, recomputed)
    }
  })
}

test('bikes: every message of senders that come and go is one reading, without last_reported', {
  skip: NO_MOSQUITTO,
}, () => {
  const readings = upstream.inbox.readings()
  assert.equal(readings.length, STATIONS * ROUNDS)
  const text = ({ topic, status }: (typeof sent)[number]) => {
    const { last_reported, ...fields } = status
    assert.equal(typeof last_reported, 'number')
    const [, , type, , device, , event] = topic.split('/')
    return JSON.stringify([device, { event, type }, sorted(fields)])
  }
  const shown = readings.map(({ device, tags, fields }) => JSON.stringify([device, sorted(tags), sorted(fields)]))
  assert.deepEqual(shown.sort(), sent.map(text).sort())
  for (const { window, fields } of [...upstream.inbox.windows('per-station'), ...upstream.inbox.windows('per-type')])
    assert.equal('last_reported' in fields, false, window)
})

test('bikes: a reading carries the latest statistics of its station and its type', { skip: NO_MOSQUITTO }, () => {
  const results = new Map<string, SentWindow>()
  for (const name of Object.keys(KEYS))
    for (const window of upstream.inbox.windows(name))
      results.set(`${name} ${windowName(window.key, window.start)}`, window)
  let carried = 0
  for (const reading of upstream.inbox.readings()) {
    for (const [name, keyOf] of Object.entries(KEYS)) {
      const latest = reading.analytics?.[name]?.key
      if (latest === undefined) continue
      carried++
      assert.deepEqual({ ...latest.key }, keyOf(reading))
      const sentResult = results.get(`${name} ${windowName(latest.key, latest.start)}`)
      assert.deepEqual({ ...latest, seq: sentResult?.seq }, sentResult)
      const age = arrival(reading) - Date.parse(latest.end)
      assert.ok(age >= 0 && age < GEOMETRY.slide + 2000, `${age} ms old`)
    }
  }
  assert.ok(carried > STATIONS * ROUNDS, `${carried} carried`)
})

function sorted(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}
