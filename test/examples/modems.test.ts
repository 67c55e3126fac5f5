import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type ModemStatus, modemStatuses, samples } from '../../examples/modems/sample.ts'
import { NO_MOSQUITTO } from '../plugins/mosquitto.ts'
import type { SentReading, SentWindow } from '../support/batches.ts'
import { publishAll } from '../support/mqtt-device.ts'
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

/** A report every 5 ms: 60 s of event time. */
const COUNT = 12_000
const SIZE = 10_000
const DELAY = 5000
const start = Date.now() - 600_000
const statuses = [...modemStatuses(COUNT, start)]
const timeOf = (status: ModemStatus) => Date.parse(`${status.event_time}Z`)
const last = timeOf(statuses.at(-1) as ModemStatus)

const PLACES: Readonly<Record<string, readonly [string, string]>> = {
  2000: ['-33.8688', '151.2093'],
  2010: ['-33.8840', '151.2120'],
  3000: ['-37.8136', '144.9631'],
  3121: ['-37.8230', '144.9980'],
  4000: ['-27.4698', '153.0251'],
  4101: ['-27.4810', '153.0200'],
  6000: ['-31.9505', '115.8605'],
  6160: ['-32.0569', '115.7439'],
}

function closed(by: readonly (keyof ModemStatus)[]): NaiveWindow<ModemStatus>[] {
  const keyOf = (status: ModemStatus) => Object.fromEntries(by.map((name) => [name, status[name]]))
  return [...naiveWindows(statuses, { size: SIZE }, timeOf, keyOf).values()].filter(({ end }) => end <= last - DELAY)
}

let upstream: MqttUpstream
let example: Example

before(async () => {
  if (NO_MOSQUITTO) return
  upstream = await startMqttUpstream('modem-site')
  example = await startExample('modems', { cloud: { mqtt: { url: upstream.url }, raw: true, batch: { age: '200ms' } } })
  await publishAll(example.gateway.ports.mqtt as number, samples(COUNT, start))
  const results = closed(['interfacestatus', 'state']).length + closed(['interfacestatus', 'model']).length
  const { inbox } = upstream
  await inbox.until('all modem records', () => {
    return inbox.readings().length >= COUNT && inbox.records('result').length >= results
  })
})

after(async () => {
  await example?.stop()
  await upstream?.dispose()
})

function compare(window: SentWindow, { rows, end }: NaiveWindow<ModemStatus>): void {
  const where = `${window.window} ${windowName(window.key, window.start)}`
  assert.equal(window.kind, 'window', where)
  assert.equal(window.end, new Date(end).toISOString(), where)
  assert.equal(window.count, rows.length, where)
  const names = ['cpuusage', 'interfacestatus', 'memoryusage', 'model', 'state']
  assert.deepEqual(Object.keys(window.fields).sort(), names, where)
  for (const name of ['cpuusage', 'memoryusage'] as const)
    assertNumbers(window.fields[name], naiveNumbers(rows.map((row) => Number(row[name]))), `${where} ${name}`)
  for (const name of ['interfacestatus', 'model', 'state'] as const)
    assert.deepEqual(window.fields[name], naiveTexts(rows.map((row) => row[name])), `${where} ${name}`)
}

for (const by of [['interfacestatus', 'state'] as const, ['interfacestatus', 'model'] as const]) {
  test(`modems: counts by ${by.join(' and ')} are those of a naive recomputation`, { skip: NO_MOSQUITTO }, () => {
    const expected = new Map(closed(by).map((window) => [windowName(window.key, window.start), window]))
    const windows = upstream.inbox.windows(`by-status-and-${by[1]}`)
    assert.ok(expected.size >= 24)
    assert.equal(windows.length, expected.size)
    for (const window of windows) {
      const name = windowName(window.key, window.start)
      const naive = expected.get(name)
      assert.ok(naive, `${name} was not expected, or came twice`)
      expected.delete(name)
      compare(window, naive)
    }
  })
}

test('modems: every reading has its place from the lookup table, and its device once', { skip: NO_MOSQUITTO }, () => {
  const readings = upstream.inbox.readings()
  assert.equal(readings.length, COUNT)
  statuses.forEach((status, i) => {
    const { device, time, tags, fields } = readings[i] as SentReading
    const { postcode, suburb, interfacestatus, model, state } = status
    const [latitude, longitude] = PLACES[postcode] ?? []
    assert.equal(device, status.deviceid)
    assert.equal(time, `${status.event_time}Z`)
    assert.deepEqual({ ...tags }, { postcode, suburb, latitude, longitude })
    const numbers = { cpuusage: Number(status.cpuusage), memoryusage: Number(status.memoryusage) }
    assert.deepEqual({ ...fields }, { ...numbers, interfacestatus, model, state })
  })
})
