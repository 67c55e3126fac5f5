import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from '../../examples/random.ts'
import { BEGIN, RuleBench } from './bench.ts'

/** A key of the config. */
const THEN = 'then'

const bench = (rules: object) => new RuleBench().define(rules)

test('a threshold raises once and clears when the value is back', () => {
  const b = bench({ hot: { when: { field: 't', above: 30 }, severity: 'critical' } })
  for (const t of [20, 31, 40, 32, 30, 10, 50]) b.reading('d1', { t })
  assert.equal(b.alerts[0]?.severity, 'critical')
  assert.deepEqual(
    b.alerts.map(({ state, value }) => `${state} ${value}`),
    ['raised 31', 'cleared 30', 'raised 50'],
  )
})

test('hysteresis keeps an alert until the value is well back', () => {
  const b = bench({ hot: { when: { field: 't', above: 30, hysteresis: 5 } } })
  for (const t of [31, 29, 26, 31, 25.1, 24.9, 29, 30.1]) b.reading('d1', { t })
  assert.deepEqual(
    b.alerts.map(({ state, value }) => `${state} ${value}`),
    ['raised 31', 'cleared 24.9', 'raised 30.1'],
  )
})

test('each key has alerts of its own', () => {
  const b = bench({ hot: { when: { field: 't', above: 30 }, by: ['device', 'stream'] } })
  b.reading('d1', { t: 31 }, { stream: 'a' })
  b.reading('d1', { t: 20 }, { stream: 'b' })
  b.reading('d2', { t: 35 }, { stream: 'b' })
  assert.deepEqual(b.said(), ['raised d1 a', 'raised d2 b'])
})

test('a condition must hold for at least a while, by event time or by the clock', async () => {
  const b = bench({ hot: { when: { field: 't', above: 30 }, for: '30s' } })
  b.reading('d1', { t: 31 })
  await b.pass(20_000)
  b.reading('d1', { t: 10 })
  b.reading('d1', { t: 31 })
  await b.pass(29_000)
  assert.deepEqual(b.said(), [])
  await b.pass(1000)
  assert.deepEqual(b.said(), ['raised d1'])
  b.reading('d2', { t: 31 })
  b.reading('d2', { t: 31 }, { time: BEGIN + b.now + 30_000 })
  assert.deepEqual(b.said(), ['raised d2'])
})

test('a device that falls silent is missed, and back when it is heard again', async () => {
  const b = bench({ silent: { when: { absent: '5m' } } })
  b.reading('d1', { t: 1 })
  await b.pass(200_000)
  b.reading('d1', { t: 1 })
  await b.pass(299_000)
  assert.deepEqual(b.said(), [])
  await b.pass(1000)
  assert.deepEqual(b.said(), ['raised d1'])
  b.reading('d1', { t: 1 })
  assert.deepEqual(b.said(), ['cleared d1'])
  await b.pass(300_000)
  assert.deepEqual(b.said(), ['raised d1'])
})

test('a device that a rule names is missed though it never came', async () => {
  const b = bench({ silent: { when: { absent: '1m' }, where: { device: 'pump' } } })
  b.reading('other', { t: 1 })
  await b.pass(120_000)
  assert.deepEqual(b.said(), ['raised pump'])
})

test('absence of one field is noticed though the device sends others', async () => {
  const b = bench({ silent: { when: { field: 't', absent: '1m' } } })
  b.reading('d1', { t: 1, u: 1 })
  for (let i = 0; i < 7; i++) {
    await b.pass(10_000)
    b.reading('d1', { u: 1 })
  }
  assert.deepEqual(b.said(), ['raised d1'])
  b.reading('d1', { t: 1 })
  assert.deepEqual(b.said(), ['cleared d1'])
})

test('silence while the gateway was away does not count', async () => {
  const b = bench({ silent: { when: { absent: '5m' } } })
  b.reading('d1', { t: 1 })
  const next = new RuleBench()
  next.stage.restore(JSON.parse(JSON.stringify(b.stage.snapshot())))
  next.now = 3_600_000
  next.define({ silent: { when: { absent: '5m' } } })
  await next.pass(299_000)
  assert.deepEqual(next.said(), [])
  await next.pass(1000)
  assert.deepEqual(next.said(), ['raised d1'])
})

test('a wall clock that is set makes nobody silent', async () => {
  const b = bench({ silent: { when: { absent: '5m' } } })
  b.reading('d1', { t: 1 })
  await b.pass(10_000)
  const day = 86_400_000
  const fact = b.stage.due(BEGIN + b.now + day, b.now)
  assert.deepEqual(fact, { type: 'step', by: day, now: BEGIN + b.now + day })
  b.fact(fact ?? {})
  assert.equal(b.stage.due(BEGIN + b.now + day, b.now), null)
})

test('what came between the setting of the clock and its discovery does not lie in the future', async () => {
  const b = bench({ any: { when: { absent: '5m' } }, one: { when: { field: 't', absent: '5m' } } })
  const day = 86_400_000
  await b.pass(10_000)
  b.reading('d1', { t: 1 }, { time: BEGIN + b.now + day, received: BEGIN + b.now + day })
  const due = (after: number) => b.stage.due(BEGIN + b.now + day + after, b.now + after)
  b.fact(due(0) ?? {})
  assert.equal(due(299_000), null)
  b.fact(due(300_000) ?? {})
  assert.deepEqual(b.said(), ['raised d1', 'raised d1'])
})

test('rates of change, per a time that the rule says', () => {
  const b = bench({ fast: { when: { field: 't', rate: { above: 5, per: '1m' } } } })
  const at = (seconds: number, t: number) => b.reading('d1', { t }, { time: BEGIN + seconds * 1000 })
  at(0, 10)
  at(60, 14)
  assert.deepEqual(b.said(), [])
  at(90, 17)
  assert.deepEqual(b.said(), ['raised d1'])
  at(150, 17)
  assert.deepEqual(b.said(), ['cleared d1'])
})

test('a change of a text field, in general or from one value to another', () => {
  const b = bench({
    any: { when: { field: 'mode', changes: true } },
    trip: { when: { field: 'mode', changes: { from: 'run', to: 'stop' } }, severity: 'critical' },
  })
  for (const mode of ['run', 'run', 'stop', 'stop', 'run']) b.reading('d1', { mode })
  assert.deepEqual(
    b.alerts.map(({ rule, state }) => `${rule} ${state}`),
    ['any raised', 'trip raised', 'any cleared', 'trip cleared', 'any raised'],
  )
})

test('conditions combine with and, or, not; a field that is not there keeps its value', () => {
  const when = {
    and: [
      { field: 't', above: 30 },
      { or: [{ field: 'door', equals: true }, { not: { field: 'mode', oneOf: ['auto', 'eco'] } }] },
    ],
  }
  const b = bench({ odd: { when } })
  b.reading('d1', { t: 35, mode: 'auto', door: false })
  assert.deepEqual(b.said(), [])
  b.reading('d1', { door: true })
  assert.deepEqual(b.said(), ['raised d1'])
  b.reading('d1', { door: false })
  assert.deepEqual(b.said(), ['cleared d1'])
  b.reading('d1', { mode: 'manual' })
  assert.deepEqual(b.said(), ['raised d1'])
})

test('a condition of its own ends an alert', () => {
  const b = bench({ hot: { when: { field: 't', above: 30 }, clear: { field: 't', below: 20 } } })
  for (const t of [31, 25, 29, 19]) b.reading('d1', { t })
  assert.deepEqual(b.said(), ['raised d1', 'cleared d1'])
})

test('an alert is said again until somebody has seen it', async () => {
  const b = bench({ hot: { when: { field: 't', above: 30 }, repeat: '1m' } })
  b.reading('d1', { t: 31 })
  await b.pass(125_000)
  assert.deepEqual(b.said(), ['raised d1', 'repeated d1', 'repeated d1'])
  const [alert] = b.stage.alerts()
  b.fact({ type: 'acknowledge', id: alert?.id, by: 'anna', now: BEGIN + b.now })
  assert.equal(b.alerts[0]?.by, 'anna')
  await b.pass(300_000)
  assert.deepEqual(b.said(), ['acknowledged d1'])
  b.reading('d1', { t: 1 })
  assert.deepEqual(b.said(), ['cleared d1'])
  assert.deepEqual(b.stage.alerts(), [])
  b.reading('d1', { t: 31 })
  await b.pass(60_000)
  assert.deepEqual(b.said(), ['raised d1', 'repeated d1'])
})

test('late readings do not fire unless asked', () => {
  const rule = { when: { field: 't', above: 30 } }
  const b = bench({ on_time: rule, all: { ...rule, late: true } })
  b.reading('d1', { t: 20 })
  b.reading('d1', { t: 99 }, { time: BEGIN - 1000 })
  assert.deepEqual(
    b.alerts.map(({ rule: name }) => name),
    ['all'],
  )
})

test('results of windows are judged by field and statistic, corrections only when asked', () => {
  const rule = { on: 'w', when: { field: 'cpu.max', above: 90 } }
  const b = bench({ busy: rule, again: { ...rule, corrections: true } })
  b.result({ key: { device: 'd1' }, fields: { cpu: { count: 1, max: 80 } } })
  b.result({ kind: 'correction', rev: 2, key: { device: 'd1' }, fields: { cpu: { count: 1, max: 95 } } })
  assert.deepEqual(
    b.alerts.map(({ rule: name }) => name),
    ['again'],
  )
  b.result({ key: { device: 'd2' }, fields: { cpu: { count: 1, max: 95 } } })
  assert.deepEqual(b.alerts.map(({ rule: name, key }) => `${name} ${key.device}`).sort(), [
    'again d1',
    'again d2',
    'busy d2',
  ])
})

test('a rule commands and publishes, with the parts of its key filled in', () => {
  const b = bench({
    hot: {
      when: { field: 't', above: 30 },
      [THEN]: [
        'alert',
        { command: { device: 'fan-{device}', command: 'set', args: { speed: '{value}' } } },
        { publish: { topic: 'alarms/{device}', payload: { at: '{value}' } } },
      ],
      onClear: { command: { device: 'fan-{device}', command: 'off' } },
    },
  })
  b.reading('d1', { t: 31 })
  b.reading('d1', { t: 3 })
  assert.deepEqual(b.orders, [
    { by: 'rule:hot', order: { device: 'fan-d1', command: 'set', args: { speed: 31 } } },
    { by: 'rule:hot', order: { device: 'fan-d1', command: 'off' } },
  ])
  assert.deepEqual(b.published, [{ topic: 'alarms/d1', payload: { at: 31 } }])
})

test('a part of the key goes before a word of ours of the same name', () => {
  const b = bench({
    busy: {
      by: ['state'],
      when: { field: 't', above: 1 },
      [THEN]: [{ command: { device: '{state}', command: 'on' } }],
    },
  })
  b.reading('d1', { t: 2 }, { tags: { state: 'NSW' } })
  assert.deepEqual(
    b.orders.map(({ order }) => order),
    [{ device: 'NSW', command: 'on' }],
  )
})

test('a storm is bounded, and the rest counted', async () => {
  const b = bench({ hot: { when: { field: 't', above: 30 }, maxPerMinute: 3 } })
  for (let i = 0; i < 10; i++) b.reading(`d${i}`, { t: 31 })
  assert.equal(b.said().length, 3)
  await b.pass(60_000)
  assert.deepEqual(
    b.alerts.map(({ state, value }) => [state, value]),
    [['repeated', { suppressed: 7 }]],
  )
})

test('only devices and tags that match are watched', () => {
  const b = bench({
    freezer: { when: { field: 't', above: -10 }, where: { device: 'freezer-*' } },
    north: { when: { field: 't', above: -10 }, where: { site: 'north' } },
  })
  b.reading('oven', { t: 200 }, { tags: { site: 'south' } })
  b.reading('freezer-1', { t: 2 }, { tags: { site: 'south' } })
  b.reading('lamp', { t: 2 }, { tags: { site: 'north' } })
  assert.deepEqual(
    b.alerts.map(({ rule, key }) => `${rule} ${key.device}`),
    ['freezer freezer-1', 'north lamp'],
  )
})

test('a changed rule starts anew and clears what it had raised; others go on', () => {
  const cold = { when: { field: 't', below: 0 } }
  const b = bench({ hot: { when: { field: 't', above: 30 } }, cold })
  b.reading('d1', { t: 40 })
  b.reading('d2', { t: -5 })
  b.said()
  b.define({ hot: { when: { field: 't', above: 50 } }, cold })
  assert.deepEqual(b.said(), ['cleared d1'])
  b.reading('d1', { t: 51 })
  b.reading('d2', { t: 5 })
  assert.deepEqual(b.said(), ['raised d1', 'cleared d2'])
})

/** Rules of every kind, and a random life for them. */
async function randomLife(seed: number): Promise<RuleBench> {
  const random = seeded(seed)
  const b = bench({
    hot: {
      when: { field: 't', above: 60, hysteresis: 10 },
      [THEN]: ['alert', { command: { device: 'fan', command: 'on' } }],
    },
    long: { when: { field: 't', above: 40 }, for: '20s', repeat: '30s' },
    silent: { when: { absent: '40s' } },
    mode: {
      when: {
        or: [
          { field: 'mode', changes: { to: 'b' } },
          { field: 't', outside: [5, 95] },
        ],
      },
    },
    fast: { when: { field: 't', rate: { above: 20, per: '1s' } }, maxPerMinute: 2 },
  })
  for (let i = 0; i < 400; i++) {
    const device = `d${Math.floor(random() * 4)}`
    if (random() < 0.8) b.reading(device, { t: Math.floor(random() * 100) })
    else b.reading(device, { mode: random() < 0.5 ? 'a' : 'b' })
    if (random() < 0.3) await b.pass(Math.floor(random() * 30_000))
  }
  return b
}

test('a replay from any checkpoint gives the same alerts and orders, and publishes nothing', async () => {
  const whole = await randomLife(7)
  assert.ok(whole.alerts.length > 100)
  for (const cut of [0, 1, 57, 200, 333, whole.journal.length]) {
    const first = new RuleBench()
    for (const step of whole.journal.slice(0, cut)) step(first, true)
    const second = new RuleBench()
    second.stage.restore(cut === 0 ? undefined : JSON.parse(JSON.stringify(first.stage.snapshot())))
    for (const step of whole.journal.slice(cut)) step(second, false)
    assert.deepEqual([...first.alerts, ...second.alerts], whole.alerts)
    assert.deepEqual([...first.orders, ...second.orders], whole.orders)
    assert.deepEqual(second.published, [])
  }
})
