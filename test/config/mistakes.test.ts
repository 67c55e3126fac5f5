import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../gateway/errors.ts'
import { load, mistakesIn } from './given.ts'

test('lists every mistake at once, with its place and the fix', async (t) => {
  const yaml = `# a site
gateway: { id: site 7 }
mqtt:
  listen: 1883
  anonymus: true
  limits: { packet: 1XB }
http: { token: 12345 }
decode:
  - { topic: "telemetry/{devise}", time: event_time }
  - topic: a/{device}
    codec: jsn
    lookup: [{ table: place, by: postcode, add: [latitude] }]
    future: 10
lookups:
  places: { file: postcodes.csv, key: postcode }
windows:
  per-device:
    tumbing: 10s
    by: [device]
  hop: { hopping: { size: 40s, slide: 15s }, statistics: [cuont, p50, p200] }
upstreams:
  cloud: { mqttt: { url: "mqtt://a" } }
  lake: { http: {} }
log: { level: verbose }
`
  assert.deepEqual(await mistakesIn(t, yaml), [
    '2:16: gateway id "site 7": use letters, digits, dot, dash and underscore, at most 64',
    '4:11: 1883 names no address: write 127.0.0.1:1883 for this machine only, 0.0.0.0:1883 for every interface',
    '5:3: unknown key `anonymus`, did you mean `anonymous`?',
    '6:21: "1XB" is not a size: write a number and a unit, such as 512KB, 64MB, 1MiB or 4GB',
    '7:16: expected text, got number 12345: put it in quotes, "12345"',
    '9:14: `telemetry/{devise}` names no device: write {device} for its level, or `device: FIELD` when the payload holds it',
    '11:12: `jsn` is not known here, did you mean `json`?',
    '12:23: there is no lookup table `place`, did you mean `places`?',
    '13:13: 10 has no unit: write 10s, or one of ms, m, h, d, w',
    '18:5: unknown key `tumbing`, did you mean `tumbling`?',
    '20:27: size 40s is not a multiple of slide 15s: make it 30s or 45s',
    '20:59: `cuont` is not a statistic, did you mean `count`?',
    '20:71: `p200` is not a statistic: one of count, min, max, sum, mean, ssd, stddev, stddev_samp, first, last, rate, distinct, sketch, p50, p90, p99, p99.9',
    '22:12: unknown plugin or key `mqttt`, did you mean `mqtt`?',
    '23:11: `url` is missing: add `url: …` (Where to send)',
    '24:15: `verbose` is not known here: write debug, info, warn or error',
  ])
})

test('the error that stops the gateway holds the same list', async (t) => {
  await assert.rejects(load(t, 'windows:\n  a: { tumbling: ten }\n  b: {}\n'), (error) => {
    assert.ok(error instanceof ConfigError)
    assert.equal(error.mistakes.length, 2)
    assert.match(
      error.message,
      /sluice\.yaml:2:18: "ten" is not a duration: .*\n.*sluice\.yaml:3:3: a window needs one of/,
    )
    return true
  })
})

test('a key that stands twice is named with the line of the first', async (t) => {
  assert.deepEqual(await mistakesIn(t, 'mqtt:\n  anonymous: true\n  durability: none\n  anonymous: false\n'), [
    '4:3: `anonymous` stands twice here, first in line 2: keep one',
    '4:14: nobody could connect: `anonymous: false` needs `passwordFile: FILE` (see `sluice passwd`) or client certificates',
  ])
})

test('what is no YAML is said in plain words', async (t) => {
  const first = async (yaml: string | Uint8Array) => (await mistakesIn(t, yaml))[0]
  assert.equal(await first('mqtt:\n\tlisten: 127.0.0.1:1883\n'), '2:1: a tab indents this line: YAML takes spaces only')
  assert.equal(
    await first('data: ./a\n---\ndata: ./b\n'),
    '2:1: a second document begins here: keep one, without `---`',
  )
  assert.equal(
    await first('data: a: b\n'),
    '1:7: a second `: ` in one line: put the value in quotes, or begin a new line',
  )
  assert.equal(await first('data: @home\n'), '1:7: a value cannot begin with this character: put it in quotes')
  assert.match((await first('windows: { a: { tumbling: 10s }\ndata: x\n')) ?? '', /^2:1: this is no YAML: /)
  assert.match((await first('data: *there\n')) ?? '', /^1:1: unresolved alias/)
  assert.equal(await first(Uint8Array.of(0x64, 0xff, 0xfe)), '1:1: this file is not UTF-8 text')
  assert.equal(await first('- a\n- b\n'), '1:1: expected a mapping (`key: value`), got a list')
})

test('a file that names aliases without end is refused, not expanded', async (t) => {
  const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(10)}]`)
  const [mistake] = await mistakesIn(t, `a0: &a0 [x]\n${levels.join('\n')}\n`)
  assert.match(mistake ?? '', /^1:1: excessive alias count/)
})

test('a key in the wrong place is sent to its section', async (t) => {
  assert.deepEqual(await mistakesIn(t, 'listen: 127.0.0.1:1\nupstreams:\n  a: { http: { url: u }, url: v }\n'), [
    '1:1: unknown key `listen`: it belongs under `mqtt` or `http`',
    '3:26: `url` is an option of the plugin: write `mqtt: { url: … }` or `http: { url: … }`',
  ])
})

test('keys that would reach into the runtime are unknown keys', async (t) => {
  assert.deepEqual(await mistakesIn(t, '__proto__: { listen: x }\nconstructor: 1\nmqtt: { toString: 1 }\n'), [
    '1:1: unknown key `__proto__`',
    '2:1: unknown key `constructor`',
    '3:9: unknown key `toString`: known here are `listen`, `tls`, `websocket`, `anonymous`, `passwordFile`, `acl`, `limits`, `durability`',
  ])
})

test('options of a plugin are checked by its own schema', async (t) => {
  const yaml = `upstreams:
  a: { mqtt: { url: "http://a", qos: 3, topicz: [] } }
  b: { mqtt: { url: "mqtt://b", qos: 1, password: 5 }, http: { url: c } }
  c: { coap: { listen: a } }
  d:
  e: {}
sources:
  http: { coap: { listen: "127.0.0.1:5683" } }
  sink: { http: { url: x } }
`
  assert.deepEqual(await mistakesIn(t, yaml), [
    '2:21: a broker is mqtt://host[:port]',
    '2:38: must be at most 2',
    '2:41: unknown key `topicz`, did you mean `topics`?',
    '3:51: expected text, got number 5: put it in quotes, "5"',
    '3:56: an entry has one plugin only, but here are `mqtt` and `http`: make two entries',
    '4:8: plugin `coap` cannot stand under upstreams: it belongs under sources',
    '5:5: expected a mapping (`key: value`), got nothing',
    '6:3: name one plugin with its options, such as `mqtt: { url: "mqtt://127.0.0.1:1884" }`; there are mqtt, http',
    "8:3: source name `http` is taken by the gateway's own HTTP input: call it something else, such as `http-2`",
    '9:11: plugin `http` cannot stand under sources: it belongs under upstreams',
  ])
})

test('windows are of one kind, and publish under names of their key', async (t) => {
  const yaml = `windows:
  two: { tumbling: 10s, session: 5s }
  "bad name": { tumbling: 10s }
  out: { tumbling: 10s, by: [state], publish: "stats/{device}" }
  wild: { tumbling: 10s, publish: "stats/#" }
  short: { hopping: { size: 10s, slide: 15s } }
  type: { tumbling: 1m, attachType: model }
`
  assert.deepEqual(await mistakesIn(t, yaml), [
    '2:25: a window is of one kind only, but has `tumbling` and `session`: keep one',
    '3:3: window name "bad name" is not allowed: use letters, digits, dot, dash and underscore, at most 64',
    '4:47: {device} in `stats/{device}` is not part of the key: use {state}, {window}, {gateway}, or add it to `by`',
    '5:35: `stats/#` is not a topic to publish on: no + or #, not empty',
    '6:29: size 10s is not a multiple of slide 15s: make it 15s',
    '7:25: `attachType` needs `attach: true`',
  ])
})

test('decode rules that contradict themselves are refused', async (t) => {
  const yaml = `decode:
  - { topic: "a/{device}/{device}" }
  - { topic: "b/{device}", codec: csv }
  - { topic: "c/{device}", codec: json, columns: [a] }
  - { topic: "d/{device}", time: ts, exclude: [x, ts] }
  - { topic: "e/{device}", text: [zip], fields: { zip: { type: number, min: 5, max: 1 } } }
  - { topic: "e/{device}" }
  - { time: ts }
`
  assert.deepEqual(await mistakesIn(t, yaml), [
    '2:14: topic pattern a/{device}/{device}: {device} stands twice',
    '3:35: `codec: csv` needs `columns: [NAMES]`, or `header: true` when each message begins with them',
    '4:50: `columns` is for CSV, but the codec is json',
    '5:51: `ts` is the time, which is no field anyway: leave it out of `exclude`',
    '6:35: `zip` stands under `text`, but `fields` says it is number',
    '6:77: min 5 is above max 1',
    '7:14: rule 5 has the same topic and wins: this one is never used, remove it',
    '8:5: `topic` is missing: add `topic: telemetry/{device}`',
  ])
})

test('listening wider than this machine needs credentials or a word that it needs none', async (t) => {
  const open = (address: string) =>
    `${address} can be reached from other machines, without credentials: add \`passwordFile: FILE\` (see \`sluice passwd\`), or \`anonymous: true\` if everyone may connect`
  assert.deepEqual(
    await mistakesIn(t, 'mqtt:\n  listen: [127.0.0.1:1883, 0.0.0.0:1883]\nhttp: { listen: ":8080" }\n'),
    [
      `2:11: ${open('0.0.0.0:1883')}`,
      '3:17: 0.0.0.0:8080 can be reached from other machines, without a token: add `token: TEXT` or `tokenFile: FILE`',
    ],
  )
  const tls = (certificates: string) =>
    `mqtt:\n  tls: { listen: ":8883", cert: c, key: k, ca: a, clientCertificates: ${certificates} }\n`
  assert.deepEqual(await mistakesIn(t, tls('optional')), [`2:18: ${open('0.0.0.0:8883')}`])
  assert.deepEqual(await mistakesIn(t, tls('required')), [])
  for (const said of ['anonymous: true', 'passwordFile: users']) {
    assert.deepEqual(await mistakesIn(t, `mqtt: { listen: ":1883", ${said}, websocket: { listen: ":8083" } }\n`), [])
  }
  for (const said of ['token: secret', 'tokenFile: token']) {
    assert.deepEqual(await mistakesIn(t, `http: { listen: ":8080", ${said} }\n`), [])
  }
})

test('sections that do not fit together are named', async (t) => {
  const yaml = `mqtt: { listen: 127.0.0.1:8080, limits: { packet: 20MB } }
http: { listen: 127.0.0.1:8080, token: a, tokenFile: b }
journal: { buffer: 32MB }
outbox: { reserve: { event: 0.9, result: 0.5 }, whenFull: { event: blok, alert: block } }
`
  assert.deepEqual(await mistakesIn(t, yaml), [
    '1:51: does not fit into `journal.buffer`: at most half of it, or a larger buffer',
    '2:43: `token` and `tokenFile` are both given: keep one',
    '4:20: the shares add up to 1.5: at most 1',
    '4:68: `blok` is not a policy, did you mean `block`?',
  ])
  assert.deepEqual(await mistakesIn(t, 'mqtt: { listen: 127.0.0.1:8080 }\n'), [
    '1:17: 127.0.0.1:8080 is already taken by `http.listen`: choose another port',
  ])
})

test('YAML that reads like a truth is explained', async (t) => {
  assert.deepEqual(
    await mistakesIn(
      t,
      'mqtt: { anonymous: yes }\njournal: { compress: maybe }\nupstreams: { a: { http: { url: 5 } } }\n',
    ),
    [
      '1:20: expected true or false, got text "yes": write true',
      '2:22: expected true, false or auto, got text "maybe"',
      '3:32: expected text, got number 5: put it in quotes, "5"',
    ],
  )
})

test('an ACL speaks of topic filters and of the names it can fill in', async (t) => {
  const yaml = `mqtt:
  acl:
    - { user: lamp, publish: ["telemetry/{user}/#", "a/#/b"], subscribe: ["c/{device}"] }
    - { client: x }
`
  assert.deepEqual(await mistakesIn(t, yaml), [
    '3:53: `a/#/b` is not a topic filter: + stands alone in its level, # alone in the last one',
    '3:75: {device} means nothing in `c/{device}`: use {user} or {client}',
    '4:7: the rule allows nothing: add `publish: [FILTER]` or `subscribe: [FILTER]`',
  ])
})

test('a block that should be something else is shown at its key, not at its first line', async (t) => {
  assert.deepEqual(await mistakesIn(t, 'mqtt:\n  limits:\n    - 5\nlog:\n  level:\n    a: b\n'), [
    '2:3: expected a mapping (`key: value`), got a list',
    '5:3: expected debug, info, warn or error, got a mapping',
  ])
})

test('whatever stands where a mapping belongs is a mistake, never a crash', async (t) => {
  const odd = [
    '',
    'null',
    '1',
    'text',
    'true',
    '.nan',
    '[]',
    '[[]]',
    '[null]',
    '{}',
    '{ "": 1 }',
    '{ a: { a: { a: 1 } } }',
  ]
  const places = [
    'mqtt: { acl: [ODD] }',
    'windows: { a: ODD }',
    'upstreams: { a: ODD }',
    'sources: { a: ODD }',
    'decode: [ODD]',
  ]
  const sections = ['gateway', 'mqtt', 'http', 'journal', 'outbox', 'windows', 'log'].map((name) => `${name}: ODD`)
  for (const place of [...places, ...sections]) {
    for (const value of odd) {
      for (const mistake of await mistakesIn(t, `${place.replace('ODD', value)}\n`)) {
        assert.match(mistake, /^1:\d+: \S/, `${place} ${value}`)
        assert.doesNotMatch(mistake, /undefined|object Object|Invalid/, `${place} ${value}`)
      }
    }
  }
})
