import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { modemStatuses } from '../../examples/modems/sample.ts'
import { NO_PROTON, send } from '../plugins/amqp/proton.ts'
import { createRabbitMq, NO_RABBITMQ } from '../plugins/amqp/rabbitmq.ts'
import { NO_MOSQUITTO } from '../plugins/mosquitto.ts'
import { NO_ZMQ, startOracle } from '../plugins/zeromq/oracle.ts'
import { type AmqpUpstream, openAmqpUpstream } from '../support/amqp-upstream.ts'
import type { SentWindow } from '../support/batches.ts'
import { publishAll } from '../support/mqtt-device.ts'
import { windowName } from '../support/naive.ts'
import { type Example, startExample } from './example.ts'

/** A report every 5 ms: 60 s of event time, beginning with a window. */
const COUNT = 12_000
const SIZE = 10_000
const DELAY = 5000
const start = Math.floor((Date.now() - 600_000) / SIZE) * SIZE
const statuses = [...modemStatuses(COUNT, start)]
const messages = statuses.map((status) => ({
  topic: `telemetry/${status.deviceid}`,
  payload: JSON.stringify(status),
}))

/** Each modem speaks one protocol. */
const speaking = (protocol: number) =>
  messages.filter((_, i) => Number(statuses[i]?.deviceid.slice(3)) % 3 === protocol)

const SOURCES = {
  SLUICE__SOURCES: JSON.stringify({
    amqp1: { amqp: { listen: '127.0.0.1:0' } },
    zmq: { zeromq: { pull: 'tcp://127.0.0.1:0' } },
  }),
}

/** An actuator made of mosquitto's clients: does what it has not done yet, and answers. */
function startFan(t: TestContext, port: number): string[] {
  const done = new Map<string, string>()
  const order: string[] = []
  const args = ['-oL', 'mosquitto_sub', '-p', `${port}`, '-i', 'listening', '-q', '1', '-v', '-t', 'command/fan-NSW/+']
  const child = spawn('stdbuf', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [topic = '', json = ''] = line.split(/ (.*)/s)
    const { id } = JSON.parse(json) as { id: string }
    const name = topic.split('/')[2] ?? ''
    if (!done.has(id)) order.push(name)
    done.set(id, name)
    const answer = JSON.stringify({ id, ok: true, result: { turned: name } })
    execFile('mosquitto_pub', ['-p', `${port}`, '-i', 'fan-NSW', '-q', '1', '-t', `${topic}/ack`, '-m', answer])
  })
  return order
}

async function startSite(t: TestContext, port: number, exchange: string, env: Record<string, string>) {
  const upstream = await openAmqpUpstream(port, exchange, 'mixed-site')
  const amqp = { url: `amqp://127.0.0.1:${port}`, exchange, commandsFrom: `commands.${exchange}` }
  const example = await startExample('mixed', { plant: { amqp, batch: { age: '200ms' } } }, env)
  t.after(async () => {
    await example.stop()
    await upstream.close()
  })
  return { upstream, example }
}

/** The third that speaks MQTT, the third that speaks AMQP and the third that speaks ZeroMQ, at once. */
async function sendByThirds(t: TestContext, { gateway }: Example): Promise<void> {
  const { mqtt = 0, amqp1, zmq } = gateway.ports
  const url = `amqp://127.0.0.1:${amqp1}`
  const [overMqtt, overAmqp, overZmq] = [0, 1, 2].map(speaking) as [typeof messages, typeof messages, typeof messages]
  const oracle = startOracle(t)
  await oracle.socket('push', 'PUSH', { connect: [`tcp://127.0.0.1:${zmq}`] })
  const legs = [
    (some: typeof messages) => publishAll(mqtt, some),
    async (some: typeof messages) => {
      const sent = some.map(({ topic, payload }) => ({ to: topic, body: payload }))
      const outcomes = await send(url, '', sent)
      assert.deepEqual(
        outcomes.filter(({ event }) => event !== 'accepted'),
        [],
      )
    },
    async (some: typeof messages) => {
      await Promise.all(some.map(({ topic, payload }) => oracle.send('push', [topic, payload])))
    },
  ] as const
  const thirds = [overMqtt, overAmqp, overZmq]
  // A window over all devices waits for the sources that have begun: so all begin before the first goes on.
  await Promise.all(legs.map((leg, i) => leg(thirds[i]?.slice(0, 1) ?? [])))
  await Promise.all(legs.map((leg, i) => leg(thirds[i]?.slice(1) ?? [])))
}

/** Ends of windows that both sites have closed for certain. */
const lastEnd = start + Math.floor((COUNT * 5 - DELAY - 500) / SIZE) * SIZE

const closed = ({ inbox }: AmqpUpstream, window: string): Map<string, SentWindow> =>
  new Map(
    inbox
      .windows(window)
      .filter(({ end }) => Date.parse(end) <= lastEnd)
      .map((one) => [windowName(one.key, one.start), one]),
  )

function alike(window: SentWindow) {
  const { kind, key, start: from, end, count, fields } = window
  // Another order of additions may change the last digits.
  const round = (value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(10)) : value)
  const rounded = Object.entries(fields).map(([name, statistics]) => [
    name,
    Object.fromEntries(Object.entries(statistics).map(([of, value]) => [of, round(value)])),
  ])
  return { kind, key, from, end, count, fields: Object.fromEntries(rounded) }
}

const missing = NO_RABBITMQ || NO_PROTON || NO_ZMQ || NO_MOSQUITTO

test('a fleet over three protocols gives the results of one over MQTT, and commands a fan for RabbitMQ to see', {
  skip: missing,
  timeout: 120_000,
}, async (t) => {
  const rabbit = await createRabbitMq()
  t.after(() => rabbit.dispose())
  await rabbit.start()
  const mixed = await startSite(t, rabbit.port, 'mixed', SOURCES)
  const alone = await startSite(t, rabbit.port, 'alone', SOURCES)
  const fan = startFan(t, mixed.example.gateway.ports.mqtt as number)
  await Promise.all([sendByThirds(t, mixed.example), publishAll(alone.example.gateway.ports.mqtt as number, messages)])
  const states = 4 * ((lastEnd - start) / SIZE)
  const { inbox } = mixed.upstream
  for (const { upstream } of [mixed, alone])
    await upstream.inbox.until('windows by state', () => closed(upstream, 'by-state').size === states, 60_000)

  await t.test('the results are those of the same data over MQTT alone', async () => {
    const devices = new Set(statuses.map(({ deviceid }) => deviceid)).size
    for (const { upstream } of [mixed, alone])
      await upstream.inbox.until(
        'windows by device',
        () => upstream.inbox.windows('per-device').length >= devices,
        60_000,
      )
    for (const window of ['by-state', 'per-device']) {
      const [here, there] = [closed(mixed.upstream, window), closed(alone.upstream, window)]
      const common = [...there.keys()].filter((name) => here.has(name))
      assert.ok(common.length >= (window === 'by-state' ? states : devices / 2), `${common.length} of ${window}`)
      for (const name of common)
        assert.deepEqual(alike(here.get(name) as SentWindow), alike(there.get(name) as SentWindow))
    }
  })

  await t.test('the rule’s commands are done once each, and their lives are upstream', async () => {
    const events = () => inbox.records('event')
    await inbox.until('acknowledgements', () => events().filter(({ state }) => state === 'acknowledged').length >= 3)
    assert.deepEqual(fan, ['on', 'off', 'on'])
    assert.deepEqual(
      events()
        .filter(({ kind }) => kind === 'alert')
        .map(({ rule, state, key }) => [rule, state, key]),
      [
        ['busy', 'raised', { state: 'NSW' }],
        ['busy', 'cleared', { state: 'NSW' }],
        ['busy', 'raised', { state: 'NSW' }],
      ],
    )
    const commands = events().filter(({ kind }) => kind === 'command')
    const ids = new Set(commands.map(({ id }) => id))
    assert.equal(ids.size, 3)
    for (const id of ids) {
      const life = commands.filter((one) => one.id === id)
      assert.deepEqual(
        life.map(({ state }) => state),
        ['accepted', 'sent', 'acknowledged'],
      )
      for (const { device, by } of life) assert.deepEqual([device, by], ['fan-NSW', 'rule:busy'])
    }
  })

  await t.test('a command from RabbitMQ goes the same way', async () => {
    mixed.upstream.command('commands.mixed', { id: 'night', device: 'fan-NSW', command: 'off' })
    const life = () => inbox.records('event').filter(({ id }) => id === 'night')
    await inbox.until('its life', () => life().length === 3)
    assert.deepEqual(
      life().map(({ state, by }) => `${state} ${by}`),
      ['accepted upstream:plant', 'sent upstream:plant', 'acknowledged upstream:plant'],
    )
    assert.deepEqual(fan, ['on', 'off', 'on', 'off'])
  })
})
