import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BusyError, NotConnectedError, RequestError } from '../../gateway/errors.ts'
import { createBench, settled, submit } from './support.ts'

test('a command goes from accepted over sent to acknowledged, each change one record', async () => {
  const bench = createBench()
  const { repeated, command } = await submit(bench, { args: { level: 3 } })
  assert.equal(repeated, false)
  await settled()
  assert.deepEqual(
    bench.sent.map(({ id, device, command, args }) => ({ id, device, command, args })),
    [{ id: 'c1', device: 'lamp', command: 'on', args: { level: 3 } }],
  )
  assert.equal(bench.stage.answered('lamp', 'on', 'c1', { ok: true, result: { level: 3 } }), true)
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent', 'acknowledged'])
  assert.deepEqual(command.result, { level: 3 })
  assert.equal(bench.records[2]?.by, 'api')
})

test('sent is durable before the first byte leaves', async () => {
  const bench = createBench()
  bench.autoDurable = false
  const submitted = submit(bench)
  await settled()
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent'])
  assert.equal(bench.sent.length, 0)
  bench.commit()
  await submitted
  assert.equal(bench.sent.length, 1)
})

test('the same id twice is one command', async () => {
  const bench = createBench()
  await submit(bench)
  const again = await submit(bench, { command: 'off' })
  assert.equal(again.repeated, true)
  assert.equal(again.command.command, 'on')
  await settled()
  assert.equal(bench.sent.length, 1)
})

test('a command waits for a device that is offline and is sent when it appears', async () => {
  const bench = createBench({ offline: true })
  await submit(bench)
  assert.deepEqual(bench.states('c1'), ['accepted'])
  bench.appear()
  await settled()
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent'])
  assert.equal(bench.sent.length, 1)
})

test('the record of a command that waits says for what, and when it expired that it was in vain', async () => {
  const asleep = createBench({ offline: true, waiting: 'the device to wake' })
  await submit(asleep, { deadline: '2s' })
  assert.equal(asleep.records[0]?.reason, 'waits for the device to wake')
  asleep.clock.step(2000)
  asleep.stage.poke()
  assert.equal(asleep.records[1]?.reason, 'waited in vain for the device to wake')
  const unknown = createBench({ offline: true })
  await submit(unknown)
  assert.equal(unknown.records[0]?.reason, 'waits for the device to appear')
  unknown.appear()
  assert.deepEqual(
    unknown.records.map(({ state, reason }) => [state, reason]),
    [
      ['accepted', 'waits for the device to appear'],
      ['sent', undefined],
    ],
  )
})

test('a command that does not want to wait fails when the device is offline', async () => {
  const bench = createBench({ offline: true })
  const { command } = await submit(bench, { ifOffline: 'fail' })
  assert.equal(command.state, 'failed')
  assert.equal(command.reason, 'the device is offline')
})

test('a command that was never sent expires, one that nobody answered is unconfirmed', async () => {
  const bench = createBench({ offline: true })
  await submit(bench, { deadline: '2s' })
  bench.clock.step(2000)
  bench.stage.poke()
  assert.deepEqual(bench.states('c1'), ['accepted', 'expired'])
  bench.online = true
  await submit(bench, { id: 'c2', deadline: new Date(bench.clock.now() + 1000).toISOString() })
  await settled()
  bench.clock.step(1000)
  bench.stage.poke()
  assert.deepEqual(bench.states('c2'), ['accepted', 'sent', 'unconfirmed'])
  assert.equal(bench.stage.answered('lamp', 'on', 'c2', { ok: true }), false)
  assert.deepEqual(bench.states('c2'), ['accepted', 'sent', 'unconfirmed'])
})

test('a device that refuses makes a command fail with its reason', async () => {
  const bench = createBench()
  bench.execute = () => Promise.resolve({ ok: false, reason: 'jammed' })
  await submit(bench)
  await settled()
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent', 'failed'])
  assert.equal(bench.records[2]?.reason, 'jammed')
})

test('a transport that sent nothing puts the command back, and it is tried again', async () => {
  const bench = createBench()
  bench.execute = () => Promise.reject(new NotConnectedError('SLUICE_TEST', 'gone'))
  await submit(bench)
  await settled()
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent', 'accepted'])
  bench.execute = () => Promise.resolve({ ok: true })
  bench.stage.poke()
  assert.equal(bench.sent.length, 1)
  await bench.clock.advance(1000)
  bench.stage.poke()
  await settled()
  assert.deepEqual(bench.states('c1').slice(3), ['sent', 'acknowledged'])
})

test('a device that is away for long is tried again and again: what was never sent is not unconfirmed', async () => {
  const bench = createBench({ options: { deadline: 600_000 } })
  bench.execute = () => Promise.reject(new NotConnectedError('SLUICE_TEST', 'gone'))
  await submit(bench)
  for (let second = 0; second < 40; second++) {
    await settled()
    await bench.clock.advance(1000)
    bench.stage.poke()
  }
  await settled()
  // At 0, 1, 3, 7, 15 and 31 s.
  assert.equal(bench.sent.length, 6)
  assert.equal(bench.states('c1').at(-1), 'accepted')
  bench.execute = () => Promise.resolve({ ok: true })
  bench.appear()
  await settled()
  assert.deepEqual(bench.states('c1').slice(-2), ['sent', 'acknowledged'])
  assert.equal(bench.stage.ledger.find('c1')?.attempts, 1)
})

test('without an answer it is sent again only as often as the policy says, under the same id', async () => {
  const bench = createBench({ options: { retry: { attempts: 3, after: 1000 } } })
  await submit(bench)
  for (let i = 0; i < 5; i++) {
    await settled()
    bench.clock.step(1000)
    bench.stage.poke()
  }
  await settled()
  assert.deepEqual(
    bench.sent.map(({ id }) => id),
    ['c1', 'c1', 'c1'],
  )
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent'])
  assert.equal(bench.stage.ledger.find('c1')?.attempts, 3)
})

test('only the device that was asked, for what it was asked, acknowledges', async () => {
  const bench = createBench()
  await submit(bench)
  await settled()
  assert.equal(bench.stage.answered('other', 'on', 'c1', { ok: true }), false)
  assert.equal(bench.stage.answered('lamp', 'off', 'c1', { ok: true }), false)
  assert.equal(bench.stage.counts().answersIgnored, 2)
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent'])
})

test('a cancelled command fails, and one that was sent says that it may have been done', async () => {
  const bench = createBench({ offline: true })
  await submit(bench)
  assert.equal((await bench.stage.cancel('c1', 'api'))?.state, 'failed')
  bench.online = true
  await submit(bench, { id: 'c2' })
  await settled()
  const cancelled = await bench.stage.cancel('c2', 'api')
  assert.match(cancelled?.reason ?? '', /may have been done/)
  assert.equal(await bench.stage.cancel('c3', 'api'), undefined)
})

test('what is not allowed, not declared or out of range is rejected and never sent', async () => {
  const declared = {
    on: { kind: 'switch', args: { level: { type: 'number', min: 0, max: 100, unit: '%', optional: true } } },
  } as const
  const bench = createBench({ declared, options: { allow: [{ by: 'rule:*' }, { by: 'api', device: 'la*' }] } })
  const reasonFor = async (id: string, more: object) => {
    const { command } = await submit(bench, { id, ...more })
    assert.equal(command.state, 'rejected')
    return command.reason
  }
  assert.equal(await reasonFor('a', { device: 'door' }), 'api may not send on to door')
  assert.equal(await reasonFor('b', { command: 'explode' }), 'device lamp has no command explode: it has on')
  assert.match((await reasonFor('n', { command: 'on/off' })) ?? '', /^a command is a name without/)
  assert.equal(await reasonFor('c', { args: { level: 101 } }), 'argument level is 101 %, the most is 100 %')
  assert.equal(await reasonFor('d', { args: { speed: 1 } }), 'on has no argument speed')
  assert.equal(await reasonFor('e', { args: { level: 'high' } }), 'argument level must be a number')
  await settled()
  assert.equal(bench.sent.length, 0)
  assert.equal((await submit(bench, { id: 'f', args: { level: 7 } })).command.state, 'sent')
})

test('a condition on the last reading is checked when the command is sent', async () => {
  const bench = createBench({ values: { door: 'open', temperature: 20 } })
  const condition = async (id: string, onlyIf: object) => (await submit(bench, { id, onlyIf })).command
  assert.equal((await condition('a', { field: 'door', equals: 'closed' })).reason, 'door is open, not closed')
  assert.equal((await condition('b', { field: 'temperature', above: 25 })).reason, 'temperature is 20, not above 25')
  assert.equal((await condition('c', { field: 'wind', below: 5 })).reason, 'the device has reported no wind')
  assert.equal((await condition('d', { field: 'door', equals: 'open' })).state, 'sent')
})

test('a restart at any fact goes on where the journal ends, and sends nothing twice', async () => {
  const first = createBench()
  first.execute = () => Promise.resolve({ ok: true })
  await submit(first)
  await settled()
  const { facts } = first
  assert.equal(facts.length, 3)
  for (let kept = 0; kept <= facts.length; kept++) {
    const next = createBench({ replay: facts.slice(0, kept), clock: first.clock })
    await settled()
    // `sent` is in the journal: whether the bytes left nobody knows, so they do not leave again.
    assert.equal(next.sent.length, kept === 1 ? 1 : 0)
    next.clock.step(60_000)
    next.stage.poke()
    const state = next.stage.ledger.find('c1')?.state
    assert.equal(state, [undefined, 'unconfirmed', 'unconfirmed', 'acknowledged'][kept])
    next.clock.step(-60_000)
  }
})

test('a checkpoint holds the whole ledger', async () => {
  const first = createBench({ offline: true })
  await submit(first)
  first.stage.ledger.order('rule:hot', { device: 'fan', command: 'on' })
  const state = JSON.parse(JSON.stringify(first.stage.snapshot()))
  const next = createBench({ state })
  await settled()
  assert.deepEqual(next.states('c1'), ['sent'])
  assert.equal(next.stage.ledger.orders().size, 0)
  assert.deepEqual(next.sent.map(({ device }) => device).sort(), ['fan', 'lamp'])
})

test('what a rule orders becomes a command when the entry is processed', async () => {
  const bench = createBench()
  bench.stage.order('rule:hot', { device: 'fan', command: 'on', args: { speed: 2 } })
  assert.equal(bench.facts.length, 0)
  await settled()
  assert.deepEqual(
    bench.records.map(({ by, state }) => `${by} ${state}`),
    ['rule:hot accepted', 'rule:hot sent'],
  )
})

test('a full journal makes a sender wait and loses no answer', async () => {
  const bench = createBench()
  await submit(bench)
  await settled()
  bench.roomy = false
  await assert.rejects(submit(bench, { id: 'c2' }), BusyError)
  bench.stage.answered('lamp', 'on', 'c1', { ok: true })
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent'])
  bench.roomy = true
  bench.stage.poke()
  assert.deepEqual(bench.states('c1'), ['accepted', 'sent', 'acknowledged'])
})

test('final commands are forgotten after a day, and when there are too many', async () => {
  const bench = createBench({ options: { maxOpen: 0 } })
  await submit(bench, { id: 'old' })
  bench.clock.step(86_400_001)
  for (let i = 0; i < 10_001; i++) await bench.stage.submit({ id: `n${i}`, device: 'lamp', command: 'on' }, 'api')
  assert.equal(bench.stage.ledger.find('old'), undefined)
  assert.ok([...bench.stage.ledger.newest()].length <= 10_001)
  assert.equal(bench.stage.ledger.find('n10000')?.state, 'rejected')
})

test('a deadline that is neither a duration nor a time is refused', async () => {
  const bench = createBench()
  await assert.rejects(submit(bench, { deadline: 'soon' }), RequestError)
  await assert.rejects(submit(bench, { deadline: '2026-99-99T00:00:00Z' }), RequestError)
})

test('commands that wait are not asked after until something may have changed', async () => {
  const bench = createBench({ offline: true, options: { deadline: 600_000 } })
  for (let i = 0; i < 50; i++) await submit(bench, { id: `c${i}` })
  let asked = 0
  Object.defineProperty(bench, 'online', { get: () => asked++ < 0 })
  for (let i = 0; i < 99; i++) {
    await bench.clock.advance(100)
    bench.stage.poke()
  }
  assert.equal(asked, 0)
  await bench.clock.advance(600_000)
  bench.stage.poke()
  assert.deepEqual(bench.states('c49'), ['accepted', 'expired'])
})
