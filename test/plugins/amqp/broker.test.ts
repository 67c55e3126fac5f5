import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type Channel, type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib'
import { NotConnectedError, PartialWriteError, RefusedError } from '../../../gateway/errors.ts'
import type { Commander, Sink, Source } from '../../../gateway/plugin.ts'
import { amqp } from '../../../plugins/amqp/index.ts'
import { FakeClock } from '../../support/clock.ts'
import { batchOf, create, pluginContext, pluginContract, within } from '../contract.ts'
import { type Recorder, recorder } from './emit.ts'
import { createProxy } from './proxy.ts'
import { createRabbitMq, NO_RABBITMQ, type RabbitMq } from './rabbitmq.ts'

const { signal } = new AbortController()

describe('amqp with a broker', { skip: NO_RABBITMQ }, () => {
  let broker: RabbitMq
  let url: string
  let peer: ChannelModel
  let channel: ConfirmChannel
  let names = 0

  const dial = async () => {
    peer = await connect(url)
    peer.on('error', () => {})
    channel = await peer.createConfirmChannel()
  }

  before(
    async () => {
      broker = await createRabbitMq(['rabbitmq_amqp1_0'])
      await broker.start()
      url = `amqp://127.0.0.1:${broker.port}`
      await dial()
    },
    { timeout: 40_000 },
  )
  after(async () => {
    await peer?.close().catch(() => {})
    await broker?.dispose()
  })

  const fresh = (what: string) => `${what}${++names}`

  /** A queue bound to an exchange of its own. */
  const queueAt = async (exchange: string, options: object = {}): Promise<string> => {
    const queue = fresh('q')
    await channel.assertExchange(exchange, 'topic', { durable: true })
    await channel.assertQueue(queue, { durable: true, ...options })
    await channel.bindQueue(queue, exchange, '#')
    return queue
  }

  const next = async (queue: string): Promise<ConsumeMessage['content'] | undefined> => {
    for (let tries = 0; tries < 100; tries++) {
      const message = await channel.get(queue, { noAck: true })
      if (message) return message.content
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return undefined
  }

  const sinkTo = async (t: TestContext, options: object): Promise<Sink> => {
    const { sink } = create(amqp, { url, timeout: '5s', ...options })
    assert.ok(sink)
    t.after(() => sink.close())
    await sink.connect(signal)
    return sink
  }

  interface RunningSource {
    readonly ended: Promise<void>
    stop(): Promise<void>
  }

  const run = (t: TestContext, source: Source, to: Recorder): RunningSource => {
    const control = new AbortController()
    const ended = source.run(to.emit, control.signal)
    ended.catch(() => {})
    const stop = () => {
      control.abort(new Error('stopping'))
      return within(1500, 'stopping', ended)
    }
    t.after(() => stop().catch(() => {}))
    return { ended, stop }
  }

  const sourceOf = (options: object): Source => {
    const { source } = create(amqp, { url, timeout: '5s', ...options })
    assert.ok(source)
    return source
  }

  /** How many messages a queue has ready when nobody consumes; asks until it is so. */
  const ready = async (queue: string, wanted: number): Promise<void> => {
    for (let tries = 0; tries < 300; tries++) {
      if ((await channel.checkQueue(queue)).messageCount === wanted) return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    assert.equal((await channel.checkQueue(queue)).messageCount, wanted)
  }

  /** Resolves when the source consumes. */
  const consuming = (queue: string): Promise<void> =>
    eventually(async () => {
      // Asking for a queue that is not there closes the channel that asked.
      const asking = await peer.createChannel()
      asking.on('error', () => {})
      const { consumerCount } = await asking.checkQueue(queue)
      await asking.close()
      assert.equal(consumerCount, 1)
    })

  pluginContract({
    plugin: amqp,
    async prepare(t) {
      const proxy = await createProxy(broker.port)
      t.after(() => proxy.stop())
      const exchange = fresh('contract')
      const queue = await queueAt(exchange)
      return { peer: proxy, options: { url: `amqp://127.0.0.1:${proxy.port}`, queue, exchange, timeout: '2s' } }
    },
  })

  it('publishes a batch persistently, confirmed, with its key and identifier', async (t) => {
    const exchange = fresh('up')
    const queue = await queueAt(exchange)
    const sink = await sinkTo(t, { exchange })
    const batch = batchOf(5, 3)
    await sink.write(batch, signal)
    const message = await channel.get(queue, { noAck: true })
    assert.ok(message)
    assert.deepEqual(message.content, batch.body())
    assert.equal(message.fields.routingKey, 'site-7.result')
    assert.equal(message.properties.deliveryMode, 2)
    assert.equal(message.properties.messageId, 'site-7/e1/5-7')
    assert.equal(message.properties.contentType, 'application/json')
  })

  it('publishes one message per record, in order, each with a key of its own', async (t) => {
    const exchange = fresh('up')
    const queue = await queueAt(exchange)
    const sink = await sinkTo(t, { exchange, shape: 'record', routingKey: '{gateway}.{class}.{device}', inflight: 7 })
    const batch = batchOf(1, 50)
    await sink.write(batch, signal)
    for (const [i, record] of batch.records.entries()) {
      const message = await channel.get(queue, { noAck: true })
      assert.ok(message)
      assert.deepEqual(message.content, record)
      assert.equal(message.fields.routingKey, `site-7.result.d${i + 1}`)
    }
  })

  it('keeps what no queue takes, and sends it when there is one', async (t) => {
    const exchange = fresh('up')
    const sink = await sinkTo(t, { exchange })
    await assert.rejects(sink.write(batchOf(1, 2), signal), { code: 'SLUICE_AMQP_UNROUTABLE' })
    const queue = await queueAt(exchange)
    await sink.write(batchOf(1, 2), signal)
    assert.deepEqual(await next(queue), batchOf(1, 2).body())
  })

  it('says how many records a full queue took', async (t) => {
    const exchange = fresh('up')
    const queue = await queueAt(exchange, { maxLength: 3, overflow: 'reject-publish' })
    const sink = await sinkTo(t, { exchange, shape: 'record', inflight: 1 })
    await assert.rejects(sink.write(batchOf(1, 5), signal), (error) => {
      assert.ok(error instanceof PartialWriteError)
      assert.equal(error.written, 3)
      return true
    })
    await assert.rejects(sink.write(batchOf(4, 2), signal), { code: 'SLUICE_AMQP_NOT_TAKEN' })
    await channel.purgeQueue(queue)
    await sink.write(batchOf(4, 2), signal)
    assert.deepEqual(await next(queue), batchOf(4, 2).records[0])
  })

  it('uses queue and exchange as they are when they are there', async (t) => {
    const [exchange, queue] = [fresh('up'), fresh('in')]
    await channel.assertExchange(exchange, 'fanout', { durable: false })
    await channel.assertQueue(queue, { durable: false, maxLength: 100 })
    await channel.bindQueue(queue, exchange, '')
    const to = recorder()
    run(t, sourceOf({ queue, queueType: 'quorum' }), to)
    const sink = await sinkTo(t, { exchange })
    await sink.write(batchOf(1, 1), signal)
    await within(3000, 'arriving', to.count(1))
  })

  it('says when its exchange is missing and may not be declared', async (t) => {
    await assert.rejects(sinkTo(t, { exchange: fresh('missing'), declare: false }), { code: 'SLUICE_AMQP_CHANNEL' })
  })

  it('says so when its credentials are refused', async (t) => {
    await assert.rejects(sinkTo(t, { username: 'nobody', password: 'x' }), { code: 'SLUICE_AMQP_CREDENTIALS' })
  })

  it('waits while the broker blocks it, and tells when the connection is lost', async (t) => {
    const exchange = fresh('up')
    const queue = await queueAt(exchange)
    const sink = await sinkTo(t, { exchange, timeout: '300ms' })
    const control = (megabytes: string) => broker.control('set_vm_memory_high_watermark', megabytes)
    await control('0.00001')
    // The broker says that it blocks at the first message it gets.
    await assert.rejects(sink.write(batchOf(1, 1), signal), NotConnectedError)
    await assert.rejects(sink.write(batchOf(1, 1), signal), { code: 'SLUICE_AMQP_BLOCKED' })
    await control('0.4')
    await within(
      10_000,
      'unblocking',
      eventually(() => sink.write(batchOf(1, 1), signal)),
    )
    assert.deepEqual(await next(queue), batchOf(1, 1).body())
    const lost = new Promise<Error>((resolve) => sink.onLost?.(resolve))
    await broker.control('close_all_connections', 'test')
    assert.ok((await within(5000, 'telling', lost)) instanceof NotConnectedError)
    await assert.rejects(sink.write(batchOf(2, 1), signal), NotConnectedError)
    await dial()
  })

  it('acknowledges a message when it is durable, not before', async (t) => {
    const queue = fresh('in')
    const exchange = fresh('ex')
    const source = sourceOf({ queue, bindings: [{ exchange, key: 'telemetry.#', type: 'topic' }], dotsToSlashes: true })
    const to = recorder()
    to.automatic = false
    const running = run(t, source, to)
    await consuming(queue)
    channel.publish(exchange, 'telemetry.d1', Buffer.from('{"a":1}'), { contentType: 'application/json' })
    channel.publish(exchange, 'telemetry.d2.s', Buffer.from('2'))
    await within(3000, 'arriving', to.count(2))
    assert.deepEqual(to.taken, [
      { topic: 'telemetry/d1', text: '{"a":1}', contentType: 'application/json' },
      { topic: 'telemetry/d2/s', text: '2', contentType: undefined },
    ])
    to.open.shift()?.(null)
    await running.stop()
    await ready(queue, 1)
    assert.equal(String(await next(queue)), '2')
  })

  it('takes everything in order through a journal that is often full', async (t) => {
    const queue = fresh('in')
    await channel.assertQueue(queue, { durable: true })
    for (let i = 0; i < 300; i++) channel.sendToQueue(queue, Buffer.from(String(i)))
    await channel.waitForConfirms()
    const to = recorder()
    to.room = 7
    const running = run(t, sourceOf({ queue, prefetch: 50 }), to)
    for (let wanted = 7; wanted < 300; wanted += 7) {
      await within(3000, 'arriving', to.count(wanted))
      to.makeRoom(7)
    }
    await within(3000, 'arriving', to.count(300))
    assert.deepEqual(
      to.taken.map(({ text }) => text),
      Array.from({ length: 300 }, (_, i) => String(i)),
    )
    await running.stop()
    await ready(queue, 0)
  })

  it('consumes a quorum queue, and dead-letters what is refused', async (t) => {
    const queue = fresh('in')
    const dead = await queueAt(`${queue}-dead`)
    const source = sourceOf({
      queue,
      queueType: 'quorum',
      arguments: { 'x-dead-letter-exchange': `${queue}-dead` },
      refused: 'dead-letter',
    })
    const to = recorder()
    to.automatic = false
    run(t, source, to)
    await consuming(queue)
    for (const text of ['a', 'b', 'c']) channel.sendToQueue(queue, Buffer.from(text))
    await within(5000, 'arriving', to.count(3))
    const [first, second, third] = to.open
    first?.(null)
    second?.(new Error('refused'))
    third?.(null)
    assert.equal(String(await next(dead)), 'b')
    await ready(dead, 0)
  })

  it('gives back what could not be made durable', async (t) => {
    const queue = fresh('in')
    const to = recorder()
    to.automatic = false
    run(t, sourceOf({ queue }), to)
    await consuming(queue)
    channel.sendToQueue(queue, Buffer.from('again'))
    await within(3000, 'arriving', to.count(1))
    to.settle(new Error('no disk'))
    await within(3000, 'coming back', to.count(2))
    assert.deepEqual(
      to.taken.map(({ text }) => text),
      ['again', 'again'],
    )
    to.settle()
  })

  it('ends when its queue is deleted or missing, so that it is started again', async (t) => {
    const queue = fresh('in')
    const to = recorder()
    const running = run(t, sourceOf({ queue }), to)
    await consuming(queue)
    await channel.deleteQueue(queue)
    await assert.rejects(within(3000, 'ending', running.ended), { code: 'SLUICE_AMQP_CANCELLED' })
    await assert.rejects(run(t, sourceOf({ queue, declare: false }), to).ended, { code: 'SLUICE_AMQP_CHANNEL' })
  })

  describe('commander', () => {
    const device = async (name: string, answer: (id: string, body: unknown) => object): Promise<Channel> => {
      const own = await peer.createChannel()
      await own.assertQueue(`command.${name}`, { durable: false, autoDelete: true })
      await own.consume(`command.${name}`, (message) => {
        if (!message) return
        const { correlationId, replyTo } = message.properties
        const body = Buffer.from(JSON.stringify(answer(correlationId, JSON.parse(String(message.content)))))
        own.sendToQueue(replyTo, body, { correlationId })
        own.ack(message)
      })
      return own
    }

    const commanderOf = async (t: TestContext): Promise<Commander> => {
      const { source, commander } = create(amqp, { url, commands: { devices: ['pump*'] } }, pluginContext())
      assert.ok(source && commander)
      run(t, source, recorder())
      await eventually(async () => assert.ok(commander.reaches('pump0')))
      return commander
    }

    const command = (id: string, name: string) => ({
      id,
      device: name,
      command: 'start',
      args: { rpm: 5 },
      deadline: Date.now() + 5000,
    })

    it("brings a device's answer to its command", async (t) => {
      const own = await device('pump1', (_, body) => ({ ok: true, result: body }))
      t.after(() => own.close())
      const refusing = await device('pump2', () => ({ ok: false, reason: 'dry' }))
      t.after(() => refusing.close())
      const commander = await commanderOf(t)
      assert.equal(commander.reaches('valve1'), false)
      const [done, refused] = await within(
        3000,
        'answering',
        Promise.all([
          commander.execute(command('c1', 'pump1'), signal),
          commander.execute(command('c2', 'pump2'), signal),
        ]),
      )
      assert.deepEqual(done, { ok: true, result: { id: 'c1', command: 'start', args: { rpm: 5 } } })
      assert.deepEqual(refused, { ok: false, reason: 'dry' })
    })

    it('was not sent when the device has no queue', async (t) => {
      const commander = await commanderOf(t)
      await assert.rejects(within(3000, 'returning', commander.execute(command('c3', 'pump9'), signal)), {
        code: 'SLUICE_AMQP_UNROUTABLE',
      })
      assert.equal(commander.reaches('pump9'), false)
      await assert.rejects(commander.execute(command('c4', 'pump.9'), signal), { code: 'SLUICE_AMQP_NAME' })
    })
  })

  describe('commands from upstream', () => {
    const order = (id: string) => Buffer.from(JSON.stringify({ id, device: 'pump', command: 'start' }))

    /** A sink that takes commands; `settle` says what becomes of the next. */
    const taking = async (t: TestContext, options: object, context = pluginContext()) => {
      const { sink } = create(amqp, { url, exchange: fresh('up'), ...options }, context)
      assert.ok(sink)
      t.after(() => sink.close())
      const came: { readonly text: string; readonly messageId: string | undefined }[] = []
      const open: ((error?: Error) => void)[] = []
      sink.onCommand?.((payload, messageId) => {
        came.push({ text: String(payload), messageId })
        return new Promise((resolve, reject) => open.push((error) => (error ? reject(error) : resolve())))
      })
      await sink.connect(signal)
      return { sink, came, open, arrived: (n: number) => eventually(async () => assert.equal(came.length, n)) }
    }

    it('acknowledges a command when it is durable, and gets it again when it went before', async (t) => {
      const queue = fresh('commands')
      const first = await taking(t, { commandsFrom: queue })
      await consuming(queue)
      channel.sendToQueue(queue, order('c1'), { messageId: 'm1' })
      await first.arrived(1)
      assert.deepEqual(first.came[0], { text: String(order('c1')), messageId: 'm1' })
      await first.sink.close()
      await ready(queue, 1)
      const second = await taking(t, { commandsFrom: queue })
      await second.arrived(1)
      second.open[0]?.()
      channel.sendToQueue(queue, order('c2'))
      await second.arrived(2)
      await second.sink.close()
      // The first was acknowledged, the second was not.
      await ready(queue, 1)
      assert.equal(String(await next(queue)), String(order('c2')))
    })

    it('dead-letters what is no command, and gives back later what was not taken', async (t) => {
      const queue = fresh('commands')
      const dead = await queueAt(`${queue}-dead`)
      const clock = new FakeClock()
      const options = {
        commandsFrom: queue,
        queueType: 'quorum',
        arguments: { 'x-dead-letter-exchange': `${queue}-dead` },
      }
      const { came, open, arrived } = await taking(t, options, pluginContext({ clock }))
      await consuming(queue)
      channel.sendToQueue(queue, Buffer.from('nonsense'))
      channel.sendToQueue(queue, order('c3'))
      await arrived(2)
      open[0]?.(new RefusedError('SLUICE_NO_COMMAND', 'it is no command'))
      assert.equal(String(await next(dead)), 'nonsense')
      open[1]?.(new Error('no disk'))
      await eventually(async () => {
        await clock.advance(5000)
        assert.equal(came.length, 3)
      })
      assert.equal(came[2]?.text, String(order('c3')))
    })

    it('consumes again when the queue was deleted, and sends batches all the while', async (t) => {
      const queue = fresh('commands')
      const clock = new FakeClock()
      const exchange = fresh('up')
      const up = await queueAt(exchange)
      const { sink, arrived } = await taking(t, { commandsFrom: queue, exchange }, pluginContext({ clock }))
      await consuming(queue)
      await channel.deleteQueue(queue)
      await sink.write(batchOf(1, 1), signal)
      assert.ok(await next(up))
      await eventually(async () => {
        await clock.advance(5000)
        await consuming(queue)
      })
      channel.sendToQueue(queue, order('c4'))
      await arrived(1)
    })

    it('sends to a broker that does not let it consume, and says why it takes no commands', async (t) => {
      const queue = fresh('commands')
      const exchange = fresh('up')
      const up = await queueAt(exchange)
      const warnings: string[] = []
      const log = { ...pluginContext().log, warn: (fields: object) => warnings.push(JSON.stringify(fields)) }
      const { sink } = await taking(t, { commandsFrom: queue, exchange, declare: false }, pluginContext({ log }))
      await eventually(async () => assert.match(warnings[0] ?? '', /NOT_FOUND/))
      await sink.write(batchOf(1, 1), signal)
      assert.ok(await next(up))
    })

    it('takes them over AMQP 1.0 too', async (t) => {
      const queue = fresh('commands')
      await channel.assertQueue(queue, { durable: true, deadLetterExchange: '', deadLetterRoutingKey: `${queue}-dead` })
      await channel.assertQueue(`${queue}-dead`, { durable: true })
      const { came, open, arrived } = await taking(t, {
        protocol: '1.0',
        username: 'guest',
        password: 'guest',
        commandsFrom: `/amq/queue/${queue}`,
      })
      channel.sendToQueue(queue, order('c5'), { messageId: 'm5' })
      channel.sendToQueue(queue, Buffer.from('nonsense'))
      await arrived(2)
      assert.deepEqual(came[0], { text: String(order('c5')), messageId: 'm5' })
      open[1]?.(new RefusedError('SLUICE_NO_COMMAND', 'it is no command'))
      assert.equal(String(await next(`${queue}-dead`)), 'nonsense')
      open[0]?.()
      await eventually(async () => {
        const listing = await broker.control('list_queues', 'name', 'messages')
        assert.match(listing, new RegExp(`^${queue}\\s+0$`, 'm'))
      })
    })
  })

  it('sends over AMQP 1.0 to a broker that does not let it receive', async (t) => {
    const queue = fresh('ten')
    await channel.assertQueue(queue, { durable: true })
    const warnings: string[] = []
    const log = { ...pluginContext().log, warn: (fields: object) => warnings.push(JSON.stringify(fields)) }
    const options = { protocol: '1.0', address: `/amq/queue/${queue}`, commandsFrom: '/amq/queue/missing' }
    const { sink } = create(amqp, { url, username: 'guest', password: 'guest', ...options }, pluginContext({ log }))
    assert.ok(sink)
    t.after(() => sink.close())
    sink.onCommand?.(() => Promise.resolve())
    await sink.connect(signal)
    await eventually(async () => assert.match(warnings[0] ?? '', /missing/))
    await sink.write(batchOf(1, 3), signal)
    assert.deepEqual(await next(queue), batchOf(1, 3).body())
  })

  it('speaks AMQP 1.0 to a broker too', async (t) => {
    const queue = fresh('ten')
    await channel.assertQueue(queue, { durable: true })
    const sink = await sinkTo(t, {
      protocol: '1.0',
      address: `/amq/queue/${queue}`,
      username: 'guest',
      password: 'guest',
    })
    await sink.write(batchOf(1, 3), signal)
    assert.deepEqual(await next(queue), batchOf(1, 3).body())
    await assert.rejects(sinkTo(t, { protocol: '1.0', username: 'guest', password: 'wrong' }), {
      code: 'SLUICE_AMQP_CREDENTIALS',
    })
  })

  it('goes on after the broker was killed, losing nothing that was confirmed', { timeout: 60_000 }, async (t) => {
    const exchange = fresh('up')
    const queue = await queueAt(exchange)
    const sink = await sinkTo(t, { exchange })
    const to = recorder()
    to.automatic = false
    const running = run(t, sourceOf({ queue }), to)
    await sink.write(batchOf(1, 1), signal)
    await within(3000, 'arriving', to.count(1))
    const lost = new Promise((resolve) => peer.once('close', resolve))
    await broker.kill()
    await assert.rejects(within(5000, 'ending', running.ended), { code: 'SLUICE_AMQP_LOST' })
    await assert.rejects(sink.write(batchOf(2, 1), signal), NotConnectedError)
    await assert.rejects(sink.connect(signal), { code: 'SLUICE_AMQP_UNREACHABLE' })
    await lost
    to.settle()
    await broker.start()
    await dial()
    await sink.connect(signal)
    await sink.write(batchOf(2, 1), signal)
    to.automatic = true
    run(t, sourceOf({ queue }), to)
    await within(5000, 'arriving again', to.count(3))
    assert.deepEqual(
      to.taken.map(({ text }) => JSON.parse(text).first),
      [1, 1, 2],
    )
  })
})

async function eventually(action: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await action()
      return
    } catch (error) {
      if (tries > 300) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
