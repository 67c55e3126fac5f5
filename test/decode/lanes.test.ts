import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DecodeRule } from '../../gateway/decode/decoder.ts'
import { type Bench, bench, seeded } from './support.ts'

/** The fast lane begins at a brace; a byte order mark sends the same document to the general path. */
const BOM = '\ufeff'

/** What became of a document: its readings, or the reason. */
function outcome(peer: Bench, document: Uint8Array): unknown {
  try {
    return peer.read(document)
  } catch (error) {
    return (error as { reason?: string }).reason ?? error
  }
}

function compare(peer: Bench, document: string | Uint8Array): void {
  const bytes = Buffer.from(document)
  const general = outcome(peer, Buffer.concat([Buffer.from(BOM), bytes]))
  const shown = () => bytes.toString('utf8').slice(0, 400)
  // Twice: the first time the fast lane learns, the second time it knows.
  for (const when of ['learning', 'knowing']) {
    assert.deepEqual(outcome(peer, bytes), general, `${when}: ${shown()}`)
  }
}

const RULES: Record<string, Partial<DecodeRule>> = {
  'no schema': { time: 'ts' },
  'a schema': {
    time: 'ts',
    fields: {
      a: { type: 'number', min: -10, max: 1000 },
      b: { type: 'text' },
      c: { type: 'boolean' },
      'o.a': { type: 'integer' },
      d: { type: 'number', required: true },
    },
    exclude: ['x', 'o.x'],
  },
  'a schema that refuses what it does not know': {
    unknown: 'refuse',
    fields: { a: { type: 'number' }, b: { type: 'text' }, c: { type: 'boolean' }, d: { type: 'integer' } },
    exclude: ['x', 'o'],
  },
  'a schema that ignores what it does not know': {
    time: 'o.ts',
    unknown: 'ignore',
    fields: { a: { type: 'number' }, b: { type: 'text' }, 'o.a': { type: 'number' } },
  },
  'a device and tags from fields': { deviceField: 'b', tags: ['a', 'o.b', 'c'], time: 'ts', timeUnit: 'ms' },
}

const KEYS = ['a', 'b', 'c', 'd', 'x', 'ts', 'o', 'p', '__proto__', 'constructor', 'é', '1', 'a.b', 'o.a', '']
const NUMBERS =
  '0 -0 1 -1 7 87 123456789 1.5 -0.25 0.1 1e3 1E-7 2.5e+2 9007199254740991 9007199254740993 1e22 1e23 123456789012345678 0.1234567890123456789 1e308 1e999 -1e999 5e-324 1e-400 1795392000 1795392000000 1795392000000000 179539200000000000000 4.35 0.000001 100 1000 1001 -11 0.30000000000000004 123e-20 72057594037927945'.split(
    ' ',
  )
const TEXTS = [
  '',
  'NSW',
  'connected',
  '87',
  '-1.5',
  '1e3',
  ' 87 ',
  '0x1f',
  '007',
  'a"b',
  'a\\b',
  '\n',
  'ü',
  '日本語',
  '😀',
  '2026-11-23T07:44:00',
  '2026-11-23 07:44:00.123456',
  '2026-11-23T07:44:00+02:00',
  '2026-02-30T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '1795392000',
  'x'.repeat(65),
  'y'.repeat(70_000),
]
const RAW_VALUES = [
  'true',
  'false',
  'null',
  'tru',
  'NaN',
  '-',
  '01',
  '1.',
  '.5',
  '+1',
  '1e',
  '"\\u0041\\u00e9"',
  '"\\ud800"',
  '"\\ud83d\\ude00"',
  '"\\x"',
  '"\\',
  '[]',
  '[1,2]',
  '[{"a":1}]',
  '{}',
  '"\t"',
  "'a'",
]

function value(random: () => number, depth: number): string {
  const dice = random()
  if (dice < 0.4) return pick(random, NUMBERS)
  if (dice < 0.7) return JSON.stringify(pick(random, TEXTS))
  if (dice < 0.8) return pick(random, ['true', 'false', 'null'])
  if (dice < 0.94 && depth < 20) return document(random, depth + 1)
  return pick(random, RAW_VALUES)
}

function document(random: () => number, depth = 1): string {
  const space = random() < 0.2 ? pick(random, [' ', '\n\t', '\r\n', '\v']) : ''
  const members = Array.from({ length: Math.floor(random() * 6) }, () => {
    return `${JSON.stringify(pick(random, KEYS))}${space}:${space}${value(random, depth)}`
  })
  return `{${space}${members.join(`${space},${space}`)}${space}}`
}

/** What a well-meaning device sends: each key once, nearly always of the right type. */
function tame(random: () => number): string {
  const number = () => (random() < 0.9 ? String(Math.round(random() * 2000) / 10) : pick(random, NUMBERS))
  const text = () => JSON.stringify(pick(random, TEXTS.slice(0, 16)))
  const members: Record<string, () => string> = {
    a: () => (random() < 0.7 ? number() : JSON.stringify(random() < 0.5 ? number() : 'A1')),
    b: text,
    c: () => (random() < 0.9 ? String(random() < 0.5) : text()),
    d: () => String(Math.floor(random() * 100)),
    o: () =>
      `{"a":${Math.floor(random() * 10)},"b":${text()},"x":${number()}${random() < 0.2 ? ',"ts":1795392000.5' : ''}}`,
    x: () => value(random, 20),
    ts: () => pick(random, ['"2026-11-23T07:44:00.5"', '1795392000', 'null', '1795392000000', '"2026-11-23"']),
    p: number,
  }
  const parts = Object.entries(members).flatMap(([key, make]) => (random() < 0.8 ? [`"${key}":${make()}`] : []))
  if (random() < 0.2) parts.reverse()
  return `{${parts.join(random() < 0.2 ? ', ' : ',')}}`
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T
}

/** Cuts, doubles, or changes a few bytes. */
function mutate(random: () => number, text: string): Buffer {
  const bytes = Buffer.from(text)
  const at = Math.floor(random() * bytes.length)
  const dice = random()
  if (dice < 0.3) return bytes.subarray(0, at)
  if (dice < 0.5) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.floor(random() * bytes.length))])
  const changed = Buffer.from(bytes)
  changed[at] = dice < 0.7 ? Math.floor(random() * 256) : '{}[]",:\\ 0e.-tfn'.charCodeAt(Math.floor(random() * 16))
  return changed
}

for (const [name, rule] of Object.entries(RULES)) {
  test(`both lanes give the same readings and reasons for thousands of documents under ${name}`, () => {
    const peer = bench(rule)
    const random = seeded(20261123)
    for (let i = 0; i < 2000; i++) {
      const text = document(random)
      compare(peer, text)
      if (i % 2 === 0) compare(peer, mutate(random, text))
      compare(peer, tame(random))
      const list = `[${tame(random)},${random() < 0.1 ? text : tame(random)}${pick(random, ['', ' ', ',', ', {}'])}]`
      compare(peer, list)
      if (i % 4 === 0) compare(peer, mutate(random, list))
    }
    assert.ok(peer.decoder.lanes.fast > 200, `only ${peer.decoder.lanes.fast} went the fast lane`)
  })
}

/** Two blanks between them. */
const NASTY = String.raw`
{"a":1,}  {,"a":1}  {"a":1 "b":2}  {"a":1,,"b":2}  {"a" 1}  {"a":}  {}  { }  {{}}  {"a":{}}
{"a":{"b":1},"a.b":2}  {"a.b":2,"a":{"b":1}}  {"a":{"b":null},"a.b":2}  {"a.b":2,"a":{"b":null}}
{"a":{"b":1},"a":{"c":2}}  {"a":{"b":1},"a":3}  {"a":1,"a":null}  {"a":null,"a":1}  {"a":1,"a":"x"}
{"ts":1795392000,"ts":null,"a":1}  {"ts":null,"ts":1795392000,"a":1}  {"ts":1,"a":1,"ts":2}  {"ts":{"a":1},"b":2}
{"b":1,"2":2,"1":3}  {"b":1,"01":2}  {"4294967295":1,"a":2,"4294967294":3}  {"-1":1,"1.5":2}
{"a":"x}  {"a":"x\\"}  {"a":"x\"}  {"a":"}  {"a  {"  {  {"a":1  {"a":{"b":1}  {"a":1}}  {"a":1}x  {"a":"\u0000"}
{"a":-}  {"a":-0}  {"a":0.0}  {"a":00}  {"a":1.}  {"a":1e5}  {"a":1E+5}  {"a":1e}  {"a":truex}  {"a":nul}  {"a":fals}
{"a":true,"b":false,"c":null}  {"\u0061":1}  {"a\n":1}  {"":1,"":2}  {"a":{"a":{"a":1}},"b":"y"}  {"a":[1,{"b":2}],"b":"y"}
[{"a":1,"b":"x"},{"a":2}]  [{"a":1}  [{"a":1},]  [,{"a":1}]  [{"a":1} {"a":2}]  [{"a":1}x{"a":2}]  [{"a":1}]]  []  [{}]
[{"a":1,"d":1,"b":"y","ts":9e11},{"a":}]  [{"a":1,"d":1},{"a":1,"ts":9e11}]  [{"a":1},{"a":"x"}]  [{"a":1},7]  [[{"a":1}]]
[{"n":"x","v":1}]  [{"v":1},{"n":"x"}]  [ { "a" : 1 } , { "a" : 2 } ]  [{"a":1}}  {"a":1}]  [{"a":1},{"a":[]}]  [{"a":1}
`

test('both lanes give the same for documents made to tell them apart', () => {
  const documents = [...NASTY.trim().split(/\n| {2}/), '\v{"a":1}', ' {"a":1}\t', '{"a\n":1}', '{"a":"\t"}']
  for (const rule of Object.values(RULES)) {
    for (const text of documents) compare(bench(rule), text)
    const peer = bench(rule)
    for (const text of documents) compare(peer, text)
  }
})

test('a text that is not closed ends with its buffer', () => {
  const { decoder } = bench()
  const route = decoder.route('telemetry/d1')
  assert.ok(route)
  for (const text of ['{"a":"x}', '{"a":"x\\}', '{"a}', '{"ts":"2026}']) {
    const bytes = Buffer.from(new Uint8Array(Buffer.from(text)).buffer)
    assert.throws(() => decoder.decode(route, 't', bytes, 0, bytes.length, undefined, 0, true, () => {}), {
      reason: 'json',
    })
  }
})

test('both lanes read numbers to the last bit', () => {
  const peer = bench()
  const random = seeded(7)
  for (let i = 0; i < 4000; i++) {
    const digits = String(Math.floor(random() * 10 ** Math.floor(1 + random() * 15)))
    const at = Math.floor(random() * digits.length)
    const plain = at === 0 ? digits : `${digits.slice(0, at)}.${digits.slice(at)}`
    const number = `${random() < 0.3 ? '-' : ''}${plain.replace(/^0+(?=\d)/, '')}${random() < 0.2 ? `e${Math.floor(random() * 60 - 30)}` : ''}`
    const [reading] = peer.read(`{"v":${number}}`)
    assert.ok(Object.is(reading?.fields[0]?.[1], JSON.parse(number)), number)
  }
  assert.equal(peer.decoder.lanes.general, 0)
})

test('the fast lane reads typical telemetry, also with declared fields, tags and white space', () => {
  const modem = {
    model: 'TM6',
    event_time: '2026-11-23T07:44:00',
    cpuusage: '87',
    up: true,
    radio: { rssi: -71 },
    n: null,
  }
  for (const rule of [{}, { fields: { cpuusage: { type: 'number' } } } as const, { tags: ['model'] }]) {
    const peer = bench({ time: 'event_time', ...rule })
    for (const indent of [0, 0, 1, 2]) peer.read(JSON.stringify(modem, null, indent))
    assert.deepEqual(peer.decoder.lanes, { fast: 4, general: 0 })
  }
})

test('the fast lane reads arrays of objects', () => {
  const peer = bench({ time: 'at' })
  for (let i = 0; i < 3; i++) peer.read(`[{"at":${i},"a":"x","b":{"c":1}},{"at":2,"b":{"c":1}},{"a":"y"}]`)
  assert.deepEqual(peer.decoder.lanes, { fast: 3, general: 0 })
})

test('the fast lane forgets nothing when more layouts come than it keeps', () => {
  const peer = bench()
  for (let i = 0; i < 12_000; i++) {
    const [reading] = peer.read(`{"a":${i},"k${i}":"${i}"}`)
    if (i % 1000 === 0)
      assert.deepEqual(reading?.fields, [
        ['a', i],
        [`k${i}`, `${i}`],
      ])
  }
})

test('the fast lane reads no byte beyond the message', () => {
  const peer = bench()
  const route = peer.decoder.route('telemetry/d1')
  assert.ok(route)
  const whole = Buffer.from('{"a":1,"b":"x"}{"a":2}')
  for (let end = 0; end < 15; end++) {
    assert.throws(() => peer.decoder.decode(route, 't', whole, 0, end, undefined, 0, true, () => {}), {
      name: 'DecodeError',
    })
  }
  assert.equal(
    peer.decoder.decode(route, 't', whole, 0, 15, undefined, 0, true, () => {}),
    1,
  )
})
