import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bench } from './support.ts'

test('numeric text is accepted where a number is declared, and nothing else', () => {
  const peer = bench({ fields: { cpu: { type: 'number' } } })
  for (const [text, value] of [
    ['"87"', 87],
    ['"-1.5e1"', -15],
    ['" 7 "', 7],
    ['"007"', 7],
    ['"+5"', 5],
    ['87', 87],
  ] as const) {
    assert.deepEqual(peer.fields(`{"cpu":${text}}`), { cpu: value }, text)
  }
  for (const text of ['"87%"', '""', '"0x10"', '"NaN"', 'true', '{"a":1}', '[1]']) {
    assert.equal(peer.reason(`{"cpu":${text}}`), 'type', text)
  }
  assert.equal(peer.reason('{"cpu":"1e999"}'), 'number')
})

test('texts, booleans and integers are what they are declared to be', () => {
  const peer = bench({ fields: { s: { type: 'text' }, b: { type: 'boolean' }, i: { type: 'integer' } } })
  assert.deepEqual(peer.fields('{"s":"87","b":true,"i":5}'), { s: '87', b: true, i: 5 })
  assert.deepEqual(peer.fields('{"i":"5.0"}'), { i: 5 })
  for (const text of ['{"s":87}', '{"s":true}', '{"b":1}', '{"b":"true"}', '{"i":5.5}', '{"i":"5.5"}']) {
    assert.equal(peer.reason(text), 'type', text)
  }
})

test('values out of range are refused', () => {
  const peer = bench({ fields: { cpu: { type: 'number', min: 0, max: 100 } } })
  assert.deepEqual(peer.fields('{"cpu":0}'), { cpu: 0 })
  assert.deepEqual(peer.fields('{"cpu":"100"}'), { cpu: 100 })
  for (const text of ['-0.001', '100.5', '"101"']) assert.equal(peer.reason(`{"cpu":${text}}`), 'range', text)
})

test('unknown fields are accepted, ignored or refused', () => {
  const fields = { 'radio.rssi': { type: 'number' } } as const
  const text = '{"radio":{"rssi":-70,"snr":3},"x":1}'
  assert.deepEqual(bench({ fields }).fields(text), { 'radio.rssi': -70, 'radio.snr': 3, x: 1 })
  assert.deepEqual(bench({ fields, unknown: 'ignore' }).fields(text), { 'radio.rssi': -70 })
  assert.equal(bench({ fields, unknown: 'refuse' }).reason(text), 'unknown')
  assert.deepEqual(bench({ fields, unknown: 'refuse' }).fields('{"radio":{"rssi":-70},"x":null}'), {
    'radio.rssi': -70,
  })
})

test('required fields must be there', () => {
  const peer = bench({ fields: { a: { type: 'number', required: true } } })
  assert.equal(peer.reason('{"b":1}'), 'missing')
  assert.equal(peer.reason('{"a":null,"b":1}'), 'missing')
  assert.deepEqual(peer.fields('{"b":1,"a":2}'), { b: 1, a: 2 })
})

test('excluded fields are left out with all that is inside', () => {
  const peer = bench({ exclude: ['last_reported', 'meta'] })
  const text = '{"last_reported":1795392000,"meta":{"a":1,"b":[1,{"c":1e999}]},"metal":5,"v":{"meta":6}}'
  assert.deepEqual(peer.fields(text), { metal: 5, 'v.meta': 6 })
})

test('nested objects and arrays become dotted paths, nulls are skipped', () => {
  const fields = bench().fields('{"a":{"b":{"c":1}},"l":[1,"x",true,null,{"y":2}],"n":null}')
  assert.deepEqual(fields, { 'a.b.c': 1, 'l.0': 1, 'l.1': 'x', 'l.2': true, 'l.4.y': 2 })
})

test('an array of objects is one reading each, with its own time', () => {
  const readings = bench({ time: 't' }).read('[{"t":1,"v":1},{"t":"1970-01-01T00:00:02","v":2},{"v":3}]')
  assert.deepEqual(
    readings.map(({ time, stamped, fields }) => [stamped ? 'stamped' : time, fields[0]?.[1]]),
    [
      [1000, 1],
      [2000, 2],
      ['stamped', 3],
    ],
  )
})

test('field types are inferred per device type, and a change is counted, reported and accepted', () => {
  const reports: string[] = []
  const rule = { topic: '{type}/{device}', deviceType: 'type', fields: { t: { type: 'number', unit: 'Cel' } } } as const
  const peer = bench(rule, { typeChanged: (info) => reports.push(`${info.deviceType}.${info.field}`) })
  peer.read('{"t":1,"door":true}', { topic: 'fridge/a' })
  peer.read('{"door":"open"}', { topic: 'van/a' })
  for (const door of ['"open"', '"shut"', 'false', '"open"']) peer.read(`{"t":1,"door":${door}}`, { topic: 'fridge/b' })
  assert.deepEqual(peer.fields('{"door":7}', { topic: 'fridge/c' }), { door: 7 })
  const types = peer.decoder.fieldTypes()
  assert.deepEqual(types[0], { deviceType: 'fridge', field: 't', type: 'number', unit: 'Cel', declared: true })
  assert.equal(types[1]?.type, 'boolean')
  assert.equal(types[1]?.changed?.count, 4)
  assert.equal(types[1]?.changed?.type, 'number')
  assert.equal(types[1]?.changed?.example, '7')
  assert.equal(types[1]?.changed?.device, 'c')
  assert.deepEqual(types[2], { deviceType: 'van', field: 'door', type: 'text', declared: false })
  assert.deepEqual(reports, ['fridge.door'])
})
