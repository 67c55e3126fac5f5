import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import mqtt, { type MqttClient } from 'mqtt'
import { bounded, missing, run, startBroker, until } from './support.ts'

const noMosquitto = { skip: missing('mosquitto_sub') }

/** Runs mosquitto_sub until it ends by itself; what it printed. */
function listen(t: TestContext, ...args: string[]): Promise<string[]> {
  const child = spawn('mosquitto_sub', args)
  t.after(() => child.kill())
  let out = ''
  child.stdout.on('data', (chunk) => (out += chunk))
  return bounded(
    new Promise((resolve) => child.once('close', () => resolve(out.trim().split('\n')))),
    () => `mosquitto_sub ${args.join(' ')}: ${out}`,
  )
}

test(
  'mosquitto of MQTT 5 gets properties, shares a subscription and finds its session again',
  noMosquitto,
  async (t) => {
    const { port, broker } = await startBroker(t)
    const at = ['-p', String(port), '-V', 'mqttv5']
    const keep = ['-i', 'keeper', '-c', '-x', '300', '-q', '2', '-t', 'kept/#']
    const kept = listen(t, ...at, ...keep, '-E')
    await kept
    assert.equal(broker.status().sessions, 1)
    const watching = listen(t, ...at, '-t', 'a', '-C', '1', '-F', '%p|%C|%R|%P|%E')
    const sharing = [1, 2].map(() => listen(t, ...at, '-t', '$share/g/s', '-C', '2'))
    await until(() => broker.status().subscriptions === 3)
    const publish = (...args: string[]) => run('mosquitto_pub', ...at, ...args)
    const props = ['content-type text/plain', 'response-topic r', 'user-property k v', 'message-expiry-interval 60']
    const given = props.flatMap((each) => ['-D', 'publish', ...each.split(' ')])
    assert.equal((await publish('-t', 'a', '-m', 'x', '-q', '1', ...given)).code, 0)
    const [line = ''] = await watching
    assert.match(line, /^x\|text\/plain\|r\|k:v\|(60|59)$/)
    for (const payload of ['1', '2', '3', '4']) await publish('-t', 's', '-m', payload, '-q', '1')
    assert.deepEqual((await Promise.all(sharing)).flat().sort(), ['1', '2', '3', '4'])
    for (const qos of ['0', '1', '2']) await publish('-t', `kept/${qos}`, '-m', qos, '-q', qos)
    assert.deepEqual(await listen(t, ...at, ...keep, '-C', '2'), ['1', '2'])
  },
)

test('mqtt.js of MQTT 5 asks, answers, and gets what came while it was away', async (t) => {
  const { port, broker } = await startBroker(t)
  const connect = (clientId: string, options: mqtt.IClientOptions = {}): Promise<MqttClient> => {
    const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, clientId, ...options })
    t.after(() => client.end(true))
    return bounded(new Promise((resolve) => client.once('connect', () => resolve(client))))
  }
  const server = await connect('server')
  server.on('message', (_topic, payload, { properties = {} }) => {
    const { responseTopic = '', correlationData = Buffer.alloc(0) } = properties
    server.publish(responseTopic, `answer to ${payload}`, { qos: 1, properties: { correlationData } })
  })
  await server.subscribeAsync('ask', { qos: 1 })
  const asker = await connect('asker')
  await asker.subscribeAsync('answers/asker', { qos: 1, properties: { subscriptionIdentifier: 4 } })
  const answer = bounded(
    new Promise<unknown[]>((resolve) =>
      asker.once('message', (topic, payload, { properties }) =>
        resolve([topic, `${payload}`, `${properties?.correlationData}`, properties?.subscriptionIdentifier]),
      ),
    ),
  )
  const correlationData = Buffer.from('c1')
  asker.publish('ask', 'why', { qos: 2, properties: { responseTopic: 'answers/asker', correlationData } })
  assert.deepEqual(await answer, ['answers/asker', 'answer to why', 'c1', 4])

  const session = { clean: false, properties: { sessionExpiryInterval: 300 } }
  const first = await connect('keeper', session)
  await first.subscribeAsync('kept', { qos: 2 })
  await first.endAsync()
  for (const qos of [1, 2] as const) await asker.publishAsync('kept', `${qos}`, { qos })
  const got: string[] = []
  const again = mqtt.connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5, clientId: 'keeper', ...session })
  t.after(() => again.end(true))
  again.on('message', (_topic, payload) => got.push(`${payload}`))
  await until(() => got.length === 2)
  assert.deepEqual(got, ['1', '2'])
  assert.equal(broker.status().sessions, 1)
})
