import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACK, CON, type CoapMessage, decode, encode, type MessageType, NON, RST } from '../../../plugins/coap/codec.ts'
import { CHANGED, GET, POST } from '../../../plugins/coap/codes.ts'
import { createEndpoint, type EndpointOptions } from '../../../plugins/coap/endpoint.ts'
import type { Exchange } from '../../../plugins/coap/exchange.ts'
import { FakeClock } from '../../support/clock.ts'
import { createNetwork } from './network.ts'

const TOKEN = Buffer.from([1, 2, 3, 4])

function setup(
  onRequest: (exchange: Exchange) => void = (e) => e.respond(CHANGED),
  more: Partial<EndpointOptions> = {},
) {
  const clock = new FakeClock()
  const network = createNetwork()
  const gateway = network.node('gateway')
  const device = network.node('device')
  const heard: CoapMessage[] = []
  device.attach({
    datagram: (data) => void heard.push(decode(data) as CoapMessage),
    gone() {},
    moved() {},
  })
  const requests: Exchange[] = []
  const endpoint = createEndpoint({
    clock,
    onRequest(exchange) {
      requests.push(exchange)
      onRequest(exchange)
    },
    ...more,
  })
  endpoint.attach(gateway)
  const say = async (data: Buffer) => {
    network.inject('device', 'gateway', data)
    await network.run()
  }
  const advance = async (ms: number) => {
    await clock.advance(ms)
    await network.run()
  }
  return { clock, network, endpoint, toDevice: gateway.peer('device'), heard, requests, say, advance }
}

const post = (id: number, type: MessageType = CON) => encode(type, POST, id, TOKEN, [], Buffer.from('x'.repeat(60)))

test('answers a confirmable request in its acknowledgement', async () => {
  const { say, heard, endpoint } = setup()
  await say(post(7))
  assert.deepEqual(
    heard.map(({ type, code, id, token }) => ({ type, code, id, token })),
    [{ type: ACK, code: CHANGED, id: 7, token: TOKEN }],
  )
  endpoint.close()
})

test('answers a non-confirmable request non-confirmably', async () => {
  const { say, heard, endpoint } = setup()
  await say(post(7, NON))
  assert.equal(heard[0]?.type, NON)
  assert.deepEqual(heard[0]?.token, TOKEN)
  endpoint.close()
})

test('acts once on a request that comes three times, and answers it each time the same', async () => {
  const { say, heard, requests, network, endpoint } = setup()
  for (let i = 0; i < 3; i++) await say(post(7))
  assert.equal(requests.length, 1)
  assert.equal(heard.length, 3)
  const replies = network.sent.filter((d) => d.from === 'gateway').map((d) => d.data.toString('hex'))
  assert.equal(new Set(replies).size, 1)
  endpoint.close()
})

test('is silent to a repetition while there is no answer yet', async () => {
  const { say, heard, requests, endpoint } = setup(() => {})
  await say(post(7))
  await say(post(7))
  assert.equal(requests.length, 1)
  assert.equal(heard.length, 0)
  endpoint.close()
})

test('takes the same message id with other bytes as a new message', async () => {
  const { say, requests, endpoint } = setup()
  await say(post(7))
  await say(encode(CON, POST, 7, Buffer.from([9]), [], Buffer.from('y')))
  assert.equal(requests.length, 2)
  endpoint.close()
})

test('forgets a message id when its lifetime is over', async () => {
  const { say, requests, advance, endpoint } = setup()
  await say(post(7))
  await advance(246_000)
  await say(post(7))
  assert.equal(requests.length, 1)
  await advance(2_000)
  await say(post(7))
  assert.equal(requests.length, 2)
  endpoint.close()
})

test('remembers a bounded number of messages, the oldest forgotten first', async () => {
  const { say, requests, endpoint } = setup(undefined, { parameters: { maxExchanges: 10 } })
  for (let id = 0; id < 11; id++) await say(post(id))
  await say(post(10))
  assert.equal(requests.length, 11)
  await say(post(0))
  assert.equal(requests.length, 12)
  endpoint.close()
})

test('acknowledges a request that takes long, and sends the response by itself until it is acknowledged', async () => {
  const { say, heard, requests, advance, endpoint } = setup(() => {})
  await say(post(7))
  await advance(500)
  assert.deepEqual([heard[0]?.type, heard[0]?.code, heard[0]?.id], [ACK, 0, 7])
  requests[0]?.respond(CHANGED)
  await advance(0)
  const response = heard[1] as CoapMessage
  assert.deepEqual([response.type, response.code, response.token], [CON, CHANGED, TOKEN])
  await advance(3_000)
  assert.equal(heard.length, 3)
  await say(encode(ACK, 0, response.id))
  await advance(100_000)
  assert.equal(heard.length, 3)
  endpoint.close()
})

test('answers an empty confirmable message with a reset', async () => {
  const { say, heard, endpoint } = setup()
  await say(encode(CON, 0, 77))
  assert.deepEqual([heard[0]?.type, heard[0]?.code, heard[0]?.id], [RST, 0, 77])
  endpoint.close()
})

test('resets a malformed confirmable message and ignores any other', async () => {
  const { say, heard, endpoint } = setup()
  await say(Buffer.from('49010005', 'hex'))
  assert.deepEqual([heard[0]?.type, heard[0]?.id], [RST, 5])
  await say(Buffer.from('59010006', 'hex'))
  await say(Buffer.from('89010006', 'hex'))
  await say(Buffer.from('40', 'hex'))
  assert.equal(heard.length, 1)
  endpoint.close()
})

test('resets a response nobody asked for', async () => {
  const { say, heard, endpoint } = setup()
  await say(encode(CON, 0x45, 5, TOKEN))
  assert.deepEqual([heard[0]?.type, heard[0]?.id], [RST, 5])
  endpoint.close()
})

test('sends a request five times in growing pauses, and then gives up', async () => {
  const { network, clock, toDevice, endpoint } = setup()
  network.fate = () => 0
  const sent: number[] = []
  let failure: Error | undefined
  endpoint.request(toDevice, { code: GET }, { response() {}, failed: (error) => (failure = error) })
  let known = 0
  for (let t = 0; t < 100_000; t += 100) {
    if (network.sent.length > known) sent.push(t)
    known = network.sent.length
    await clock.advance(100)
  }
  assert.equal(sent.length, 5)
  const pauses = sent.slice(1).map((t, i) => t - (sent[i] as number))
  assert.ok((pauses[0] as number) >= 2000 && (pauses[0] as number) <= 3100, String(pauses))
  for (let i = 1; i < 4; i++) assert.ok(Math.abs((pauses[i] as number) - 2 * (pauses[i - 1] as number)) <= 200)
  assert.match(String(failure?.message), /no acknowledgement/)
  endpoint.close()
})

test('sends one confirmable message at a time to a peer', async () => {
  const { network, toDevice, endpoint, heard, say } = setup()
  for (let i = 0; i < 3; i++) endpoint.request(toDevice, { code: GET }, { response() {}, failed() {} })
  await network.run()
  assert.equal(heard.length, 1)
  await say(encode(ACK, 0, heard[0]?.id ?? 0))
  assert.equal(heard.length, 2)
  endpoint.close()
})

test('takes the response in an acknowledgement, by itself after one, and by itself before one', async () => {
  for (const way of ['piggybacked', 'separate', 'early'] as const) {
    const { network, toDevice, endpoint, heard, say, advance } = setup()
    const responses: CoapMessage[] = []
    endpoint.request(
      toDevice,
      { code: GET },
      {
        response(message, receipt) {
          responses.push(message)
          receipt.acknowledge()
        },
        failed: (error) => assert.fail(error),
      },
    )
    await network.run()
    const { id, token } = heard[0] as CoapMessage
    if (way === 'piggybacked') await say(encode(ACK, 0x45, id, token))
    if (way === 'separate') await say(encode(ACK, 0, id))
    if (way !== 'piggybacked') await say(encode(CON, 0x45, 900, token))
    assert.equal(responses.length, 1, way)
    if (way !== 'piggybacked') {
      assert.deepEqual([heard.at(-1)?.type, heard.at(-1)?.id], [ACK, 900], way)
      // The acknowledgement was lost: the same again, and the handler is not asked twice.
      await say(encode(CON, 0x45, 900, token))
      assert.deepEqual([heard.at(-1)?.type, heard.at(-1)?.id], [ACK, 900], way)
    }
    const before = heard.length
    await advance(100_000)
    assert.equal(responses.length, 1, way)
    assert.equal(heard.length, before, way)
    endpoint.close()
  }
})

test('gives a response back that was not taken: it is new when it comes again', async () => {
  const { network, toDevice, endpoint, heard, say } = setup()
  let taken = 0
  endpoint.request(
    toDevice,
    { code: GET },
    {
      response(_message, receipt) {
        taken++
        if (taken === 1) receipt.forget()
        else receipt.acknowledge()
      },
      failed() {},
    },
  )
  await network.run()
  const { id, token } = heard[0] as CoapMessage
  await say(encode(ACK, 0, id))
  await say(encode(CON, 0x45, 900, token))
  assert.equal(heard.at(-1)?.type, CON)
  await say(encode(CON, 0x45, 900, token))
  assert.equal(taken, 2)
  assert.deepEqual([heard.at(-1)?.type, heard.at(-1)?.id], [ACK, 900])
  endpoint.close()
})

test('tells a request apart that was refused, as nothing was done then', async () => {
  const { network, toDevice, endpoint, heard, say } = setup()
  let refused: boolean | undefined
  endpoint.request(toDevice, { code: GET }, { response() {}, failed: (error) => (refused = error.refused) })
  await network.run()
  await say(encode(RST, 0, heard[0]?.id ?? 0))
  assert.equal(refused, true)
  endpoint.close()
})

test('sends an address that is not proved no more than three times what came from it', async () => {
  const { say, heard, network, advance, endpoint } = setup((e) => e.respond(0x45, [], Buffer.alloc(1000)))
  await say(encode(CON, GET, 1, TOKEN))
  await say(encode(NON, GET, 2, TOKEN))
  await advance(100_000)
  const size = (from: string) => network.sent.filter((d) => d.from === from).reduce((n, d) => n + d.data.length, 0)
  assert.ok(size('gateway') <= 3 * size('device'))
  assert.ok(heard.every((m) => m.payload.length === 0))
  endpoint.close()
})

test('stops repeating a separate response to an address that never showed itself', async () => {
  const { say, requests, network, advance, endpoint } = setup(() => {})
  await say(encode(CON, GET, 1, TOKEN))
  await advance(600)
  requests[0]?.respond(0x45, [], Buffer.alloc(4))
  await advance(200_000)
  const bytes = network.sent.filter((d) => d.from === 'gateway').reduce((n, d) => n + d.data.length, 0)
  assert.ok(bytes <= 3 * 8, String(bytes))
  endpoint.close()
})

test('keeps a bounded table of peers', async () => {
  const { network, endpoint, requests } = setup(undefined, { parameters: { maxPeers: 50 } })
  for (let i = 0; i < 500; i++) network.inject(`device-${i}`, 'gateway', post(i))
  await network.run()
  assert.equal(requests.length, 500)
  endpoint.close()
})
