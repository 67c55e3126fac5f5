import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { connectActuator } from '../commands/actuator.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'

/** A key of the config. */
const THEN = 'then'

type Event = Readonly<Record<string, unknown>>

/** Resolves with the first event for which `wanted` holds. */
function happens(site: TestGateway, type: 'alert' | 'command', wanted: (event: Event) => boolean): Promise<Event> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no such ${type}`)), 10_000)
    const stop = site.gateway.api.subscribe({ types: new Set([type]) }, ({ data }) => {
      if (!wanted(data as Event)) return
      clearTimeout(timer)
      stop()
      resolve(data as Event)
    })
  })
}

async function sensor(site: TestGateway) {
  const client = await connectAsync(`mqtt://127.0.0.1:${site.port('mqtt')}`, { reconnectPeriod: 0 })
  return {
    send: (device: string, fields: object) =>
      client.publishAsync(`telemetry/${device}`, JSON.stringify(fields), { qos: 1 }),
    client,
  }
}

test('a reading raises an alert that a person acknowledges, commands an actuator and is published', async (t) => {
  const effects = [
    'alert',
    { command: { device: 'fan', command: 'set', args: { speed: 3 } } },
    { publish: { topic: 'alarms/{device}' } },
  ]
  const site = await startTestGateway({ rules: { hot: { when: { field: 't', above: 30 }, [THEN]: effects } } })
  t.after(() => site.close())
  const fan = await connectActuator(site.port('mqtt'), 'fan')
  t.after(() => fan.close())
  const { send, client } = await sensor(site)
  t.after(() => client.endAsync(true))
  const published = new Promise<Event>((resolve) => {
    client.on('message', (_, payload) => resolve(JSON.parse(payload.toString()) as Event))
  })
  await client.subscribeAsync('alarms/#')
  const done = happens(site, 'command', ({ state }) => state === 'acknowledged')
  await send('d1', { t: 31 })
  const command = await done
  assert.equal(command.by, 'rule:hot')
  assert.deepEqual([...fan.done.values()], [{ name: 'set', args: { speed: 3 } }])
  assert.equal((await published).rule, 'hot')
  const [alert] = site.gateway.api.alerts()
  const url = `http://127.0.0.1:${site.port('http')}/api/alerts/${alert?.id}/ack`
  const body = JSON.stringify({ by: 'anna', note: 'the door was open' })
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  assert.equal(answer.status, 200)
  assert.equal(site.gateway.api.alerts()[0]?.acknowledged, true)
  await site.restart()
  const [seen] = site.gateway.api.alerts()
  assert.deepEqual([seen?.acknowledged, seen?.by, seen?.note], [true, 'anna', 'the door was open'])
  const past = site.gateway.api.alertHistory()
  assert.deepEqual(
    past.map(({ state, note }) => [state, note]),
    [
      ['acknowledged', 'the door was open'],
      ['raised', undefined],
    ],
  )
  assert.equal(fan.received.length, 1)
})

test('a result of a window commands an actuator', async (t) => {
  const site = await startTestGateway({
    windows: { mean: { tumbling: '1s', by: ['device'] } },
    rules: {
      busy: {
        on: 'mean',
        when: { field: 'cpu.mean', above: 80 },
        [THEN]: [{ command: { device: 'fan', command: 'on' } }],
      },
    },
    decode: [{ topic: 'telemetry/{device}', time: 'at' }],
  })
  t.after(() => site.close())
  const fan = await connectActuator(site.port('mqtt'), 'fan')
  t.after(() => fan.close())
  const { send, client } = await sensor(site)
  t.after(() => client.endAsync(true))
  const done = happens(site, 'command', ({ state }) => state === 'acknowledged')
  await send('d1', { cpu: 90, at: '2026-11-23T00:00:00Z' })
  await send('d1', { cpu: 10, at: '2026-11-23T00:00:01Z' })
  await done
  assert.equal(fan.received.length, 1)
})

test('a silent device is missed, and rules change while the gateway runs', async (t) => {
  const site = await startTestGateway({ rules: { silent: { when: { absent: '300ms' } } } })
  t.after(() => site.close())
  const { send, client } = await sensor(site)
  t.after(() => client.endAsync(true))
  const raised = happens(site, 'alert', ({ state, rule }) => state === 'raised' && rule === 'silent')
  await send('d1', { t: 1 })
  assert.deepEqual((await raised).key, { device: 'd1' })
  const cleared = happens(site, 'alert', ({ state, rule }) => state === 'cleared' && rule === 'silent')
  await site.reload({ rules: { hot: { when: { field: 't', above: 30 } } } })
  await cleared
  const hot = happens(site, 'alert', ({ state, rule }) => state === 'raised' && rule === 'hot')
  await send('d1', { t: 31 })
  await hot
})
