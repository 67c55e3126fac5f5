import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '../../../plugins/coap/client.ts'
import { CHANGED, CONTENT, GET, POST } from '../../../plugins/coap/codes.ts'
import { isNews, NONE } from '../../../plugins/coap/observe.ts'
import { createServer } from '../../../plugins/coap/server.ts'
import { FakeClock } from '../../support/clock.ts'
import { createNetwork, createRandom } from './network.ts'

const BIG = Buffer.from(Array.from({ length: 5000 }, (_, i) => 97 + (i % 26)))

function setup() {
  const clock = new FakeClock()
  const network = createNetwork()
  const bodies: Buffer[] = []
  const state = { value: '0' }
  const device = createServer({
    clock,
    resources: [
      {
        path: 'body',
        get: (_request, respond) => respond({ code: CONTENT, payload: BIG }),
        post(request, respond) {
          bodies.push(request.payload)
          respond({ code: CHANGED, payload: request.payload })
        },
      },
      {
        path: 'state',
        get: (_request, respond) => respond({ code: CONTENT, payload: Buffer.from(state.value) }),
        observed() {},
      },
    ],
  })
  device.endpoint.attach(network.node('device'))
  const node = network.node('gateway')
  const own = createServer({ clock, resources: [] })
  own.endpoint.attach(node)
  const client = createClient({ clock, endpoint: own.endpoint })
  const close = () => {
    own.close()
    device.close()
  }
  /** Lets time pass until a promise settles. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false
    const mark = () => (over = true)
    promise.then(mark, mark)
    for (let i = 0; i < 3000 && !over; i++) {
      await network.run()
      if (!over) await clock.advance(1000)
    }
    assert.ok(over, 'it settles')
    return promise
  }
  return { clock, network, device, client, peer: node.peer('device'), bodies, state, settled, close }
}

test('sends and fetches bodies of many blocks', async () => {
  const { client, peer, bodies, settled, close } = setup()
  const response = await settled(client.request(peer, { code: POST, path: 'body', payload: BIG }))
  assert.equal(response.code, CHANGED)
  assert.ok(bodies[0]?.equals(BIG))
  assert.ok(response.payload.equals(BIG))
  close()
})

test('gets through although a third of the datagrams is lost, some come twice and all out of order', async () => {
  const { client, peer, bodies, settled, network, close } = setup()
  const random = createRandom(7959)
  network.fate = () => (random() < 0.3 ? 0 : random() < 0.3 ? 2 : 1)
  network.order = (all) =>
    all
      .map((d) => ({ d, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ d }) => d)
  for (let i = 0; i < 4; i++) {
    const body = BIG.subarray(0, 3000 + i)
    let response: { code: number; payload: Buffer } | undefined
    while (!response)
      response = await settled(client.request(peer, { code: POST, path: 'body', payload: body })).catch(() => undefined)
    assert.equal(response.code, CHANGED)
    assert.ok(bodies.at(-1)?.equals(body))
  }
  close()
})

test('gives up when the signal aborts', async () => {
  const { client, peer, network, settled, close } = setup()
  network.fate = () => 0
  const stop = new AbortController()
  const asked = client.request(peer, { code: GET, path: 'body' }, stop.signal)
  stop.abort(new Error('deadline'))
  await assert.rejects(settled(asked), /deadline/)
  const before = network.sent.length
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(network.sent.length, before)
  close()
})

test('observes, and stops: the next notification is refused', async () => {
  const { client, peer, device, state, network, close } = setup()
  const heard: string[] = []
  const observation = client.observe(
    peer,
    { code: GET, path: 'state' },
    {
      notification(response, receipt) {
        heard.push(response.payload.toString())
        receipt.acknowledge()
      },
      ended: (error) => assert.fail(error),
    },
  )
  await network.run()
  for (const value of ['1', '2']) {
    state.value = value
    device.changed('state')
    await network.run()
  }
  assert.deepEqual(heard, ['0', '1', '2'])
  observation.cancel()
  device.changed('state')
  await network.run()
  assert.equal(device.observers, 0)
  assert.equal(heard.length, 3)
  close()
})

test('tells the device when it stops observing and is asked to say so', async () => {
  const { client, peer, device, network, close } = setup()
  const observation = client.observe(
    peer,
    { code: GET, path: 'state' },
    { notification: (_response, receipt) => receipt.acknowledge(), ended() {} },
  )
  await network.run()
  assert.equal(device.observers, 1)
  observation.cancel(true)
  await network.run()
  assert.equal(device.observers, 0)
  close()
})

test('gets a notification again that it could not take', async () => {
  const { client, peer, device, state, network, clock, close } = setup()
  const heard: string[] = []
  client.observe(
    peer,
    { code: GET, path: 'state' },
    {
      notification(response, receipt) {
        heard.push(response.payload.toString())
        if (heard.length === 2) receipt.forget()
        else receipt.acknowledge()
      },
      ended() {},
    },
  )
  await network.run()
  state.value = '1'
  device.changed('state')
  await network.run()
  await clock.advance(3100)
  await network.run()
  assert.deepEqual(heard, ['0', '1', '1'])
  close()
})

test('says that a resource cannot be observed', async () => {
  const { client, peer, network, close } = setup()
  const ended: string[] = []
  const handler = { notification() {}, ended: (error: Error) => void ended.push(error.message) }
  client.observe(peer, { code: GET, path: 'nothing' }, handler)
  await network.run()
  assert.match(ended[0] ?? '', /4\.04/)
  close()
})

test('takes notifications in the order of their numbers, also over the end of 24 bits and after a long silence', () => {
  const heard = { last: NONE, at: 0 }
  assert.ok(isNews(heard, 10, 0))
  assert.ok(!isNews(heard, 10, 1))
  assert.ok(!isNews(heard, 9, 1))
  assert.ok(isNews(heard, 11, 1))
  assert.ok(!isNews(heard, 11 + 2 ** 23, 1))
  assert.ok(isNews(heard, 3, 130_000))
  assert.ok(isNews(heard, 2 ** 23, 130_000))
  assert.ok(isNews(heard, 2 ** 24 - 1, 130_000))
  assert.ok(isNews(heard, 0, 130_000))
})
