import assert from 'node:assert/strict'
import { randomBytes, scryptSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { RefusedError } from '../../../gateway/errors.ts'
import type { Commander } from '../../../gateway/plugin.ts'
import { amqp } from '../../../plugins/amqp/index.ts'
import { batchOf, create, pluginContext, pluginContract, within } from '../contract.ts'
import { freePort } from '../mosquitto.ts'
import { type Recorder, recorder } from './emit.ts'
import { listen, NO_PROTON, receive, send } from './proton.ts'

const { signal } = new AbortController()

interface Running {
  readonly port: number
  readonly to: Recorder
  readonly commander: Commander
  url(user?: string): string
  stop(): Promise<void>
}

async function listening(t: TestContext, options: object = {}): Promise<Running> {
  const roles = create(amqp, { listen: '127.0.0.1:0', ...options }, pluginContext({ name: 'amqp1' }))
  const { source, commander } = roles
  assert.ok(source?.ports && commander)
  const to = recorder()
  const control = new AbortController()
  const ended = source.run(to.emit, control.signal)
  const stop = () => {
    control.abort(new Error('stopping'))
    return within(1500, 'stopping', ended)
  }
  t.after(stop)
  while (source.ports().amqp1 === undefined) await new Promise((resolve) => setImmediate(resolve))
  const port = source.ports().amqp1 as number
  return { port, to, commander, url: (user) => `amqp://${user ? `${user}@` : ''}127.0.0.1:${port}`, stop }
}

const outcomes = (events: readonly { readonly event: string; readonly message?: unknown }[]) =>
  [...events].sort((a, b) => Number(a.message) - Number(b.message)).map(({ event }) => event)

pluginContract({
  plugin: amqp,
  async prepare(t) {
    // Whoever holds its port is what a listener can fail of.
    const port = await freePort()
    let holder: Server | undefined
    const start = async () => {
      await new Promise((resolve) => (holder ? holder.close(resolve) : resolve(undefined)))
      holder = undefined
    }
    const stop = async () => {
      const server = createServer()
      holder = server
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    }
    await stop()
    t.after(start)
    return { peer: { start, stop }, options: { listen: `127.0.0.1:${port}` } }
  },
})

describe('amqp listener with proton', { skip: NO_PROTON }, () => {
  it('takes data, binary and text from a target that is the topic', async (t) => {
    const { url, to } = await listening(t)
    const events = await send(url(), 'telemetry/d1', [
      { body: '{"a":1}', type: 'application/json' },
      { body: '{"a":2}', kind: 'binary' },
      { body: '{"a":"ü"}', kind: 'text' },
    ])
    assert.deepEqual(outcomes(events), ['accepted', 'accepted', 'accepted'])
    assert.deepEqual(to.taken, [
      { topic: 'telemetry/d1', text: '{"a":1}', contentType: 'application/json' },
      { topic: 'telemetry/d1', text: '{"a":2}', contentType: undefined },
      { topic: 'telemetry/d1', text: '{"a":"ü"}', contentType: undefined },
    ])
  })

  it('takes the topic of each message from its address', async (t) => {
    const { url, to } = await listening(t)
    const events = await send(url(), '', [
      { body: '1', to: 'telemetry/d1' },
      { body: '2', to: '/telemetry/d2/s' },
      { body: '3' },
    ])
    assert.deepEqual(
      to.taken.map(({ topic }) => topic),
      ['telemetry/d1', 'telemetry/d2/s'],
    )
    assert.deepEqual(outcomes(events), ['accepted', 'accepted', 'rejected'])
  })

  it('gives each message its own outcome, also between others', async (t) => {
    const { url, to } = await listening(t)
    const good = { body: '1' }
    const bad = { body: { a: 1 }, kind: 'map' } as const
    const events = await send(url(), 'telemetry/d1', [good, bad, good, bad, bad, good, { body: [1], kind: 'list' }])
    assert.deepEqual(outcomes(events), [
      'accepted',
      'rejected',
      'accepted',
      'rejected',
      'rejected',
      'accepted',
      'rejected',
    ])
    assert.equal(to.taken.length, 3)
  })

  it('accepts when the message is durable, and releases what could not be kept', async (t) => {
    const { url, to } = await listening(t)
    to.automatic = false
    const sending = send(url(), 'telemetry/d1', [{ body: '1' }, { body: '2' }, { body: '3' }])
    await within(5000, 'arriving', to.count(3))
    const [first, second, third] = to.open
    first?.(null)
    second?.(new Error('no disk'))
    third?.(null)
    assert.deepEqual(outcomes(await sending), ['accepted', 'released', 'accepted'])
  })

  it('lets no more come than the credit while nothing is durable', async (t) => {
    const { url, to } = await listening(t, { credit: 10 })
    to.automatic = false
    const messages = Array.from({ length: 35 }, (_, i) => ({ body: String(i) }))
    const sending = send(url(), 'telemetry/d1', messages)
    await within(5000, 'arriving', to.count(10))
    for (const wanted of [20, 30, 35]) {
      assert.equal(to.taken.length, wanted === 35 ? 30 : wanted - 10)
      to.settle()
      await within(5000, 'arriving', to.count(wanted))
    }
    to.settle()
    assert.deepEqual(outcomes(await sending), Array(35).fill('accepted'))
  })

  it('takes everything in order through a journal that is often full, also what is sent settled', async (t) => {
    const { url, to } = await listening(t, { credit: 50 })
    to.room = 7
    const messages = Array.from({ length: 200 }, (_, i) => ({ body: String(i), settled: true }))
    const sending = send(url(), 'telemetry/d1', messages)
    for (let wanted = 7; wanted < 200; wanted += 7) {
      await within(5000, 'arriving', to.count(wanted))
      to.makeRoom(7)
    }
    await within(5000, 'arriving', to.count(200))
    await sending
    assert.deepEqual(
      to.taken.map(({ text }) => text),
      messages.map(({ body }) => body),
    )
  })

  it('takes a message in many frames, and ends a connection whose message is too large', async (t) => {
    const { url, to } = await listening(t, { maxMessage: 600_000 })
    const text = 'x'.repeat(599_000)
    assert.deepEqual(outcomes(await send(url(), 'telemetry/d1', [{ body: text }])), ['accepted'])
    assert.equal(to.taken[0]?.text, text)
    const [event] = await send(url(), 'telemetry/d1', [{ body: 'x'.repeat(700_000) }])
    assert.equal(event?.event, 'transport')
    assert.equal(to.taken.length, 1)
  })

  it('asks for a password when users are configured, and holds them to their topics', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-amqp-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const file = join(directory, 'passwords')
    await writeFile(file, `# devices\nd1:${hash('right')}\n`)
    const { url, to } = await listening(t, {
      passwordFile: file,
      users: { d2: { password: 'two', publish: ['telemetry/d2*'] } },
    })
    const one = [{ body: '1' }]
    assert.deepEqual(outcomes(await send(url('d1:right'), 'telemetry/d1', one)), ['accepted'])
    assert.deepEqual(outcomes(await send(url('d2:two'), 'telemetry/d2', one)), ['accepted'])
    for (const user of ['d1:wrong', 'd3:right', 'd2:one', undefined])
      assert.equal((await send(url(user), 'telemetry/d1', one))[0]?.condition, 'amqp:unauthorized-access', user)
    const [event] = await send(url('d2:two'), 'telemetry/d1', one)
    assert.deepEqual(event, { event: 'rejected', message: 0, condition: 'amqp:unauthorized-access' })
    assert.equal(to.taken.length, 2)
  })

  describe('commander', () => {
    const command = (id: string) => ({
      id,
      device: 'd1',
      command: 'open',
      args: { by: 5 },
      deadline: Date.now() + 5000,
    })

    it("delivers to the device's link and takes its outcome as the result", async (t) => {
      const { url, commander } = await listening(t)
      assert.equal(commander.reaches('d1'), false)
      await assert.rejects(commander.execute(command('c0'), signal), { code: 'SLUICE_AMQP_DEVICE' })
      const results = { accept: true, reject: false, release: false } as const
      for (const [how, ok] of Object.entries(results)) {
        const reachable = new Promise((resolve) => commander.onReachable?.(resolve))
        const device = receive(url(), 'command/d1', how as keyof typeof results)
        assert.equal(await within(5000, 'attaching', reachable), 'd1')
        assert.ok(commander.reaches('d1'))
        const result = await within(5000, 'executing', commander.execute(command(how), signal))
        assert.equal(result.ok, ok)
        assert.equal((await within(5000, 'telling', device.next())).event, 'open')
        const { body, ...message } = await within(5000, 'telling', device.next())
        assert.deepEqual(message, {
          event: 'message',
          id: how,
          subject: 'open',
          to: 'command/d1',
          reply: 'command/d1/open/ack',
        })
        assert.deepEqual(JSON.parse(String(body)), { id: how, command: 'open', args: { by: 5 } })
        await device.end()
        while (commander.reaches('d1')) await new Promise((resolve) => setImmediate(resolve))
      }
    })

    it('waits for the reply when told to', async (t) => {
      const { url, commander } = await listening(t, { answer: 'reply' })
      const reachable = new Promise((resolve) => commander.onReachable?.(resolve))
      const device = receive(url(), 'command/d1', 'reply')
      t.after(() => device.end())
      await within(5000, 'attaching', reachable)
      const result = await within(5000, 'executing', commander.execute(command('c1'), signal))
      assert.deepEqual(result, { ok: true, result: { was: { by: 5 } } })
    })

    it('gives commands to their device only, and takes answers from it only', async (t) => {
      const users = { d1: { password: 'one' }, d2: { password: 'two' } }
      const { url, commander } = await listening(t, { users, answer: 'reply' })
      const thief = receive(url('d2:two'), 'command/d1', 'accept')
      assert.equal((await within(5000, 'refusing', thief.next())).event, 'open')
      assert.equal((await within(5000, 'refusing', thief.next())).condition, 'amqp:unauthorized-access')
      await thief.ended
      const reachable = new Promise((resolve) => commander.onReachable?.(resolve))
      const device = receive(url('d1:one'), 'command/d1', 'accept')
      t.after(() => device.end())
      await within(5000, 'attaching', reachable)
      let result: unknown
      const executing = commander.execute(command('c1'), signal).then((given) => {
        result = given
      })
      const answer = [{ body: '{"id":"c1","ok":true}', to: 'command/d1/open/ack' }]
      assert.deepEqual(outcomes(await send(url('d2:two'), '', answer)), ['rejected'])
      assert.equal(result, undefined)
      assert.deepEqual(outcomes(await send(url('d1:one'), '', answer)), ['accepted'])
      await within(5000, 'answering', executing)
      assert.deepEqual(result, { ok: true })
    })

    it('leaves open what was sent to a device that went away', async (t) => {
      const { url, commander } = await listening(t, { answer: 'reply' })
      const reachable = new Promise((resolve) => commander.onReachable?.(resolve))
      const device = receive(url(), 'command/d1', 'accept')
      await within(5000, 'attaching', reachable)
      let settled = false
      const done = () => {
        settled = true
      }
      commander.execute(command('c1'), signal).then(done, done)
      while (!device.events.some(({ event }) => event === 'message')) await device.next()
      await device.end()
      while (commander.reaches('d1')) await new Promise((resolve) => setImmediate(resolve))
      assert.equal(settled, false)
    })
  })

  it('sends batches to a proton peer, and does what its outcome says', async (t) => {
    for (const [how, expected] of [
      ['accept', undefined],
      ['reject', { code: 'SLUICE_AMQP_NOT_TAKEN' }],
      ['release', { code: 'SLUICE_AMQP_UNROUTABLE' }],
    ] as const) {
      const port = await freePort()
      const peer = listen(port, how)
      t.after(() => peer.end())
      await within(5000, 'listening', peer.next())
      const { sink } = create(amqp, { url: `amqp://127.0.0.1:${port}`, protocol: '1.0' })
      assert.ok(sink)
      await sink.connect(signal)
      const batch = batchOf(1, 2)
      const writing = within(5000, 'writing', sink.write(batch, signal))
      await (expected ? assert.rejects(writing, expected) : writing)
      const { body, ...message } = await within(5000, 'arriving', peer.next())
      assert.deepEqual(message, { event: 'message', id: 'site-7/e1/1-2', to: 'sluice/site-7/batch', durable: true })
      assert.equal(body, String(batch.body()))
      await sink.close()
    }
  })

  it('takes commands from a proton peer, and says what became of them', async (t) => {
    for (const [error, outcome] of [
      [undefined, 'accepted'],
      [new RefusedError('SLUICE_BAD_REQUEST', 'it is no command'), 'rejected'],
    ] as const) {
      const port = await freePort()
      const peer = listen(port, 'accept')
      t.after(() => peer.end())
      await within(5000, 'listening', peer.next())
      const url = `amqp://127.0.0.1:${port}`
      const { sink } = create(amqp, { url, protocol: '1.0', commandsFrom: 'commands/site-7' })
      assert.ok(sink?.onCommand)
      const came: unknown[] = []
      sink.onCommand(async (payload, messageId) => {
        came.push([String(payload), messageId])
        if (error) throw error
      })
      await sink.connect(signal)
      assert.equal((await within(5000, 'its outcome', peer.next())).event, outcome)
      assert.deepEqual(came, [['{"to": "commands/site-7"}', 'm1']])
      await sink.close()
    }
  })
})

function hash(password: string): string {
  const salt = randomBytes(16)
  return `scrypt$16384$8$1$${salt.toString('base64')}$${scryptSync(password, salt, 32).toString('base64')}`
}
