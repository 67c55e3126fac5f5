import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { Emit, Message, Settled } from '../../../gateway/plugin.ts'
import { mqtt } from '../../../plugins/mqtt/index.ts'
import { eventually } from '../../support/within.ts'
import { collectingEmit, create, memoryStore, pluginContext, within } from '../contract.ts'
import { createMosquitto, type Mosquitto, NO_MOSQUITTO, publish } from '../mosquitto.ts'

interface Running {
  readonly messages: Message[]
  count(messages: number): Promise<void>
  stop(): Promise<void>
  readonly ended: Promise<void>
}

/** Runs a source; `settle` decides when a message is durable. */
function run(
  peer: Mosquitto,
  options: object,
  settle: (settled: Settled, message: Message) => void = (settled) => settled(null),
  store = memoryStore(),
): Running {
  const { source } = create(
    mqtt,
    { url: `mqtt://127.0.0.1:${peer.port}`, timeout: '5s', ...options },
    pluginContext({ store }),
  )
  assert.ok(source)
  const messages: Message[] = []
  const waiting: { readonly count: number; readonly done: () => void }[] = []
  const emit = collectingEmit((message, settled) => {
    messages.push(message)
    settle(settled, message)
    for (const { count, done } of waiting) if (messages.length >= count) done()
  })
  const stop = new AbortController()
  const ended = source.run(emit, stop.signal)
  ended.catch(() => {})
  return {
    messages,
    ended,
    count: (count) =>
      within(
        5000,
        `receiving ${count}`,
        new Promise((resolve) => {
          if (messages.length >= count) resolve()
          else waiting.push({ count, done: resolve })
        }),
      ),
    async stop() {
      stop.abort(new Error('stopping'))
      await ended
    },
  }
}

async function broker(t: TestContext): Promise<Mosquitto> {
  const peer = await createMosquitto()
  t.after(() => peer.dispose())
  await peer.start()
  return peer
}

const TOPICS = { topics: ['telemetry/#'] }

/** The broker knows our session once the first message came through. */
async function established(peer: Mosquitto, running: Running): Promise<void> {
  await eventually('a probe arrives', async () => {
    await publish(peer.port, ['-t', 'telemetry/probe', '-m', '0', '-q', '1'])
    return running.messages.length > 0
  })
}

const texts = (messages: readonly Message[]) =>
  messages.filter(({ topic }) => topic !== 'telemetry/probe').map(({ payload }) => Buffer.from(payload).toString())

describe('mqtt source', { skip: NO_MOSQUITTO }, () => {
  it('takes messages of the topics it is told, in order', async (t) => {
    const peer = await broker(t)
    const running = run(peer, TOPICS)
    await established(peer, running)
    const before = running.messages.length
    const sent = Array.from({ length: 500 }, (_, i) => String(i))
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-l'], `${sent.join('\n')}\n`)
    await publish(peer.port, ['-t', 'other/d1', '-q', '1', '-m', 'x'])
    await running.count(before + 500)
    assert.deepEqual(texts(running.messages), sent)
    await running.stop()
  })

  it('is sent again what was not durable when it stopped', async (t) => {
    const peer = await broker(t)
    const first = run(peer, TOPICS, (settled, { topic }) => {
      if (topic === 'telemetry/probe') settled(null)
    })
    await established(peer, first)
    const before = first.messages.length
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-l'], 'a\nb\nc\n')
    await first.count(before + 3)
    await first.stop()
    const second = run(peer, TOPICS)
    await second.count(3)
    assert.deepEqual(texts(second.messages), ['a', 'b', 'c'])
    await second.stop()
  })

  it('acknowledges many messages while others are not yet durable', async (t) => {
    const peer = await broker(t)
    const held: Settled[] = []
    const running = run(peer, TOPICS, (settled, { topic }) => {
      if (topic === 'telemetry/probe') settled(null)
      else held.push(settled)
    })
    await established(peer, running)
    const before = running.messages.length
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-l'], 'a\nb\nc\n')
    await running.count(before + 3)
    for (const settled of held) settled(null)
    await running.stop()
    const second = run(peer, TOPICS)
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-m', 'd'])
    await second.count(1)
    assert.deepEqual(texts(second.messages), ['d'])
    await second.stop()
  })

  it('takes what came while it was away', async (t) => {
    const peer = await broker(t)
    const first = run(peer, TOPICS)
    await established(peer, first)
    await first.stop()
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-m', 'meanwhile'])
    const second = run(peer, TOPICS)
    await second.count(1)
    assert.deepEqual(texts(second.messages), ['meanwhile'])
    await second.stop()
  })

  it('reads nothing more while there is no room', async (t) => {
    const peer = await broker(t)
    let room = 3
    let taken = 0
    let open: (() => void) | undefined
    const offer: Emit['offer'] = (_, settled) => {
      if (room === 0) return false
      room--
      taken++
      settled?.(null)
      return true
    }
    const emit: Emit = Object.assign(async () => {}, {
      offer,
      room: () =>
        new Promise<void>((resolve) => {
          open = resolve
        }),
    })
    const { source } = create(mqtt, { url: `mqtt://127.0.0.1:${peer.port}`, ...TOPICS })
    assert.ok(source)
    const stop = new AbortController()
    const ended = source.run(emit, stop.signal)
    await eventually('the source waits for room', async () => {
      await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-m', 'x'])
      return open !== undefined
    })
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-l'], 'a\nb\nc\n')
    assert.equal(taken, 3)
    room = 1000
    open?.()
    await eventually('all are taken', () => taken >= 7)
    stop.abort(new Error('stopping'))
    await ended
  })

  it('asks for a message again that could not be made durable', async (t) => {
    const peer = await broker(t)
    const store = memoryStore()
    const first = run(
      peer,
      TOPICS,
      (settled, { topic }) => settled(topic === 'telemetry/probe' ? null : new Error('disk')),
      store,
    )
    await established(peer, first)
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-m', 'again'])
    await assert.rejects(within(3000, 'failing', first.ended), NotConnectedError)
    const second = run(peer, TOPICS, undefined, store)
    await second.count(1)
    assert.deepEqual(texts(second.messages), ['again'])
    await second.stop()
  })

  it('ignores retained messages unless told otherwise', async (t) => {
    const peer = await broker(t)
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-r', '-m', 'old'])
    const first = run(peer, TOPICS)
    await established(peer, first)
    assert.deepEqual(texts(first.messages), [])
    await first.stop()
    const second = run(peer, { ...TOPICS, retained: true, clientId: 'another' })
    await second.count(1)
    assert.deepEqual(texts(second.messages), ['old'])
    await second.stop()
  })

  it('leaves topics that an earlier config named', async (t) => {
    const peer = await broker(t)
    const store = memoryStore()
    const first = run(peer, { topics: ['telemetry/#', 'old/#'] }, undefined, store)
    await established(peer, first)
    await first.stop()
    const second = run(peer, TOPICS, undefined, store)
    // The session of before delivers at once, so a probe says nothing: wait until the new topics are agreed.
    await eventually('the topics are agreed', () => String(store.get('topics')) === String(TOPICS.topics))
    await publish(peer.port, ['-t', 'old/d1', '-q', '1', '-m', 'x'])
    await publish(peer.port, ['-t', 'telemetry/d1', '-q', '1', '-m', 'y'])
    await eventually('the message arrives', () => texts(second.messages).length > 0)
    assert.deepEqual(texts(second.messages), ['y'])
    await second.stop()
  })

  it('says not connected when the broker dies', async (t) => {
    const peer = await broker(t)
    const running = run(peer, TOPICS)
    await established(peer, running)
    await peer.kill()
    await assert.rejects(within(2000, 'noticing', running.ended), NotConnectedError)
  })
})
