import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load, loadDefaults, mistakesIn } from './given.ts'

test('a variable overrides one value, whatever the case of its keys', async (t) => {
  const env = {
    SLUICE__MQTT__LISTEN: '0.0.0.0:1883',
    SLUICE__mqtt__Anonymous: 'true',
    SLUICE__GATEWAY__ID: 'from-env',
    SLUICE__JOURNAL__MAXBYTES: '1GB',
    SLUICE__OUTBOX__WHEN_FULL: 'block',
    SLUICE__DATA: '/var/lib/sluice',
    SLUICE_OTHER: 'ignored',
    PATH: '/bin',
  }
  const { config } = await load(t, 'gateway: { id: from-file }\njournal: { commit: 1s }\n', { env })
  assert.deepEqual(config.mqtt.listen, [{ host: '0.0.0.0', port: 1883 }])
  assert.equal(config.mqtt.anonymous, true)
  assert.equal(config.gateway.id, 'from-env')
  assert.deepEqual([config.journal.maxBytes, config.journal.commit], [1_000_000_000, 1000])
  assert.equal(config.outbox.whenFull.event, 'block')
  assert.equal(config.data, '/var/lib/sluice')
})

test('names that people choose are matched to those of the file', async (t) => {
  const yaml = 'windows: { perState: { tumbling: 1m } }\nupstreams: { the-cloud: { mqtt: { url: "mqtt://a" } } }\n'
  const env = {
    SLUICE__WINDOWS__PER_STATE__DELAY: '5s',
    SLUICE__UPSTREAMS__THE_CLOUD__MQTT__URL: 'mqtt://b',
    SLUICE__UPSTREAMS__SECOND_LAKE: '{ http: { url: "http://c" } }',
  }
  const { config } = await load(t, yaml, { env })
  assert.equal(config.windows.perState?.delay, 5000)
  assert.deepEqual(config.windows.perState?.kind, { tumbling: 60_000 })
  assert.deepEqual(config.upstreams['the-cloud']?.options, { url: 'mqtt://b', qos: 1 })
  assert.equal(config.upstreams['second-lake']?.plugin, 'http')
})

test('a part of a default leaves the rest of the default', async () => {
  const { config, origins } = await loadDefaults({
    env: { SLUICE__WINDOWS__PER_DEVICE__TUMBLING: '30s', SLUICE__DECODE__1__TIME: 'ts' },
  })
  assert.deepEqual(config.windows['per-device']?.kind, { tumbling: 30_000 })
  assert.equal(config.windows['per-device']?.delay, 2000)
  assert.deepEqual(
    config.decode.map((rule) => [rule.topic, rule.time]),
    [
      ['telemetry/{device}', undefined],
      ['telemetry/{device}/{stream}', 'ts'],
    ],
  )
  assert.equal(origins['windows.per-device.tumbling'], 'env')
  assert.equal(origins['windows.per-device.delay'], 'default')
})

test('text stays text although YAML would read it otherwise', async () => {
  const { config } = await loadDefaults({ env: { SLUICE__HTTP__TOKEN: '0123', SLUICE__HTTP__LISTEN: '[::1]:8080' } })
  assert.equal(config.http.token, '0123')
  assert.deepEqual(config.http.listen, [{ host: '::1', port: 8080 }])
})

test('whole sections come before their parts, and empty variables do not count', async () => {
  const env = {
    SLUICE__LOG__LEVEL: 'debug',
    SLUICE__LOG: '{ level: warn, format: json }',
    SLUICE__HTTP__TOKEN: '',
  }
  const { config } = await loadDefaults({ env })
  assert.deepEqual(config.log, { level: 'debug', format: 'json' })
  assert.equal(config.http.token, undefined)
})

test('mistakes of the environment are reported under the variable, after those of the file', async (t) => {
  const env = {
    SLUICE__MQTT__LISTN: '1',
    SLUICE__MQTT__DURABILITY: 'fsnc',
    SLUICE__WINDOWS__FAST: '{ tumbling: 3, by: [device] }',
    SLUICE__HTTP__LISTEN: '0.0.0.0:8080',
    SLUICE__UPSTREAMS__LAKE__HTTP__TOPIC: 'a',
    SLUICE____X: '1',
  }
  assert.deepEqual(await mistakesIn(t, 'log: { level: loud }\n', { env }), [
    '1:15: `loud` is not known here: write debug, info, warn or error',
    'env:SLUICE__MQTT__DURABILITY:1:1: `fsnc` is not known here, did you mean `fsync`?',
    'env:SLUICE__WINDOWS__FAST:1:13: 3 has no unit: write 3s, or one of ms, m, h, d, w',
    'env:SLUICE__HTTP__LISTEN:1:1: 0.0.0.0:8080 can be reached from other machines, without a token: add `token: TEXT` or `tokenFile: FILE`',
    'env:SLUICE__MQTT__LISTN:1:1: unknown key `LISTN`, did you mean `listen`?',
    'env:SLUICE____X:1:1: an empty part in the name: write SLUICE__SECTION__KEY',
    'env:SLUICE__UPSTREAMS__LAKE__HTTP__TOPIC:1:1: unknown key `TOPIC`: known here is `url`',
  ])
})
