/** The outbox from the command line, with a real backlog, also while the gateway is down. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { OutboxStatus } from '../../gateway/http/schemas.ts'
import { createSite, runCommand } from '../support/gateway-process.ts'
import { createPromises, publish } from './devices.ts'
import { crashConfig, DEVICES, eventBase } from './kill.ts'
import { holes, type ReceivedRecord, startReceiver } from './receiver.ts'

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A gateway that runs and has taken `messages` while its upstream was down. */
async function withBacklog(messages: number) {
  const receiver = await startReceiver()
  const site = createSite(crashConfig(receiver.port))
  cleanups.push(
    () => site.remove(),
    () => receiver.close(),
  )
  receiver.mood = 'down'
  const first = await site.start()
  const sender = await publish(first.ports.mqtt as number, createPromises(DEVICES), eventBase(), messages)
  await sender.finished
  return { receiver, site, first, sender }
}

test('shows, copies and skips a backlog while the gateway is down; the upstream is sent a gap in its place', {
  timeout: 60_000,
}, async () => {
  const { receiver, site, first, sender } = await withBacklog(4000)
  const ask = async (...args: string[]) => {
    const { code, out, err } = await runCommand(['outbox', ...args, '--data', site.data])
    return { code, out: out.trim(), err }
  }
  const results = async () => {
    const status = JSON.parse((await ask('--json')).out) as OutboxStatus
    return status.sinks[0]?.backlog.find((backlog) => backlog.class === 'result')
  }
  const running = (await results())?.records ?? 0
  assert.ok(running > 100)
  await first.kill('SIGKILL')
  await sender.ended

  const shown = await ask()
  assert.match(shown.out, /used; the gateway does not run/)
  assert.match(shown.out, /test +stopped +result/)
  const waiting = await results()
  assert.ok((waiting?.records ?? 0) >= running)
  const copies = (await ask('export', 'test', '--class', 'result')).out.split('\n').map((line) => JSON.parse(line))
  assert.deepEqual(
    copies.map(({ seq }: ReceivedRecord) => seq),
    Array.from({ length: waiting?.records ?? 0 }, (_, i) => i + 1),
  )
  const nobody = await ask('export', 'nobody')
  assert.deepEqual([nobody.code, /no upstream is named nobody/.test(nobody.err)], [1, true])
  assert.equal((await ask('forget', 'test')).code, 1, 'it is in the config')
  assert.match((await ask('skip', 'test', '--class', 'result', '--through', '50')).out, /^50 records skipped/)
  assert.equal((await results())?.records, (waiting?.records ?? 0) - 49)

  receiver.mood = 'up'
  const second = await site.start()
  const log = () => [...receiver.logs].find(([name]) => name.startsWith('result'))?.[1] ?? new Map()
  while (!log().has(copies.length)) await receiver.next()
  const { kind, reason, count } = log().get(50) ?? {}
  assert.deepEqual([kind, reason, count], ['gap', 'skipped', 50])
  assert.deepEqual(holes(log()), [])
  assert.deepEqual(log().get(51), copies[50])
  assert.equal(await second.kill('SIGTERM'), 0)
  assert.equal((await runCommand(['audit', '--data', site.data])).code, 0)
})

test('what waits for an upstream that left the config is kept until it is told otherwise, also over a restart', {
  timeout: 60_000,
}, async () => {
  const { receiver, site, first, sender } = await withBacklog(2000)
  sender.destroy()
  assert.equal(await first.kill('SIGTERM'), 0)
  site.configure(crashConfig(receiver.port, { upstreams: {} }))
  assert.equal(await (await site.start()).kill('SIGTERM'), 0)
  const outbox = (...args: string[]) => runCommand(['outbox', ...args, '--data', site.data])
  assert.match((await outbox()).out, /test +removed +result +\d\d+/)
  assert.equal((await outbox('forget', 'test')).code, 0)
  assert.doesNotMatch((await outbox()).out, /test +removed/)
})
