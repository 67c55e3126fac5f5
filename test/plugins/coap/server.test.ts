import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockOf, blockOption } from '../../../plugins/coap/block.ts'
import { ACK, CON, type CoapMessage, decode, encode, NON, type Option, RST } from '../../../plugins/coap/codec.ts'
import { GET, POST } from '../../../plugins/coap/codes.ts'
import {
  BLOCK1,
  BLOCK2,
  ECHO,
  find,
  findUint,
  NO_RESPONSE,
  OBSERVE,
  SIZE1,
  uintOption,
  uriOptions,
} from '../../../plugins/coap/options.ts'
import type { Request } from '../../../plugins/coap/request.ts'
import type { Resource } from '../../../plugins/coap/resource.ts'
import { createServer, type ServerOptions } from '../../../plugins/coap/server.ts'
import { FakeClock } from '../../support/clock.ts'
import { createNetwork } from './network.ts'

const TOKEN = Buffer.from([1, 2, 3, 4])
const BIG = Buffer.from(Array.from({ length: 3000 }, (_, i) => 97 + (i % 26)))

function setup(more: Partial<ServerOptions> = {}) {
  const clock = new FakeClock()
  const network = createNetwork()
  const gateway = network.node('gateway')
  const heard: CoapMessage[] = []
  network
    .node('device')
    .attach({ datagram: (data) => void heard.push(decode(data) as CoapMessage), gone() {}, moved() {} })
  const requests: Request[] = []
  const state = { value: 'one' }
  const resources: Resource[] = [
    {
      path: 'take/{device}',
      post(request, respond) {
        requests.push(request)
        respond({ code: 0x44 })
      },
      attributes: { rt: 'place' },
    },
    {
      path: 'big',
      get: (_request, respond) => respond({ code: 0x45, payload: BIG }),
      attributes: { rt: 'large body' },
    },
    {
      path: 'state',
      get: (_request, respond) => respond({ code: 0x45, payload: Buffer.from(state.value) }),
      observed() {},
      attributes: { ct: '0' },
    },
    {
      path: 'broken',
      get() {
        throw new Error('a defect')
      },
    },
  ]
  const server = createServer({ clock, resources, ...more })
  server.endpoint.attach(gateway)
  let id = 100
  /** Sends a request and returns what came for it, after a first response to it was acknowledged. */
  const ask = async (
    code: number,
    path: string,
    options: readonly Option[] = [],
    payload?: Buffer,
    how: { type?: typeof CON | typeof NON; token?: Buffer; from?: string } = {},
  ): Promise<CoapMessage | undefined> => {
    const before = heard.length
    const all = [...uriOptions(path), ...options]
    network.inject(
      how.from ?? 'device',
      'gateway',
      encode(how.type ?? CON, code, ++id, how.token ?? TOKEN, all, payload),
    )
    await network.run()
    for (const message of heard.slice(before))
      if (message.type === CON) network.inject('device', 'gateway', encode(ACK, 0, message.id))
    await network.run()
    return heard.slice(before).find((m) => m.code !== 0)
  }
  return { clock, network, server, heard, requests, state, ask }
}

/** Makes the server sure of the device's address. */
async function prove({ ask }: ReturnType<typeof setup>): Promise<void> {
  const refusal = await ask(GET, 'big', [], undefined, { token: Buffer.alloc(0) })
  const echo = refusal && find(refusal.options, ECHO)
  assert.ok(echo, 'an Echo was asked for')
  await ask(GET, 'big', [{ number: ECHO, value: echo }])
}

test('refuses an option that is critical and not understood, and ignores one that is elective', async () => {
  const { ask, requests, server } = setup()
  const odd = { number: 9, value: Buffer.from([1]) }
  const even = { number: 10, value: Buffer.from([1]) }
  assert.equal((await ask(POST, 'take/a', [odd]))?.code, 0x82)
  assert.equal(requests.length, 0)
  assert.equal((await ask(POST, 'take/a', [even]))?.code, 0x44)
  assert.equal(await ask(POST, 'take/a', [odd], undefined, { type: NON }), undefined)
  assert.equal(requests.length, 1)
  server.close()
})

test('takes a critical option of impossible length, or one repeated, as not understood', async () => {
  const { ask, server } = setup()
  const block = { number: BLOCK1, value: Buffer.alloc(4, 1) }
  assert.equal((await ask(POST, 'take/a', [block]))?.code, 0x82)
  const twice = [uintOption(17, 50), uintOption(17, 60)]
  assert.equal((await ask(POST, 'take/a', twice))?.code, 0x82)
  server.close()
})

test('says what is not there, what cannot be done, and that it is no proxy', async () => {
  const { ask, server } = setup()
  assert.equal((await ask(GET, 'nothing'))?.code, 0x84)
  assert.equal((await ask(GET, 'take/a'))?.code, 0x85)
  assert.equal((await ask(31, 'take/a'))?.code, 0x85)
  assert.equal((await ask(POST, 'take//'))?.code, 0x84)
  const proxy = { number: 35, value: Buffer.from('coap://elsewhere/') }
  assert.equal((await ask(GET, 'state', [proxy]))?.code, 0xa5)
  server.close()
})

test('answers 5.00 when a handler throws, and tells its owner', async () => {
  let failure: unknown
  const { ask, server } = setup({ failed: (error) => (failure = error) })
  assert.equal((await ask(GET, 'broken'))?.code, 0xa0)
  assert.match(String(failure), /a defect/)
  server.close()
})

test('lists its resources, those that have a name in their path up to it, and filters them', async () => {
  const s = setup()
  await prove(s)
  assert.equal(
    (await s.ask(GET, '.well-known/core'))?.payload.toString(),
    '</take>;rt="place",</big>;rt="large body",</state>;ct=0;obs',
  )
  const filtered = await s.ask(GET, '.well-known/core', uriOptions('', ['rt=body']))
  assert.equal(filtered?.payload.toString(), '</big>;rt="large body"')
  s.server.close()
})

test('says nothing where the client wants to hear nothing', async () => {
  const { ask, requests, heard, server } = setup()
  assert.equal(await ask(POST, 'take/a', [uintOption(NO_RESPONSE, 2)], undefined, { type: NON }), undefined)
  assert.equal(heard.length, 0)
  assert.equal(await ask(POST, 'take/a', [uintOption(NO_RESPONSE, 2)]), undefined)
  assert.deepEqual([heard[0]?.type, heard[0]?.code], [ACK, 0])
  assert.equal(requests.length, 2)
  assert.equal((await ask(POST, 'nothing', [uintOption(NO_RESPONSE, 2)]))?.code, 0x84)
  server.close()
})

async function upload(s: ReturnType<typeof setup>, body: Buffer, szx: number, device = 'a') {
  const size = 16 << szx
  let last: CoapMessage | undefined
  for (let num = 0; num * size < body.length; num++) {
    const part = body.subarray(num * size, (num + 1) * size)
    const more = (num + 1) * size < body.length
    last = await s.ask(POST, `take/${device}`, [blockOption(BLOCK1, { num, more, szx })], part)
    const echoed = last && find(last.options, BLOCK1)
    assert.deepEqual(echoed && blockOf(echoed), { num, more, szx })
    if (more) assert.equal(last?.code, 0x5f)
  }
  return last
}

test('gathers a body from its blocks, large ones and small ones', async () => {
  const s = setup()
  for (const szx of [6, 0]) {
    assert.equal((await upload(s, BIG, szx))?.code, 0x44)
    assert.ok(s.requests.at(-1)?.payload.equals(BIG))
  }
  assert.equal(s.server.transferBytes, 0)
  s.server.close()
})

test('keeps bodies of two devices apart', async () => {
  const s = setup()
  const block = (num: number, more: boolean) => [blockOption(BLOCK1, { num, more, szx: 0 })]
  await s.ask(POST, 'take/a', block(0, true), Buffer.alloc(16, 'a'))
  await s.ask(POST, 'take/b', block(0, true), Buffer.alloc(16, 'b'))
  await s.ask(POST, 'take/a', block(1, false), Buffer.from('A'))
  await s.ask(POST, 'take/b', block(1, false), Buffer.from('B'))
  assert.deepEqual(
    s.requests.map((r) => r.payload.toString()),
    ['aaaaaaaaaaaaaaaaA', 'bbbbbbbbbbbbbbbbB'],
  )
  s.server.close()
})

test('refuses a block out of order, one of the wrong length and a reserved size', async () => {
  const { ask, server } = setup()
  const block = (num: number, more: boolean, szx = 0) => [blockOption(BLOCK1, { num, more, szx })]
  assert.equal((await ask(POST, 'take/a', block(1, true), Buffer.alloc(16)))?.code, 0x88)
  await ask(POST, 'take/a', block(0, true), Buffer.alloc(16))
  assert.equal((await ask(POST, 'take/a', block(2, true), Buffer.alloc(16)))?.code, 0x88)
  assert.equal((await ask(POST, 'take/a', block(1, true), Buffer.alloc(15)))?.code, 0x80)
  assert.equal((await ask(POST, 'take/a', [uintOption(BLOCK1, 7)], Buffer.alloc(15)))?.code, 0x80)
  server.close()
})

test('refuses a body that is too large, at the latest when it is', async () => {
  const s = setup({ limits: { maxBody: 100 } })
  const first = await s.ask(
    POST,
    'take/a',
    [blockOption(BLOCK1, { num: 0, more: true, szx: 2 }), uintOption(SIZE1, 101)],
    Buffer.alloc(64),
  )
  assert.equal(first?.code, 0x8d)
  assert.equal(first && findUint(first.options, SIZE1), 100)
  await s.ask(POST, 'take/a', [blockOption(BLOCK1, { num: 0, more: true, szx: 2 })], Buffer.alloc(64))
  const second = await s.ask(POST, 'take/a', [blockOption(BLOCK1, { num: 1, more: false, szx: 2 })], Buffer.alloc(37))
  assert.equal(second?.code, 0x8d)
  assert.equal(s.server.transferBytes, 0)
  s.server.close()
})

test('gives up half a body that is not continued', async () => {
  const s = setup({ limits: { expiry: 10_000 } })
  await s.ask(POST, 'take/a', [blockOption(BLOCK1, { num: 0, more: true, szx: 0 })], Buffer.alloc(16))
  assert.ok(s.server.transferBytes > 0)
  await s.clock.advance(15_000)
  assert.equal(s.server.transferBytes, 0)
  const late = await s.ask(POST, 'take/a', [blockOption(BLOCK1, { num: 1, more: false, szx: 0 })], Buffer.alloc(1))
  assert.equal(late?.code, 0x88)
  s.server.close()
})

test('holds a bounded number of bytes of half bodies', async () => {
  const s = setup({ limits: { maxTotal: 10_000 } })
  for (let i = 0; i < 100; i++)
    await s.ask(POST, `take/${i}`, [blockOption(BLOCK1, { num: 0, more: true, szx: 6 })], Buffer.alloc(1024))
  assert.ok(s.server.transferBytes <= 10_000)
  s.server.close()
})

test('gives a large body in blocks, of the size asked for', async () => {
  const s = setup()
  await prove(s)
  for (const szx of [6, 2]) {
    const parts: Buffer[] = []
    for (let num = 0; ; num++) {
      const ask = num === 0 && szx === 6 ? [] : [blockOption(BLOCK2, { num, more: false, szx })]
      const response = await s.ask(GET, 'big', ask)
      assert.equal(response?.code, 0x45)
      const value = response && find(response.options, BLOCK2)
      const block = value && blockOf(value)
      assert.equal(block?.num, num)
      parts.push(response?.payload as Buffer)
      if (!block?.more) break
    }
    assert.ok(Buffer.concat(parts).equals(BIG))
  }
  const beyond = await s.ask(GET, 'big', [blockOption(BLOCK2, { num: 100, more: false, szx: 6 })])
  assert.equal(beyond?.code, 0x80)
  s.server.close()
})

test('sends an unproved address small blocks, or asks for an Echo, and large ones once it is proved', async () => {
  const { ask, network, server } = setup()
  const refused = await ask(GET, 'big', [], undefined, { token: Buffer.alloc(0) })
  assert.equal(refused?.code, 0x81)
  const padding = uriOptions('', [`x=${'x'.repeat(40)}`])
  const small = await ask(GET, 'big', padding)
  assert.equal(small?.code, 0x45)
  assert.ok((small?.payload.length ?? 0) >= 16 && (small?.payload.length ?? 0) < 256)
  const sizes = (from: string) => network.sent.filter((d) => d.from === from).map((d) => d.data.length)
  for (const [i, size] of sizes('gateway').entries()) assert.ok(size <= 3 * (sizes('device')[i] as number))
  const echo = refused && find(refused.options, ECHO)
  const large = await ask(GET, 'big', [{ number: ECHO, value: echo as Buffer }])
  assert.equal(large?.payload.length, 1024)
  server.close()
})

test('takes no Echo that is forged, from another address, or old', async () => {
  const s = setup()
  const token = Buffer.alloc(0)
  const refused = await s.ask(GET, 'big', [], undefined, { token })
  const echo = find(refused?.options ?? [], ECHO) as Buffer
  const forged = Buffer.from(echo)
  forged[11] = (forged[11] as number) ^ 1
  const sizeFor = async (value: Buffer, from?: string) => {
    const before = s.network.sent.length
    await s.ask(GET, 'big', [{ number: ECHO, value }], undefined, { token, ...(from && { from }) })
    return s.network.sent.slice(before).filter((d) => d.from === 'gateway')[0]?.data.length ?? 0
  }
  assert.ok((await sizeFor(forged)) < 150)
  s.network.node('elsewhere').attach({ datagram() {}, gone() {}, moved() {} })
  assert.ok((await sizeFor(echo, 'elsewhere')) < 150)
  await s.clock.advance(241_000)
  assert.ok((await sizeFor(echo)) < 150)
  s.server.close()
})

test('tells observers of changes, in ascending order, until they cancel', async () => {
  const s = setup()
  const first = await s.ask(GET, 'state', [uintOption(OBSERVE, 0)])
  assert.equal(first?.payload.toString(), 'one')
  assert.equal(s.server.observers, 1)
  const sequences = [findUint(first?.options ?? [], OBSERVE) as number]
  for (const value of ['two', 'three']) {
    s.state.value = value
    s.server.changed('state')
    await s.network.run()
    const notification = s.heard.at(-1) as CoapMessage
    assert.deepEqual([notification.type, notification.code, notification.token], [CON, 0x45, TOKEN])
    assert.equal(notification.payload.toString(), value)
    sequences.push(findUint(notification.options, OBSERVE) as number)
    s.network.inject('device', 'gateway', encode(ACK, 0, notification.id))
    await s.network.run()
  }
  assert.deepEqual(
    sequences,
    [...sequences].sort((a, b) => a - b),
  )
  const last = await s.ask(GET, 'state', [uintOption(OBSERVE, 1)])
  assert.equal(find(last?.options ?? [], OBSERVE), undefined)
  assert.equal(s.server.observers, 0)
  s.server.close()
})

test('sends only the last of the states that came while a notification was under way', async () => {
  const s = setup()
  await s.ask(GET, 'state', [uintOption(OBSERVE, 0)])
  const before = s.heard.length
  for (const value of ['two', 'three', 'four']) {
    s.state.value = value
    s.server.changed('state')
  }
  await s.network.run()
  assert.equal(s.heard.length, before + 1)
  s.network.inject('device', 'gateway', encode(ACK, 0, s.heard.at(-1)?.id ?? 0))
  await s.network.run()
  assert.equal(s.heard.at(-1)?.payload.toString(), 'four')
  assert.equal(s.heard.length, before + 2)
  s.server.close()
})

test('forgets an observer that refuses a notification, and one that does not answer', async () => {
  const s = setup()
  await s.ask(GET, 'state', [uintOption(OBSERVE, 0)])
  s.server.changed('state')
  await s.network.run()
  s.network.inject('device', 'gateway', encode(RST, 0, s.heard.at(-1)?.id ?? 0))
  await s.network.run()
  assert.equal(s.server.observers, 0)
  await s.ask(GET, 'state', [uintOption(OBSERVE, 0)])
  s.server.changed('state')
  await s.clock.advance(100_000)
  assert.equal(s.server.observers, 0)
  s.server.close()
})

test('forgets an observer whose first response never arrived', async () => {
  const s = setup()
  for (const type of [CON, NON] as const) {
    const register = encode(type, GET, 1, TOKEN, [...uriOptions('state'), uintOption(OBSERVE, 0)])
    s.network.inject(`nobody-${type}`, 'gateway', register)
  }
  await s.network.run()
  assert.equal(s.server.observers, 2)
  await s.clock.advance(100_000)
  assert.equal(s.server.observers, 0)
  s.server.close()
})

test('serves beyond its limit of observers, without observing', async () => {
  const s = setup({ maxObservers: 1 })
  await s.ask(GET, 'state', [uintOption(OBSERVE, 0)], undefined, { token: Buffer.from([1]) })
  const second = await s.ask(GET, 'state', [uintOption(OBSERVE, 0)], undefined, { token: Buffer.from([2]) })
  assert.equal(second?.payload.toString(), 'one')
  assert.equal(find(second?.options ?? [], OBSERVE), undefined)
  s.server.close()
})
