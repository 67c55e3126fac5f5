import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { createSite, type GatewayProcess, type Site } from '../support/gateway-process.ts'
import { createPromises, publish } from './devices.ts'
import { crashConfig, DEVICES, eventBase, finish } from './kill.ts'
import { offline } from './offline.ts'
import { holes, type ReceivedRecord, type Receiver, startReceiver } from './receiver.ts'

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function prepare(config: object): Promise<{ site: Site; receiver: Receiver; start(): Promise<GatewayProcess> }> {
  const receiver = await startReceiver()
  const site = createSite(crashConfig(receiver.port, config))
  const gateways: GatewayProcess[] = []
  cleanups.push(async () => {
    await Promise.all(gateways.map((gateway) => gateway.kill('SIGKILL')))
    await receiver.close()
    site.remove()
  })
  const start = async () => {
    const gateway = await site.start()
    gateways.push(gateway)
    return gateway
  }
  return { site, receiver, start }
}

const recordsOf = (receiver: Receiver, name: string): ReceivedRecord[] =>
  [...receiver.logs].filter(([key]) => key.startsWith(name)).flatMap(([, log]) => [...log.values()])

test('an hour offline is taken in within 300 MB, and drained in order without holes', {
  timeout: 150_000,
}, async (t) => {
  const { records, repeats, peakMemory, failures } = await offline(100_000)
  t.diagnostic(`100,000 readings, ${records} records, peak memory ${Math.round(peakMemory)} MB`)
  assert.deepEqual(failures.slice(0, 10), [])
  assert.ok(!(peakMemory > 300), `${peakMemory} MB`)
  assert.equal(repeats, 0, 'sent again though it was acknowledged')
})

test('what a full outbox dropped is one gap after another, and no hole is unexplained', {
  timeout: 120_000,
}, async () => {
  const { receiver, start, site } = await prepare({ outbox: { maxBytes: '1MB' } })
  const url = `http://127.0.0.1:${receiver.port}/`
  site.configure(
    crashConfig(receiver.port, {
      outbox: { maxBytes: '1MB' },
      upstreams: { test: { http: { url }, raw: true, batch: { age: '50ms' } } },
    }),
  )
  receiver.mood = 'down'
  const gateway = await start()
  const sender = await publish(gateway.ports.mqtt as number, createPromises(DEVICES), eventBase(), 60_000)
  await sender.finished
  receiver.mood = 'up'
  const highest = () => Math.max(0, ...recordsOf(receiver, 'reading').map(({ seq }) => seq))
  const end = performance.now() + 60_000
  while (highest() < 60_000 && performance.now() < end) await receiver.next()
  for (const [name, log] of receiver.logs) assert.deepEqual(holes(log).slice(0, 5), [], name)
  const gaps = recordsOf(receiver, 'reading').filter(({ kind }) => kind === 'gap')
  assert.ok(gaps.length > 0)
  for (const { seq, first, count, reason } of gaps) {
    assert.equal(reason, 'outbox_full')
    assert.equal(count, seq - (first ?? seq) + 1)
  }
  // Every number is a reading or lies in a gap; a batch that was on its way when it was dropped may be both.
  const accounted = new Set(recordsOf(receiver, 'reading').map(({ seq }) => seq))
  for (const { seq, first } of gaps) for (let number = first ?? seq; number <= seq; number++) accounted.add(number)
  assert.equal(accounted.size, 60_000)
  const kept = recordsOf(receiver, 'reading').filter(({ kind }) => kind === 'reading').length
  const twice = kept + gaps.reduce((sum, { count }) => sum + Number(count), 0) - 60_000
  assert.ok(twice <= 500, `${twice} are both sent and in a gap`)
})

async function results(kills: boolean, durability: string, base: number): Promise<string[]> {
  const { receiver, start } = await prepare({ mqtt: { listen: '127.0.0.1:0', durability } })
  const promises = createPromises(DEVICES)
  let gateway = await start()
  for (let round = 0; round < 5; round++) {
    const sender = await publish(gateway.ports.mqtt as number, promises, base, 777)
    await sender.finished
    if (kills) {
      await gateway.kill('SIGKILL')
      gateway = await start()
    }
    sender.destroy()
  }
  assert.deepEqual((await finish(gateway, receiver, promises, base)).slice(0, 10), [])
  return recordsOf(receiver, 'result')
    .map(({ seq: _, ...record }) => JSON.stringify(record))
    .sort()
}

test('the same input gives the same bytes with and without kill -9, also with durability interval', {
  timeout: 120_000,
}, async () => {
  const base = eventBase()
  const calm = await results(false, 'fsync', base)
  assert.ok(calm.length > 500)
  assert.deepEqual(await results(true, 'fsync', base), calm)
  assert.deepEqual(await results(true, 'interval', base), calm)
})
