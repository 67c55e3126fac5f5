import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { cpSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Broker } from '../../gateway/broker/broker.ts'
import { createBroker } from '../../gateway/broker/embedded.ts'
import { SessionLog } from '../../gateway/broker/kept/session-log.ts'
import { type Clock, systemClock } from '../../gateway/clock.ts'
import { type Files, realFiles } from '../../gateway/log/files.ts'
import { type Damage, type Log, openLog, type Trouble } from '../../gateway/log/log.ts'
import { FakeClock, quicker } from '../support/clock.ts'
import { PacketClient } from './packet-client.ts'
import { bounded, FakeIntake, TestLog, temporaryDirectory, until } from './support.ts'

interface Kept {
  readonly broker: Broker
  readonly port: number
  readonly log: Log
  readonly damage: Damage[]
  /** What a gateway would find that is started after a kill -9 now. */
  crash(): string
  stop(): Promise<void>
}

async function startKept(
  t: TestContext,
  directory = temporaryDirectory(),
  { clock = systemClock, files = realFiles, intake = new FakeIntake(), onTrouble = () => {} }: Partial<Parts> = {},
): Promise<Kept> {
  const damage: Damage[] = []
  const onDamage = (found: Damage) => damage.push(found)
  const log = await openLog({ directory, files, clock, segmentBytes: 256 * 1024, onDamage, onTrouble })
  const sessions = new SessionLog(log, clock)
  const broker = createBroker({ listen: ['127.0.0.1:0'] }, intake, { clock, log: new TestLog(), sessions })
  const ports = await broker.listen()
  const stop = async () => {
    await broker.close()
    await log.close()
  }
  t.after(stop)
  const crash = () => {
    const copy = temporaryDirectory()
    cpSync(directory, copy, { recursive: true })
    return copy
  }
  return { broker, port: ports.mqtt ?? 0, log, damage, crash, stop }
}

interface Parts {
  readonly clock: Clock
  readonly files: Files
  readonly intake: FakeIntake
  readonly onTrouble: (trouble: Trouble | null) => void
}

const session = (clientId: string) => ({ clientId, clean: false, properties: { sessionExpiryInterval: 1000 } })

async function leave(client: PacketClient): Promise<void> {
  client.send({ cmd: 'disconnect', reasonCode: 0 })
  await client.closed
}

test('a session, its subscriptions and what waits for it are there after kill -9', async (t) => {
  const first = await startKept(t)
  const { client: away } = await PacketClient.open(t, first.port, session('away'))
  await away.subscribe('a/+', { qos: 2, identifier: 5, rap: true })
  await away.subscribe('gone', { qos: 1 })
  await away.subscribe('$share/group/s', { qos: 1 })
  away.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['gone'] })
  await away.next('unsuback')
  await leave(away)
  const { client: publisher } = await PacketClient.open(t, first.port)
  const properties = { contentType: 'text/plain', messageExpiryInterval: 100, userProperties: { a: 'b' } }
  publisher.publish('a/1', 'one', { qos: 1, retain: true, properties })
  await publisher.next('puback')
  publisher
    .publish('a/2', 'two', { qos: 2 })
    .publish('s', 'shared', { qos: 1, messageId: 2 })
    .publish('gone', 'no', { qos: 1, messageId: 3 })
  await publisher.next('pubrec')
  await publisher.next('puback')
  await publisher.next('puback')

  const second = await startKept(t, first.crash())
  assert.deepEqual([second.broker.status().sessions, second.broker.status().retained], [1, 1])
  const { client: again, connack } = await PacketClient.open(t, second.port, session('away'))
  assert.equal(connack.sessionPresent, true)
  const got = [await again.next('publish'), await again.next('publish'), await again.next('publish')]
  assert.deepEqual(
    got.map(({ topic, payload, qos, retain }) => [topic, `${payload}`, qos, retain]),
    [
      ['a/1', 'one', 1, true],
      ['a/2', 'two', 2, false],
      ['s', 'shared', 1, false],
    ],
  )
  const { messageExpiryInterval = 0, ...others } = got[0]?.properties ?? {}
  assert.ok(messageExpiryInterval > 90 && messageExpiryInterval <= 100)
  assert.deepEqual(
    { ...others, userProperties: { ...others.userProperties } },
    {
      subscriptionIdentifier: 5,
      contentType: 'text/plain',
      userProperties: { a: 'b' },
    },
  )
  again.send({ cmd: 'puback', messageId: got[0]?.messageId ?? 0, reasonCode: 0 })
  again.send({ cmd: 'pubrec', messageId: got[1]?.messageId ?? 0, reasonCode: 0 })
  assert.equal((await again.next('pubrel')).messageId, got[1]?.messageId)
  await second.broker.publish('a/3', Buffer.from('three'), { qos: 1 })
  await again.next('publish')
  await second.stop()

  const third = await startKept(t, second.crash())
  const { client: last } = await PacketClient.open(t, third.port, session('away'))
  // The QoS 2 message goes on where it was; what was not acknowledged comes again, marked.
  assert.equal((await last.next('pubrel')).messageId, got[1]?.messageId)
  const rest = [await last.next('publish'), await last.next('publish')]
  assert.deepEqual(
    rest.map(({ payload, dup }) => [`${payload}`, dup]),
    [
      ['shared', true],
      ['three', true],
    ],
  )
  await last.quiet()
})

test('retained messages are there after kill -9, and those taken away are not', async (t) => {
  const first = await startKept(t)
  const { client } = await PacketClient.open(t, first.port, {}, 4)
  for (const topic of ['r/a', 'r/b', 'telemetry/d']) {
    client.publish(topic, `of ${topic}`, { qos: 1, retain: true })
    await client.next('puback')
  }
  client.publish('r/a', '', { qos: 1, retain: true })
  await client.next('puback')
  const second = await startKept(t, first.crash())
  const { client: reader } = await PacketClient.open(t, second.port)
  await reader.subscribe('#')
  const got = [await reader.next('publish'), await reader.next('publish')]
  assert.deepEqual(got.map(({ payload, retain }) => [`${payload}`, retain]).sort(), [
    ['of r/b', true],
    ['of telemetry/d', true],
  ])
  await reader.quiet()
})

test('an ordinary QoS 2 message is delivered once, though it is sent again after kill -9', async (t) => {
  const first = await startKept(t)
  const { client } = await PacketClient.open(t, first.port, session('sender'))
  const { client: away } = await PacketClient.open(t, first.port, session('away'))
  await away.subscribe('a', { qos: 1 })
  await leave(away)
  client.publish('a', 'once', { qos: 2, messageId: 7 })
  await client.next('pubrec')

  const second = await startKept(t, first.crash())
  const { client: again } = await PacketClient.open(t, second.port, session('sender'))
  again.publish('a', 'once', { qos: 2, messageId: 7, dup: true })
  await again.next('pubrec')
  again.send({ cmd: 'pubrel', messageId: 7, reasonCode: 0 })
  assert.equal((await again.next('pubcomp')).reasonCode, 0)

  const third = await startKept(t, second.crash())
  const { client: last } = await PacketClient.open(t, third.port, session('sender'))
  last.send({ cmd: 'pubrel', messageId: 7, reasonCode: 0 })
  assert.equal((await last.next('pubcomp')).reasonCode, 0x92)
  last.publish('a', 'another', { qos: 2, messageId: 7 })
  await last.next('pubrec')
  const { client: reader } = await PacketClient.open(t, third.port, session('away'))
  assert.equal(`${(await reader.next('publish')).payload}`, 'once')
  assert.equal(`${(await reader.next('publish')).payload}`, 'another')
  await reader.quiet()
})

test('QoS 2 telemetry that the journal has is not taken again after a restart, until it is released', async (t) => {
  const intake = new FakeIntake()
  intake.instant = false
  const first = await startKept(t, undefined, { intake })
  const { client } = await PacketClient.open(t, first.port, session('sensor'))
  client.publish('telemetry/d', 'once', { qos: 2, messageId: 3 })
  await intake.count(1)
  // The journal has it; the crash comes before the PUBREC.
  const second = await startKept(t, first.crash(), { intake })
  const { client: again, connack } = await PacketClient.open(t, second.port, session('sensor'))
  assert.equal(connack.sessionPresent, true)
  again.publish('telemetry/d', 'once', { qos: 2, messageId: 3, dup: true })
  await again.next('pubrec')
  assert.equal(intake.taken.length, 1)
  again.send({ cmd: 'pubrel', messageId: 3, reasonCode: 0 })
  await again.quiet()
  intake.commit()
  await again.next('pubcomp')
  again.publish('telemetry/d', 'next', { qos: 2, messageId: 3 })
  await intake.count(2)
  intake.commit()
  await again.next('pubrec')
  // A client that begins anew may use the id for something else.
  await leave(again)
  const { client: anew } = await PacketClient.open(t, second.port, { ...session('sensor'), clean: true })
  anew.publish('telemetry/d', 'of a new session', { qos: 2, messageId: 3 })
  await intake.count(3)
})

test('a session that expires while the gateway is down is gone', async (t) => {
  const clock = new FakeClock()
  const first = await startKept(t, undefined, { clock })
  for (const [id, seconds] of [
    ['short', 10],
    ['long', 1000],
  ] as const) {
    const { client } = await PacketClient.open(t, first.port, {
      clientId: id,
      clean: false,
      properties: { sessionExpiryInterval: seconds },
    })
    await leave(client)
  }
  await first.stop()
  const later = new FakeClock(clock.now() + 60_000)
  const second = await startKept(t, first.crash(), { clock: later })
  await later.advance(1_000)
  assert.equal(second.broker.status().sessions, 1)
})

test('what a subscriber acknowledges at once is never written, and the log stays small', async (t) => {
  const clock = new FakeClock()
  const kept = await startKept(t, undefined, { clock })
  const { client } = await PacketClient.open(t, kept.port, session('reader'))
  await client.subscribe('telemetry/#', { qos: 1 })
  const { client: sensor } = await PacketClient.open(t, kept.port)
  await kept.log.flush()
  const before = kept.log.next
  for (let i = 1; i <= 100; i++) {
    sensor.publish('telemetry/d', 'x', { qos: 1, messageId: i })
    const { messageId = 0 } = await client.next('publish')
    client.send({ cmd: 'puback', messageId, reasonCode: 0 })
    await sensor.next('puback')
  }
  await client.quiet()
  await clock.advance(1_000)
  assert.equal(kept.log.next, before)
})

test('a log that has grown is told anew, and a crash in the middle of that loses nothing', async (t) => {
  const clock = new FakeClock()
  const kept = await startKept(t, undefined, { clock })
  const { client: away } = await PacketClient.open(t, kept.port, session('away'))
  await away.subscribe('a', { qos: 1 })
  await leave(away)
  await kept.broker.publish('a', Buffer.from('waits'), { qos: 1 })
  const big = Buffer.alloc(60_000, 0x61)
  const crashes: string[] = []
  for (let i = 0; i < 200; i++) {
    await kept.broker.publish(`r/${i % 10}`, Buffer.concat([Buffer.from(`${i} `), big]), { retain: true })
    await clock.advance(1_000)
    await kept.log.flush()
    if (i % 20 === 19) crashes.push(kept.crash())
  }
  await until(() => kept.log.bytes < 6_000_000, `${kept.log.bytes} bytes`)
  assert.ok(kept.log.first > 30, `first ${kept.log.first}`)
  for (const [i, directory] of crashes.entries()) {
    const after = await startKept(t, directory)
    assert.deepEqual([after.broker.status().retained, after.broker.status().sessions], [10, 1])
    const { client } = await PacketClient.open(t, after.port, session('away'))
    assert.equal(`${(await client.next('publish')).payload}`, 'waits')
    await client.subscribe('r/9')
    assert.ok(`${(await client.next('publish')).payload}`.startsWith(`${i * 20 + 19} `))
    await after.stop()
  }
})

test('damage costs what it hit, and never keeps the broker from starting', async (t) => {
  const first = await startKept(t)
  const { client } = await PacketClient.open(t, first.port)
  for (let i = 0; i < 50; i++) {
    client.publish(`r/${i}`, 'x'.repeat(1000), { qos: 1, retain: true })
    await client.next('puback')
  }
  await first.stop()
  const directory = first.crash()
  const [segment] = readdirSync(directory).filter((name) => name.endsWith('.seg'))
  const file = join(directory, segment as string)
  const { size } = statSync(file)
  const bytes = Buffer.alloc(size)
  const content = await realFiles.open(file)
  await content.read(bytes, 0, size, 0)
  await content.close()
  for (let i = 0; i < 20; i++) bytes[Math.floor(size / 2) + i] = 0xff
  writeFileSync(file, bytes)
  writeFileSync(join(directory, '0000000000000001-1.seg'), 'not a segment at all')
  const second = await startKept(t, directory)
  assert.ok(second.damage.length > 0)
  const { retained } = second.broker.status()
  assert.ok(retained >= 40 && retained < 50, `${retained} retained`)
})

test('while the disk takes nothing nobody waits, and everything is there once it works again', async (t) => {
  let broken = true
  const turns = new EventEmitter()
  const onTrouble = (trouble: Trouble | null) => void turns.emit(trouble ? 'broken' : 'well')
  const failing: Files = {
    ...realFiles,
    async create(path) {
      const file = await realFiles.create(path)
      const refuse = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      return {
        ...file,
        write: async (parts, position) => {
          if (broken) throw refuse()
          await file.write(parts, position)
        },
      }
    },
  }
  const kept = await startKept(t, undefined, { clock: quicker(100), files: failing, onTrouble })
  const { client } = await PacketClient.open(t, kept.port)
  const failed = once(turns, 'broken')
  client.publish('r', 'kept in memory', { qos: 1, retain: true })
  await bounded(failed)
  await client.next('puback')
  const { client: away } = await PacketClient.open(t, kept.port, session('away'))
  await away.subscribe('a')
  const recovered = once(turns, 'well')
  broken = false
  await bounded(recovered)
  await kept.log.flush()
  const after = await startKept(t, kept.crash())
  assert.deepEqual([after.broker.status().sessions, after.broker.status().retained], [1, 1])
})
