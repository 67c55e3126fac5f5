import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { seeded } from '../../examples/random.ts'
import { PacketClient } from '../broker/packet-client.ts'
import { createSite, type GatewayProcess, runCommand, type Site } from '../support/gateway-process.ts'

const PUBREL = { cmd: 'pubrel', reasonCode: 0 } as const

function siteFor(t: TestContext): Site {
  const site = createSite({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    log: { level: 'warn' },
  })
  t.after(() => site.remove())
  return site
}

async function connect(t: TestContext, gateway: GatewayProcess) {
  const properties = { sessionExpiryInterval: 1000 }
  const { client, connack } = await PacketClient.open(t, gateway.ports.mqtt as number, {
    clientId: 'meter',
    clean: false,
    properties,
  })
  return { client, present: connack.sessionPresent }
}

/** Messages of the journal, by the audit of the data directory. */
async function taken(site: Site): Promise<number> {
  const { code, out, err } = await runCommand(['audit', '--data', site.data, '--json'])
  assert.equal(code, 0, `${out}${err}`)
  const { sources } = JSON.parse(out) as { sources: { source: string; in: number }[] }
  return sources.find(({ source }) => source === 'mqtt')?.in ?? 0
}

test('kill -9 between PUBREC and PUBREL: the message sent again is not taken again, a new one with its id is', async (t) => {
  const site = siteFor(t)
  const first = await site.start()
  const { client } = await connect(t, first)
  client.publish('telemetry/d', '{"n":1}', { qos: 2, messageId: 9 })
  await client.next('pubrec')
  await first.kill('SIGKILL')

  const second = await site.start()
  const { client: again, present } = await connect(t, second)
  assert.equal(present, true)
  again.publish('telemetry/d', '{"n":1}', { qos: 2, messageId: 9, dup: true })
  await again.next('pubrec')
  again.send({ ...PUBREL, messageId: 9 })
  await again.next('pubcomp')
  await second.kill('SIGKILL')
  assert.equal(await taken(site), 1)

  const third = await site.start()
  const { client: last } = await connect(t, third)
  last.publish('telemetry/d', '{"n":2}', { qos: 2, messageId: 9 })
  await last.next('pubrec')
  await third.kill('SIGKILL')
  assert.equal(await taken(site), 2)
})

test('kill -9 at any moment after a QoS 2 PUBLISH: sent again, it is taken once', async (t) => {
  const site = siteFor(t)
  const random = seeded(20_261_127)
  const cycles = 6
  const each = 20
  let gateway = await site.start()
  for (let cycle = 0; cycle < cycles; cycle++) {
    const ids = Array.from({ length: each }, (_, i) => i + 1)
    const publish = (client: PacketClient, dup: boolean) => {
      for (const id of ids) client.publish('telemetry/d', `{"n":${cycle * each + id}}`, { qos: 2, messageId: id, dup })
    }
    const { client } = await connect(t, gateway)
    publish(client, false)
    // The moment of the crash is the experiment itself, so this waits for time: about as long as a commit takes.
    await new Promise((resolve) => setTimeout(resolve, random() * 12))
    await gateway.kill('SIGKILL')
    gateway = await site.start()
    const { client: again } = await connect(t, gateway)
    publish(again, true)
    for (const _ of ids) await again.next('pubrec')
    for (const messageId of ids) again.send({ ...PUBREL, messageId })
    for (const _ of ids) await again.next('pubcomp')
    again.send({ cmd: 'disconnect', reasonCode: 0 })
    await again.closed
  }
  await gateway.kill('SIGKILL')
  assert.equal(await taken(site), cycles * each)
})

test('kill -9: what is retained, and what waits for a client that is away, is there', async (t) => {
  const site = siteFor(t)
  const first = await site.start()
  const { client: away } = await connect(t, first)
  await away.subscribe('state/#', { qos: 2 })
  away.send({ cmd: 'disconnect', reasonCode: 0 })
  await away.closed
  const { client: publisher } = await PacketClient.open(t, first.ports.mqtt as number, {}, 4)
  publisher
    .publish('state/door', 'open', { qos: 1, retain: true })
    .publish('state/door', 'shut', { qos: 2, messageId: 2 })
  await publisher.next('puback')
  await publisher.next('pubrec')
  await first.kill('SIGKILL')

  const second = await site.start()
  const { client: again, present } = await connect(t, second)
  assert.equal(present, true)
  const got = [await again.next('publish'), await again.next('publish')]
  assert.deepEqual(
    got.map(({ payload, qos }) => [`${payload}`, qos]),
    [
      ['open', 1],
      ['shut', 2],
    ],
  )
  const { client: reader } = await PacketClient.open(t, second.ports.mqtt as number)
  await reader.subscribe('state/+')
  const retained = await reader.next('publish')
  assert.deepEqual([`${retained.payload}`, retained.retain], ['open', true])
  assert.equal(await second.kill('SIGTERM'), 0)
  assert.equal(await taken(site), 0)
})
