import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { type TestContext, test } from 'node:test'
import { seeded } from '../../examples/random.ts'
import { CON, decode, encode } from '../../plugins/coap/codec.ts'
import { CHANGED, POST } from '../../plugins/coap/codes.ts'
import { CONTENT_FORMAT, uintOption, uriOptions } from '../../plugins/coap/options.ts'
import { createSite, runCommand, type Site } from '../support/gateway-process.ts'

/** A sensor whose address and port stay the same over the gateway's crashes. */
interface Sensor {
  readonly socket: Socket
  /** Sends as a retransmission would be sent; resolves with the code of the answer. */
  send(port: number, datagram: Buffer): Promise<number>
}

async function sensor(t: TestContext): Promise<Sensor> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const waiting = new Map<number, (code: number) => void>()
  socket.on('message', (data) => {
    const message = decode(data)
    if (typeof message !== 'string') waiting.get(message.id)?.(message.code)
  })
  t.after(() => socket.close())
  return {
    socket,
    send(port, datagram) {
      const answer = new Promise<number>((resolve) => waiting.set(datagram.readUInt16BE(2), resolve))
      socket.send(datagram, port, '127.0.0.1')
      return answer
    },
  }
}

function reading(id: number, value: number): Buffer {
  const options = [...uriOptions('telemetry/d'), uintOption(CONTENT_FORMAT, 50)]
  return encode(CON, POST, id, Buffer.from([7]), options, Buffer.from(`{"n":${value}}`))
}

function siteFor(t: TestContext): Site {
  const site = createSite({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    sources: { coap: { coap: { listen: '127.0.0.1:0' } } },
    log: { level: 'warn' },
  })
  t.after(() => site.remove())
  return site
}

/** Messages of the journal, by the audit of the data directory. */
async function taken(site: Site): Promise<number> {
  const { code, out, err } = await runCommand(['audit', '--data', site.data, '--json'])
  assert.equal(code, 0, `${out}${err}`)
  const { sources } = JSON.parse(out) as { sources: { source: string; in: number }[] }
  return sources.find(({ source }) => source === 'coap')?.in ?? 0
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const)
  test(`${signal} after a confirmable reading was taken: sent again it is answered, and not taken again`, async (t) => {
    const site = siteFor(t)
    const { send } = await sensor(t)
    const first = await site.start()
    assert.equal(await send(first.ports.coap as number, reading(9, 1)), CHANGED)
    await first.kill(signal)

    const second = await site.start()
    const port = second.ports.coap as number
    assert.equal(await send(port, reading(9, 1)), CHANGED)
    assert.equal(await send(port, reading(10, 1)), CHANGED, 'another message id is another reading')
    assert.equal(await send(port, reading(9, 2)), CHANGED, 'so is another body')
    assert.equal(await (await sensor(t)).send(port, reading(9, 1)), CHANGED, 'and what another sensor sends')
    await second.kill('SIGKILL')
    assert.equal(await taken(site), 4)
  })

test('kill -9 at any moment after a confirmable reading: sent again, it is taken once', async (t) => {
  const site = siteFor(t)
  const { socket, send } = await sensor(t)
  const random = seeded(20_261_127)
  const cycles = 5
  const each = 20
  let gateway = await site.start()
  for (let cycle = 0; cycle < cycles; cycle++) {
    const readings = Array.from({ length: each }, (_, i) => reading(cycle * each + i, cycle * each + i))
    for (const datagram of readings) socket.send(datagram, gateway.ports.coap as number, '127.0.0.1')
    // The moment of the crash is the experiment itself, so this waits for time: about as long as a commit takes.
    await new Promise((resolve) => setTimeout(resolve, random() * 12))
    await gateway.kill('SIGKILL')
    gateway = await site.start()
    const { coap = 0 } = gateway.ports
    const answers = await Promise.all(readings.map((datagram) => send(coap, datagram)))
    assert.ok(answers.every((code) => code === CHANGED))
  }
  await gateway.kill('SIGKILL')
  assert.equal(await taken(site), cycles * each)
})
