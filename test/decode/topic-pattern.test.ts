import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDecoder } from '../../gateway/decode/decoder.ts'
import { createDevices } from '../../gateway/decode/devices.ts'
import { compilePattern } from '../../gateway/decode/topic-pattern.ts'
import { StartError } from '../../gateway/errors.ts'
import { createShapes } from '../../gateway/reading.ts'
import { bench } from './support.ts'

test('named levels become device, stream and tags', () => {
  const pattern = compilePattern('iot-2/type/{type}/id/{device}/evt/{event}/fmt/json')
  assert.deepEqual(pattern.tags, ['type', 'event'])
  assert.deepEqual(pattern.match('iot-2/type/bike/id/s1/evt/status/fmt/json'), {
    device: 's1',
    stream: undefined,
    tags: ['bike', 'status'],
  })
})

test('a topic matches with exactly the levels of its pattern', () => {
  const pattern = compilePattern('telemetry/{device}[/{stream}]')
  assert.equal(pattern.match('telemetry/d1')?.device, 'd1')
  assert.equal(pattern.match('telemetry/d1/power')?.stream, 'power')
  for (const topic of [
    'telemetry',
    'telemetry/',
    'telemetry/d1/',
    'telemetry//x',
    'telemetry/d1/a/b',
    'other/d1',
    '',
    '/',
  ]) {
    assert.equal(pattern.match(topic), null, topic)
  }
  assert.equal(compilePattern('a/+/{device}').match('a/x/d')?.device, 'd')
  assert.equal(compilePattern('a/+/{device}').match('a//d'), null)
})

test('optional parts nest and may hold several levels', () => {
  const pattern = compilePattern('t/{device}[/{stream}[/in/{unit}]]')
  assert.deepEqual(pattern.match('t/d/s/in/C'), { device: 'd', stream: 's', tags: ['C'] })
  assert.deepEqual(pattern.match('t/d'), { device: 'd', stream: undefined, tags: [undefined] })
  assert.equal(pattern.match('t/d/s/in'), null)
})

test('a malformed pattern is refused with what is wrong', () => {
  const bad: [string, RegExp][] = [
    ['a/#', /# is not allowed/],
    ['a//b', /empty level/],
    ['a/x{device}', /as a whole/],
    ['a/{device}/{device}', /stands twice/],
    ['a[/{device}]/b', /at the end/],
    ['a[{device}]', /begins with a slash/],
    ['a/{}', /as a whole/],
    ['', /empty level/],
  ]
  for (const [text, why] of bad) {
    assert.throws(() => compilePattern(text), { name: 'StartError', code: 'SLUICE_TOPIC_PATTERN', message: why }, text)
  }
})

test('a rule that can name no device is refused', () => {
  const parts = { devices: createDevices(), shapes: createShapes() }
  assert.throws(() => createDecoder({ rules: [{ topic: 'a/{stream}' }], ...parts }), StartError)
  assert.throws(() => createDecoder({ rules: [{ topic: 'a[/{device}]' }], ...parts }), StartError)
  assert.ok(createDecoder({ rules: [{ topic: 'a/{stream}', deviceField: 'id' }], ...parts }))
})

test('the first rule that matches wins, and a topic of no rule is ordinary traffic', () => {
  const rules = [{ topic: 'a/{device}', set: { kind: 'first' } }, { topic: '+/{device}' }]
  const decoder = createDecoder({ rules, devices: createDevices(), shapes: createShapes() })
  assert.deepEqual(decoder.route('a/x')?.tags, { kind: 'first' })
  assert.deepEqual(decoder.route('b/x')?.tags, {})
  assert.equal(decoder.route('b'), null)
})

test('routes are frozen, and share devices and tags', () => {
  const { decoder } = bench({ topic: '{site}/{device}/{stream}', set: { fleet: 'north' } })
  const one = decoder.route('s1/d1/a')
  const other = decoder.route('s1/d1/b')
  assert.ok(Object.isFrozen(one) && Object.isFrozen(one?.tags))
  assert.equal(one?.device, other?.device)
  assert.equal(one?.tags, other?.tags)
  assert.deepEqual(one?.tags, { fleet: 'north', site: 's1' })
  assert.equal(other?.stream, 'b')
})

test('a topic whose device is no device id is a dead letter each time', () => {
  const peer = bench()
  for (const id of ['a\u0001b', 'x'.repeat(257), '\u007f', 'a\u0085']) {
    assert.equal(peer.reason('{"a":1}', { topic: `telemetry/${id}` }), 'device')
  }
  for (const id of ['é'.repeat(128), 'a b', '日本', '__proto__', '$SYS']) {
    assert.equal(peer.read('{"a":1}', { topic: `telemetry/${id}` })[0]?.device, id)
  }
})
