import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rulesSection } from '../../gateway/config/sections/rules.ts'
import { tryRules } from '../../gateway/rules/trial.ts'

/** A key of the config. */
const THEN = 'then'

const tryOut = (rules: object) => tryRules(rulesSection.parse(rules))

const hot = {
  when: { field: 't', above: 30 },
  for: '30s',
  [THEN]: ['alert', { command: { device: 'fan', command: 'on', args: { speed: 2 } } }],
}

const given = [
  { at: 0, device: 'd1', fields: { t: 31 } },
  { at: '40s', device: 'd1', fields: { t: 20 } },
]

test('a test that comes out as expected says nothing', () => {
  const expect = [
    { at: '30s', alert: 'raised', device: 'd1' },
    { at: '30s', command: 'on', device: 'fan', args: { speed: 2 } },
    { at: '40s', alert: 'cleared' },
  ]
  assert.deepEqual(tryOut({ hot: { ...hot, tests: [{ given, expect }] } }), [])
})

test('a test that does not says what was expected and what happened', () => {
  const expect = [
    { at: '31s', alert: 'raised', device: 'd1' },
    { command: 'on', device: 'fan' },
  ]
  const [failure] = tryOut({ hot: { ...hot, tests: [{ name: 'a hot minute', given, expect }] } })
  assert.equal(
    failure,
    [
      'rule hot, test 1 (a hot minute):',
      '  - expected, + happened',
      '  - 31s alert raised device d1',
      '  + 30s alert raised device d1',
      '    30s command on device fan {"speed":2}',
      '  + 40s alert cleared device d1',
    ].join('\n'),
  )
})

test('absence and results of windows can be tried too', () => {
  const silent = {
    when: { absent: '5m' },
    tests: [{ given: [{ at: 0, device: 'd1', fields: {} }], until: '10m', expect: [{ at: '5m', alert: 'raised' }] }],
  }
  const busy = {
    on: 'w',
    when: { field: 'cpu.max', above: 90 },
    tests: [
      {
        given: [{ at: '10s', key: { device: 'd1' }, fields: { cpu: { max: 95 } } }],
        expect: [{ at: '10s', alert: 'raised', key: { device: 'd1' } }],
      },
    ],
  }
  assert.deepEqual(tryOut({ silent, busy }), [])
})
