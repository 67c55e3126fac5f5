import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from '../../gateway/errors.ts'
import { MAX_FIELDS } from '../../gateway/reading.ts'
import { bench, seeded } from './support.ts'

const MB = 1 << 20

test('deep nesting is refused without building it', () => {
  const peer = bench()
  assert.equal(peer.reason('['.repeat(MB)), 'depth')
  assert.equal(peer.reason('{"a":'.repeat(MB / 5)), 'depth')
  assert.equal(peer.reason(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`), 'depth')
  assert.equal(peer.read(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`).length, 1)
  assert.equal(peer.fields('{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}').a?.toString().length, 40)
})

test('keys of Object.prototype are ordinary fields', () => {
  const peer = bench({ tags: ['toString'] })
  const [reading] = peer.read('{"__proto__":1,"constructor":{"prototype":2},"hasOwnProperty":"x","toString":"t"}')
  assert.deepEqual(reading?.fields, [
    ['__proto__', 1],
    ['constructor.prototype', 2],
    ['hasOwnProperty', 'x'],
  ])
  assert.deepEqual(reading?.tags, { toString: 't' })
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
})

test('numbers that are not finite are refused as such', () => {
  const peer = bench()
  for (const text of ['NaN', 'Infinity', '-Infinity', '1e999', '-1e999']) {
    assert.equal(peer.reason(`{"a":${text}}`), 'number', text)
    assert.equal(peer.reason(`[{"a":1},{"a":${text}}]`), 'number', text)
    assert.equal(peer.reason(text), 'number', text)
  }
  assert.equal(peer.reason('{"a":"NaN",b:1}'), 'json')
  assert.deepEqual(peer.fields('{"a":"NaN"}'), { a: 'NaN' })
})

test('of duplicate keys the last one wins', () => {
  const peer = bench()
  assert.deepEqual(peer.read('{"a":1,"b":2,"a":"x"}')[0]?.fields, [
    ['a', 'x'],
    ['b', 2],
  ])
  assert.deepEqual(peer.fields('{"a":{"x":1},"a":{"y":2}}'), { 'a.y': 2 })
})

test('invalid UTF-8 and half surrogate pairs are refused', () => {
  const peer = bench()
  const broken = Buffer.from('{"a":"?"}')
  broken[6] = 0xc0
  assert.equal(peer.reason(broken), 'utf8')
  broken[6] = 0xff
  assert.equal(peer.reason(broken), 'utf8')
  assert.equal(peer.reason('{"a":"\\ud800"}'), 'utf8')
  assert.equal(peer.reason('{"\\udc00":1}'), 'utf8')
  assert.deepEqual(peer.fields('{"a":"\\ud83d\\ude00"}'), { a: '😀' })
})

test('a byte order mark is read over', () => {
  const peer = bench()
  assert.deepEqual(peer.fields('\ufeff{"a":1}'), { a: 1 })
  assert.deepEqual(peer.fields('\ufeff12.5'), { value: 12.5 })
})

test('more than 1,024 fields are refused', () => {
  const peer = bench()
  const many = (n: number) => JSON.stringify(Object.fromEntries(Array.from({ length: n }, (_, i) => [`f${i}`, i])))
  assert.equal(peer.read(many(MAX_FIELDS))[0]?.fields.length, MAX_FIELDS)
  assert.equal(peer.reason(many(MAX_FIELDS + 1)), 'too_many_fields')
  assert.equal(peer.reason(many(10_000)), 'too_many_fields')
  assert.equal(peer.reason(`{"a":[${'1,'.repeat(2000)}1]}`), 'too_many_fields')
})

test('text is valid up to 64 KB', () => {
  const peer = bench()
  assert.equal(String(peer.fields(`{"a":"${'x'.repeat(65_536)}"}`).a).length, 65_536)
  assert.equal(peer.reason(`{"a":"${'x'.repeat(65_537)}"}`), 'too_long')
  assert.equal(peer.read(`{"a":"${'é'.repeat(32_768)}"}`).length, 1)
  assert.equal(peer.reason(`{"a":"${'é'.repeat(32_769)}"}`), 'too_long')
  assert.equal(peer.reason(`{"${'k'.repeat(257)}":1}`), 'too_long')
})

test('what holds nothing is empty', () => {
  const peer = bench()
  for (const text of ['', ' ', '{}', '[]', '{"a":null}', '{"a":{}}', 'null', '[{}]'])
    assert.equal(peer.reason(text), 'empty', text)
})

test('what is no JSON is refused as such', () => {
  const peer = bench()
  for (const text of [
    'hello',
    '{',
    '{"a":1',
    "{'a':1}",
    '[1,2]',
    '[{"a":1},7]',
    '[[{"a":1}]]',
    '{"a":1}{"a":2}',
    '<xml/>',
  ]) {
    assert.equal(peer.reason(text), 'json', text)
  }
})

test('a message with one bad element gives no reading at all', () => {
  const { decoder } = bench({ fields: { a: { type: 'number', max: 5 } } })
  const route = decoder.route('telemetry/d1')
  assert.ok(route)
  let given = 0
  const send = (text: string) =>
    decoder.decode(route, 't', Buffer.from(text), 0, text.length, undefined, 0, true, () => given++)
  for (const last of ['{"a":9}', '{"a":"x"}', '7', '{"\\u0061":9}', '{"a":1', '{}']) {
    assert.throws(() => send(`[{"a":1},{"a":2},${last}]`), { name: 'DecodeError' }, last)
    assert.equal(given, 0, last)
  }
  assert.equal(send('[{"a":1},{"\\u0061":2}]'), 2)
  assert.equal(given, 2)
})

test('random bytes are decoded or refused, never anything else', () => {
  const random = seeded(99)
  const contentTypes = [
    undefined,
    'application/json',
    'application/cbor',
    'application/senml+cbor',
    'application/senml+json',
    'text/csv',
    'text/plain',
  ]
  const peer = bench({ columns: ['a', 'b'], time: 'a', tags: ['b'] })
  const starts = ['', '{"', '[{"', '[{"n":"', '\u001f\u008b', '"', '1']
  for (let i = 0; i < 6000; i++) {
    const start = Buffer.from(starts[i % starts.length] ?? '', 'latin1')
    const rest = Buffer.from(Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256)))
    const contentType = contentTypes[Math.floor(random() * contentTypes.length)]
    try {
      peer.read(Buffer.concat([start, rest]), contentType === undefined ? {} : { contentType })
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error))
    }
  }
})

test('hostile layouts take bounded time', () => {
  const peer = bench()
  const names = Array.from({ length: 900 }, (_, i) => `"k${i}":1`).join(',')
  for (let i = 0; i < 30; i++) peer.read(`{"u${i}":0,${names}}`)
  assert.equal(peer.reason(`${'"\\"'.repeat(MB / 4)}`), 'json')
  assert.equal(peer.reason(`{"a":"${'\\"'.repeat(MB / 4)}`), 'json')
})
