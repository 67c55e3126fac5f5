import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDevices } from '../../gateway/decode/devices.ts'
import { bench } from './support.ts'

test('a device is one object per id', () => {
  const devices = createDevices()
  assert.equal(devices.get('a'), devices.get('a'))
  assert.notEqual(devices.get('a'), devices.get('b'))
  assert.equal(devices.find('c'), undefined)
  assert.deepEqual(
    [...devices.all()].map((device) => device.id),
    ['a', 'b'],
  )
  assert.equal(devices.size, 2)
})

test('beyond the cap new devices are refused and known ones go on', () => {
  const devices = createDevices(2)
  const peer = bench({}, { devices })
  peer.read('{"a":1}', { topic: 'telemetry/a' })
  peer.read('{"a":1}', { topic: 'telemetry/b' })
  assert.equal(peer.reason('{"a":1}', { topic: 'telemetry/c' }), 'too_many_devices')
  assert.equal(peer.read('{"a":1}', { topic: 'telemetry/a' }).length, 1)
})

test('a device id from a field is text or a number, and must be there', () => {
  const peer = bench({ topic: 'meters/{stream}', deviceField: 'id' })
  const how = { topic: 'meters/gas' }
  assert.equal(peer.read('{"id":"m1","kwh":2}', how)[0]?.device, 'm1')
  assert.equal(peer.read('{"id":17,"kwh":2}', how)[0]?.device, '17')
  assert.deepEqual(peer.fields('{"id":"m1","kwh":2}', how), { kwh: 2 })
  assert.equal(peer.reason('{"kwh":2}', how), 'device')
  assert.equal(peer.reason('{"id":null,"kwh":2}', how), 'device')
  assert.equal(peer.reason('{"id":"","kwh":2}', how), 'device')
  assert.equal(peer.reason('{"id":"a\\nb","kwh":2}', how), 'device')
})
