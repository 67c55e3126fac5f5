import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { encode, Tagged } from 'cborg'
import { bench, RECEIVED } from './support.ts'

test('one plain number is the field value', () => {
  const peer = bench()
  for (const [text, value] of [
    ['12.5', 12.5],
    [' -3\n', -3],
    ['+4', 4],
    ['1e3', 1000],
    ['.5', 0.5],
    ['007', 7],
    ['true', true],
    ['"on"', 'on'],
  ] as const) {
    assert.deepEqual(peer.fields(text), { value }, text)
  }
})

test('plain text is a field only where the codec says so', () => {
  assert.equal(bench().reason('hello'), 'json')
  const peer = bench({ codec: 'text' })
  assert.deepEqual(peer.fields('door open\n'), { value: 'door open' })
  assert.deepEqual(peer.fields('{"a":1}'), { value: '{"a":1}' })
  assert.deepEqual(peer.fields('21.5'), { value: 21.5 })
  assert.equal(peer.reason('  '), 'empty')
  assert.equal(peer.reason('x'.repeat(65_537)), 'too_long')
  assert.deepEqual(bench({ codec: 'text', fields: { value: { type: 'text' } } }).fields('21.5'), { value: '21.5' })
})

test('gzip is recognised by its first bytes, whatever is inside', () => {
  assert.deepEqual(bench().fields(gzipSync('{"a":1}')), { a: 1 })
  assert.deepEqual(bench({ codec: 'csv', columns: ['a'] }).fields(gzipSync('5')), { a: 5 })
  assert.deepEqual(bench().fields(gzipSync(encode({ a: 1 }))), { a: 1 })
  assert.equal(bench().reason(gzipSync('{"a":1}').subarray(0, 20)), 'gzip')
  assert.equal(bench().reason(Buffer.from([0x1f, 0x8b, 8, 0, 0])), 'gzip')
})

test('what inflates to more than 16 MiB is refused', () => {
  const bomb = gzipSync(Buffer.alloc(17 << 20, ' '))
  assert.ok(bomb.length < 20_000)
  assert.equal(bench().reason(bomb), 'too_large')
})

test('a content type decides before the first bytes do, unless the rule names a codec', () => {
  const peer = bench({ columns: ['a', 'b'] })
  assert.deepEqual(peer.fields('1,2', { contentType: 'text/csv; charset=utf-8' }), { a: 1, b: 2 })
  assert.equal(peer.reason('1,2', { contentType: 'application/json' }), 'json')
  assert.equal(peer.reason('{"a":1}', { contentType: 'application/cbor' }), 'cbor')
  assert.deepEqual(peer.fields('{"a":1}', { contentType: 'application/x-www-form-urlencoded' }), { a: 1 })
  assert.deepEqual(peer.fields('{"a":1}', { contentType: 'application/vnd.acme+json' }), { a: 1 })
  assert.deepEqual(bench({ codec: 'json' }).fields('{"a":1}', { contentType: 'application/cbor' }), { a: 1 })
  assert.deepEqual(peer.fields('[{"n":"t","v":1}]', { contentType: 'application/json' }), { n: 't', v: 1 })
  assert.deepEqual(peer.fields('[{"n":"t","v":1}]', { contentType: 'application/senml+json' }), { t: 1 })
})

test('CBOR maps and arrays of maps are readings', () => {
  const peer = bench({ time: 'at' })
  const value = {
    at: 1795392000,
    a: 1.5,
    b: 'x',
    c: true,
    d: null,
    e: { f: [1, 2] },
    big: 2n ** 60n,
    raw: Uint8Array.of(1, 2, 255),
  }
  const [reading] = peer.read(encode(value))
  assert.equal(reading?.time, 1795392000000)
  assert.deepEqual(Object.fromEntries(reading?.fields ?? []), {
    a: 1.5,
    b: 'x',
    c: true,
    'e.f.0': 1,
    'e.f.1': 2,
    big: 2 ** 60,
    raw: 'AQL_',
  })
  assert.equal(peer.read(encode([{ a: 1 }, { a: 2 }])).length, 2)
  assert.deepEqual(bench({ codec: 'cbor' }).fields(encode(7)), { value: 7 })
})

test('CBOR tags are read over, also the one that says it is CBOR', () => {
  const tagged = encode({ at: new Tagged(1, 1795392000), a: 1 })
  const marked = Buffer.concat([Buffer.from([0xd9, 0xd9, 0xf7]), tagged])
  for (const bytes of [tagged, marked]) assert.equal(bench({ time: 'at' }).read(bytes)[0]?.time, 1795392000000)
})

test('CBOR of indefinite length is read', () => {
  const bytes = Buffer.from('bf6161019f0203ffff', 'hex')
  assert.equal(bench().reason(bytes), 'cbor')
  assert.deepEqual(bench().fields(Buffer.from('bf61610161629f0203ffff', 'hex')), { a: 1, 'b.0': 2, 'b.1': 3 })
})

test('hostile CBOR is refused with a reason', () => {
  const peer = bench()
  assert.equal(peer.reason(Buffer.alloc(1 << 20, 0x81)), 'depth')
  assert.equal(peer.reason(Buffer.alloc(1 << 20, 0x9f)), 'depth')
  assert.equal(peer.reason(Buffer.concat([Buffer.from([0x81]), Buffer.alloc(1 << 20, 0xc1)])), 'cbor')
  assert.equal(peer.reason(Buffer.from('a1616162c328', 'hex')), 'utf8')
  assert.equal(peer.reason(Buffer.from('a16161fb7ff8000000000000', 'hex')), 'number')
  assert.equal(peer.reason(Buffer.from('a16161f97c00', 'hex')), 'number')
  assert.equal(peer.reason(Buffer.from('9bffffffffffffffff', 'hex')), 'cbor')
  assert.equal(peer.reason(Buffer.from('a1f501', 'hex')), 'cbor')
  assert.equal(peer.reason(Buffer.concat([encode({ a: 1 }), encode({ a: 1 })])), 'cbor')
  assert.deepEqual(peer.read(encode(new Map([['__proto__', 5]])))[0]?.fields, [['__proto__', 5]])
})

test('SenML records of one time are one reading, with base fields and relative times', () => {
  const pack = [
    { bn: 'd1:', bt: 1795392000, bu: 'A', bver: 5, n: 'voltage', u: 'V', v: 120.1 },
    { n: 'current', t: -5, v: 1.2 },
    { n: 'current', t: -4, v: 1.3 },
    { n: 'state', vs: 'on' },
    { n: 'alarm', vb: false, t: -5 },
  ]
  const readings = bench().read(JSON.stringify(pack))
  assert.deepEqual(
    readings.map(({ time, fields }) => [time, Object.fromEntries(fields)]),
    [
      [1795392000000, { voltage: 120.1, state: 'on' }],
      [1795391995000, { current: 1.2, alarm: false }],
      [1795391996000, { current: 1.3 }],
    ],
  )
})

test('SenML times below 2^28 are relative to now, and none is now', () => {
  const readings = bench().read('[{"n":"a","v":1,"t":-10.5},{"n":"b","v":2},{"n":"c","v":3,"t":60}]')
  assert.deepEqual(
    readings.map(({ time, stamped }) => [time - RECEIVED, stamped]),
    [
      [-10_500, false],
      [0, true],
      [60_000, false],
    ],
  )
  assert.equal(bench().reason('[{"n":"a","v":1,"t":268435455}]'), 'future')
})

test('SenML base values and sums are added', () => {
  assert.deepEqual(bench().fields('[{"n":"a","bv":20,"v":1.5},{"n":"b","v":2},{"n":"c"},{"n":"e","bs":5,"s":2}]'), {
    a: 21.5,
    b: 22,
    c: 20,
    'e.sum': 7,
  })
})

test('SenML names lose the device they begin with', () => {
  const names = (pack: unknown[]) => Object.keys(bench().fields(JSON.stringify(pack)))
  assert.deepEqual(
    names([
      { n: 'd1/temp', v: 1 },
      { n: 'd1:hum', v: 2 },
    ]),
    ['temp', 'hum'],
  )
  assert.deepEqual(names([{ bn: 'urn:dev:mac:0024befffe804ff1/', n: 'temp', v: 1 }]), ['temp'])
  assert.deepEqual(names([{ bn: 'urn:dev:ow:10e2073a01080063', v: 1 }]), ['10e2073a01080063'])
  assert.deepEqual(names([{ bn: 'd1', v: 1 }]), ['value'])
  assert.deepEqual(names([{ n: 'other/temp', v: 1 }]), ['temp'])
})

test('a SenML name that comes twice at one time begins another reading', () => {
  const readings = bench().read('[{"n":"a/t","v":1},{"n":"b/t","v":2}]')
  assert.deepEqual(
    readings.map(({ fields }) => fields),
    [[['t', 1]], [['t', 2]]],
  )
})

test('SenML comes in CBOR with numbers for labels', () => {
  const pack = [
    new Map<number, unknown>([
      [-2, 'd1:'],
      [-3, 1795392000],
      [0, 'temp'],
      [2, 21.5],
    ]),
    new Map<number, unknown>([
      [0, 'raw'],
      [8, Uint8Array.of(255)],
    ]),
  ]
  for (const how of [{}, { contentType: 'application/senml+cbor' }]) {
    const [reading] = bench().read(encode(pack), how)
    assert.deepEqual(reading?.fields, [
      ['temp', 21.5],
      ['raw', '_w'],
    ])
    assert.equal(reading?.time, 1795392000000)
  }
})

test('SenML that is not understood is refused', () => {
  const peer = bench({ codec: 'senml' })
  for (const text of [
    '{"n":"a","v":1}',
    '[{"n":"a","v":"1"}]',
    '[{"bver":11,"n":"a","v":1}]',
    '[{"n":"a","v":1,"new_":1}]',
    '[7]',
    '[{"n":5,"v":1}]',
    '[{"n":"a","vb":1}]',
  ]) {
    assert.equal(peer.reason(text), 'senml', text)
  }
  assert.equal(peer.reason('[]'), 'empty')
  assert.equal(peer.reason('[{"bn":"x"}]'), 'empty')
  assert.equal(peer.reason('[{"n":"a","v":1,"t":1e300}]'), 'time')
})

test('CSV by declared columns: first columns count, _ is read over, empty cells are no value', () => {
  const columns = ['service', '_', '_', '_', 'state', 'kwh', 'at']
  const peer = bench({ topic: 'utility/{stream}', columns, deviceField: 'service', time: 'at', tags: ['state'] })
  const lines = 'm-17,a,b,"c,c",NSW,1.25,1795392000,more\r\n00042,,,,VIC,7,1795392001\n\nm-18,,,,,3\n'
  const readings = peer.read(lines, { topic: 'utility/gas' })
  assert.deepEqual(
    readings.map(({ device, stream, tags, time, fields }) => [device, stream, tags, time, Object.fromEntries(fields)]),
    [
      ['m-17', 'gas', { state: 'NSW' }, 1795392000000, { kwh: 1.25 }],
      ['00042', 'gas', { state: 'VIC' }, 1795392001000, { kwh: 7 }],
      ['m-18', 'gas', {}, RECEIVED, { kwh: 3 }],
    ],
  )
  assert.equal(peer.reason(',,,,NSW,1.25,1795392000', { topic: 'utility/gas' }), 'device')
})

test('CSV cells are typed by the schema, else by their look', () => {
  const peer = bench({ columns: ['a', 'b', 'c', 'd', 'e'], fields: { b: { type: 'text' }, c: { type: 'boolean' } } })
  assert.deepEqual(peer.fields('007,5,1,true,-1.5e3'), { a: '007', b: '5', c: true, d: true, e: -1500 })
  assert.deepEqual(peer.fields('" x ""y""\n",z'), { a: ' x "y"\n', b: 'z' })
  assert.deepEqual(bench({ columns: ['a'], fields: { a: { type: 'number' } } }).fields('007'), { a: 7 })
  assert.equal(peer.reason('NaN,x'), 'number')
  assert.equal(bench({ columns: ['a'], fields: { a: { type: 'number' } } }).reason('x'), 'type')
})

test('CSV may bring its own header, and another delimiter', () => {
  const peer = bench({ codec: 'csv', header: true, delimiter: ';' })
  assert.deepEqual(
    peer.read('a;b\n1;2\n3;4').map(({ fields }) => fields),
    [
      [
        ['a', 1],
        ['b', 2],
      ],
      [
        ['a', 3],
        ['b', 4],
      ],
    ],
  )
  assert.equal(peer.reason('a;b\n'), 'empty')
  assert.deepEqual(bench({ codec: 'csv', columns: ['x', 'y'], header: true }).fields('a,b\n1,2'), { x: 1, y: 2 })
})

test('CSV with an open quote, or none of the columns, is refused', () => {
  const peer = bench({ columns: ['a', 'b'] })
  assert.equal(peer.reason('1,"2'), 'csv')
  assert.equal(peer.reason('1,"2"x'), 'csv')
  assert.equal(peer.reason(',,'), 'empty')
  assert.equal(peer.reason(Buffer.from('1,\xff', 'latin1')), 'utf8')
})
