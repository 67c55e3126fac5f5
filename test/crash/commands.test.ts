/** Commands through `kill -9` at random moments, with a real MQTT device that remembers what it did. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from '../../examples/random.ts'
import { type Actuator, connectActuator } from '../commands/actuator.ts'
import { createSite, type GatewayProcess } from '../support/gateway-process.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const seed = Number(process.env.CRASH_SEED ?? 20261124)
const CYCLES = 6
const FINISH = 30_000
const FINAL = ['acknowledged', 'failed', 'expired', 'unconfirmed', 'rejected']

/** A key of the config. */
const THEN = 'then'

type Done = Map<string, { name: string; args: unknown }>

/** Orders one command after the other until the gateway is gone; adds the ids that it promised to keep. */
async function order(gateway: GatewayProcess, cycle: number, promised: Set<string>): Promise<void> {
  for (let n = 0; ; n++) {
    const id = `c${cycle}-${n}`
    // Every fifth is for a device that never comes.
    const device = n % 5 === 4 ? 'absent' : 'lamp'
    try {
      const response = await fetch(`http://127.0.0.1:${gateway.ports.http}/api/commands`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ id, device, command: 'on', deadline: '4s' }),
      })
      if (response.status === 202) promised.add(id)
    } catch {
      return
    }
  }
}

/** A sensor whose every second reading makes a rule order something, until the gateway is gone. */
async function sense(gateway: GatewayProcess): Promise<void> {
  for (let n = 0; ; n++) {
    try {
      await fetch(`http://127.0.0.1:${gateway.ports.http}/api/telemetry/sensor`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ n: n % 2 }),
      })
    } catch {
      return
    }
  }
}

async function cycle(
  gateway: GatewayProcess,
  number: number,
  state: { promised: Set<string>; done: Done; received: string[]; random: () => number },
): Promise<void> {
  const actuator = await connect(gateway, state.done)
  const ordering = [
    sense(gateway),
    order(gateway, number * 2, state.promised),
    order(gateway, number * 2 + 1, state.promised),
  ]
  // The moment of the crash is the experiment itself, so this waits for time.
  await new Promise((resolve) => setTimeout(resolve, 100 + state.random() * 400))
  await gateway.kill('SIGKILL')
  await Promise.all(ordering)
  await actuator.close()
  state.received.push(...actuator.received)
}

function connect(gateway: GatewayProcess, done: Done): Promise<Actuator> {
  return connectActuator(gateway.ports.mqtt ?? 0, 'lamp', { done })
}

/** States by command, in the order of their numbers. */
function statesOf(receiver: Receiver): Map<string, string[]> {
  const states = new Map<string, string[]>()
  for (const [name, log] of receiver.logs) {
    if (!name.startsWith('event')) continue
    for (const record of [...log.values()].sort((a, b) => a.seq - b.seq)) {
      if (record.kind !== 'command') continue
      const id = String(record.id)
      states.set(id, [...(states.get(id) ?? []), String(record.state)])
    }
  }
  return states
}

/** States of the sensor's alert, in the order of their numbers: raised and cleared in turn. */
function alertsOf(receiver: Receiver): string[] {
  return [...receiver.logs].flatMap(([name, log]) =>
    name.startsWith('event')
      ? [...log.values()]
          .filter(({ kind }) => kind === 'alert')
          .sort((a, b) => a.seq - b.seq)
          .map(({ state }) => String(state))
      : [],
  )
}

function isDone(states: readonly string[] | undefined): boolean {
  return FINAL.includes(states?.at(-1) ?? '')
}

test('through kill -9 no command is lost or done twice, and every one ends in a final state', {
  timeout: 180_000,
}, async (t) => {
  t.diagnostic(`seed ${seed}; replay a failure with CRASH_SEED=${seed}`)
  const receiver = await startReceiver()
  const site = createSite({
    gateway: { id: 'crash' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    upstreams: { test: { http: { url: `http://127.0.0.1:${receiver.port}/` }, batch: { age: '50ms' } } },
    rules: {
      odd: {
        when: { field: 'n', equals: 1 },
        maxPerMinute: 1_000_000,
        [THEN]: ['alert', { command: { device: 'lamp', command: 'blink', deadline: '4s' } }],
      },
    },
    log: { level: 'error' },
  })
  t.after(() => receiver.close())
  t.after(() => site.remove())
  const state = { promised: new Set<string>(), done: new Map(), received: [] as string[], random: seeded(seed) }
  for (let number = 0; number < CYCLES; number++) await cycle(await site.start(), number, state)

  const gateway = await site.start()
  const actuator = await connect(gateway, state.done)
  const deadline = performance.now() + FINISH
  const open = () => {
    const states = statesOf(receiver)
    return [...new Set([...state.promised, ...states.keys()])].filter((id) => !isDone(states.get(id)))
  }
  while (performance.now() < deadline && open().length > 0)
    await Promise.race([receiver.next(), new Promise((resolve) => setTimeout(resolve, 200))])
  await gateway.kill('SIGTERM')
  await actuator.close()
  state.received.push(...actuator.received)

  const alerts = alertsOf(receiver)
  assert.ok(alerts.length > 10)
  const twice = alerts.filter((one, i) => one === alerts[i - 1])
  assert.deepEqual(twice, [], 'an alert was lost or said twice')
  const states = statesOf(receiver)
  t.diagnostic(`${state.promised.size} promised, ${states.size} known upstream, ${state.done.size} done`)
  assert.deepEqual(open(), [], 'some never ended')
  assert.deepEqual(receiver.changed, [])
  assert.equal(state.received.length, new Set(state.received).size, 'something was sent twice')
  for (const [id, list] of states) {
    const text = list.join(' ')
    assert.match(text, /^accepted( sent)?( (acknowledged|expired|unconfirmed))?$/, `${id}: ${text}`)
    if (list.includes('acknowledged')) assert.ok(state.done.has(id), `${id} was acknowledged and not done`)
    if (!list.includes('sent')) assert.ok(!state.done.has(id), `${id} was done and never sent`)
  }
  // How many there are is the machine's affair: enough that something was at stake.
  assert.ok(state.promised.size > 10)
  assert.ok([...state.done.values()].filter(({ name }) => name === 'blink').length > 3)
})
