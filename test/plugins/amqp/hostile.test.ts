import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { amqp } from '../../../plugins/amqp/index.ts'
import { createGuard } from '../../../plugins/amqp/listener/guard.ts'
import { AMQP_HEADER, readPlain, SASL_HEADER } from '../../../plugins/amqp/listener/sasl.ts'
import { readMessage } from '../../../plugins/amqp/message.ts'
import { MalformedError, skip } from '../../../plugins/amqp/types.ts'
import { FakeClock } from '../../support/clock.ts'
import { create, pluginContext, within } from '../contract.ts'
import { type Recorder, recorder } from './emit.ts'

interface Listening {
  readonly port: number
  readonly to: Recorder
  readonly counts: Map<string, number>
}

async function listening(t: TestContext, options: object = {}, more: object = {}): Promise<Listening> {
  const counts = new Map<string, number>()
  const metrics = {
    count: (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    gauge: () => {},
  }
  const { source } = create(amqp, { listen: '127.0.0.1:0', ...options }, pluginContext({ metrics, ...more }))
  assert.ok(source?.ports)
  const to = recorder()
  const control = new AbortController()
  const ended = source.run(to.emit, control.signal)
  t.after(async () => {
    control.abort(new Error('stopping'))
    await ended
  })
  while (source.ports().peer === undefined) await new Promise((resolve) => setImmediate(resolve))
  return { port: source.ports().peer as number, to, counts }
}

interface Peer {
  readonly socket: Socket
  /** All that was received when the other side has hung up. */
  readonly ended: Promise<Buffer>
  /** Resolves when so many bytes have come. */
  received(bytes: number): Promise<Buffer>
}

async function dial(t: TestContext, port: number): Promise<Peer> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  let all = Buffer.alloc(0)
  let look = () => {}
  socket.on('data', (chunk) => {
    all = Buffer.concat([all, chunk])
    look()
  })
  const ended = new Promise<Buffer>((resolve) => socket.once('close', () => resolve(all)))
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  const received = (bytes: number) =>
    new Promise<Buffer>((resolve) => {
      look = () => {
        if (all.length >= bytes) resolve(all)
      }
      look()
    })
  return {
    socket,
    ended: within(5000, 'hanging up', ended),
    received: (bytes) => within(5000, 'coming', received(bytes)),
  }
}

/** A frame of channel 0 whose performative is a list8 of the bytes given. */
function frame(descriptor: number, count: number, fields: readonly number[], payload: Uint8Array = Buffer.alloc(0)) {
  const body = Buffer.from([0, 0x53, descriptor, 0xc0, fields.length + 1, count, ...fields])
  const head = Buffer.from([0, 0, 0, 0, 2, 0, 0, 0])
  head.writeUInt32BE(head.length + body.length + payload.length)
  return Buffer.concat([head, body, payload])
}

const text = (value: string) => [0xa1, value.length, ...Buffer.from(value)]
const OPEN = frame(0x10, 1, text('peer'))
const BEGIN = frame(0x11, 4, [0x40, 0x43, 0x52, 100, 0x52, 100])
/** A link of handle 0 on which we send to telemetry/d1. */
const ATTACH = frame(0x12, 7, [
  ...[...text('link'), 0x43, 0x42, 0x40, 0x40, 0x40],
  ...[0, 0x53, 0x29, 0xc0, 15, 1, ...text('telemetry/d1')],
])
const ATTACHED = Buffer.concat([AMQP_HEADER, OPEN, BEGIN, ATTACH])
const DATA = Buffer.from([0, 0x53, 0x75, 0xa0, 1, 0x31])

const transfer = (id: number, more: boolean, payload: Buffer) =>
  frame(0x14, 6, [0x43, 0x52, id, 0xa0, 1, id, 0x43, 0x42, more ? 0x41 : 0x42], payload)

describe('amqp listener and hostile peers', () => {
  it('hangs up on a frame that is too large, before it has asked who it is', async (t) => {
    const { port, counts } = await listening(t, { users: { a: { password: 'b' } } })
    const peer = await dial(t, port)
    peer.socket.write(Buffer.concat([SASL_HEADER, Buffer.from([0x0c, 0, 0, 0, 2, 1, 0, 0])]))
    await peer.ended
    assert.equal(counts.get('refused_malformed'), 1)
  })

  it('says what it speaks to who speaks something else, or skips the log-in', async (t) => {
    const { port } = await listening(t, { users: { a: { password: 'b' } } })
    for (const header of [Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'), AMQP_HEADER]) {
      const peer = await dial(t, port)
      peer.socket.write(header)
      assert.deepEqual(await peer.ended, SASL_HEADER)
    }
    const peer = await dial(t, port)
    peer.socket.write('GET / HTTP/1.1\r\n\r\n')
    await peer.ended
  })

  it('hangs up on who says nothing, or stops in the middle', async (t) => {
    const clock = new FakeClock()
    const { port, counts } = await listening(t, { anonymous: true }, { clock })
    const silent = await dial(t, port)
    const slow = await dial(t, port)
    slow.socket.write(SASL_HEADER)
    await slow.received(SASL_HEADER.length)
    const halfway = await dial(t, port)
    halfway.socket.write(AMQP_HEADER)
    // A further peer is answered: those before it have been heard.
    const last = await dial(t, port)
    last.socket.write(SASL_HEADER)
    await last.received(SASL_HEADER.length)
    clock.advance(10_001)
    await Promise.all([silent, slow, halfway, last].map(({ ended }) => ended))
    assert.equal(counts.get('refused_timeout'), 3)
  })

  it('takes a message from a peer that says no more than it must', async (t) => {
    const { port, to } = await listening(t)
    const peer = await dial(t, port)
    peer.socket.write(Buffer.concat([ATTACHED, transfer(0, false, DATA)]))
    await within(3000, 'arriving', to.count(1))
    assert.deepEqual(to.taken, [{ topic: 'telemetry/d1', text: '1', contentType: undefined }])
  })

  it('hangs up on a message in endless parts', async (t) => {
    const { port, counts } = await listening(t, { maxMessage: 65_536 })
    const peer = await dial(t, port)
    peer.socket.write(ATTACHED)
    const part = transfer(0, true, Buffer.alloc(16_384))
    for (let i = 0; i < 5; i++) peer.socket.write(part)
    await peer.ended
    assert.equal(counts.get('violations'), 1)
  })

  it('puts a message in parts together, and hangs up on one that is cut short', async (t) => {
    const { port, to, counts } = await listening(t)
    const peer = await dial(t, port)
    const [head, tail] = [DATA.subarray(0, 3), DATA.subarray(3)]
    // Only the first frame of a delivery must say which it is.
    const last = frame(0x14, 1, [0x43], tail)
    peer.socket.write(Buffer.concat([ATTACHED, transfer(0, true, head), last, transfer(1, true, head)]))
    await within(3000, 'arriving', to.count(1))
    assert.equal(to.taken[0]?.text, '1')
    peer.socket.write(transfer(2, false, DATA))
    await peer.ended
    assert.equal(counts.get('violations'), 1)
  })

  it('hangs up on a transfer on no link, out of turn, or aborted', async (t) => {
    const { port } = await listening(t)
    const aborted = frame(0x14, 10, [0x43, 0x43, 0xa0, 1, 0, 0x43, 0x42, 0x42, 0x40, 0x40, 0x40, 0x41], DATA)
    for (const wrong of [
      Buffer.concat([AMQP_HEADER, OPEN, BEGIN, transfer(0, false, DATA)]),
      Buffer.concat([ATTACHED, transfer(0, false, DATA), transfer(5, false, DATA)]),
      Buffer.concat([ATTACHED, aborted]),
    ]) {
      const peer = await dial(t, port)
      peer.socket.write(wrong)
      await peer.ended
    }
  })

  it('hangs up on who sends without credit', async (t) => {
    const { port, to, counts } = await listening(t, { credit: 3 })
    to.automatic = false
    const peer = await dial(t, port)
    peer.socket.write(Buffer.concat([ATTACHED, ...[0, 1, 2, 3].map((id) => transfer(id, false, DATA))]))
    await peer.ended
    assert.equal(to.taken.length, 3)
    to.settle()
    assert.ok(counts.get('violations'))
  })

  it('hangs up on who opens too many sessions or links', async (t) => {
    const { port } = await listening(t)
    const many = await dial(t, port)
    const begin = (channel: number) => {
      const bytes = Buffer.from(BEGIN)
      bytes.writeUInt16BE(channel, 6)
      return bytes
    }
    many.socket.write(Buffer.concat([AMQP_HEADER, OPEN, ...Array.from({ length: 17 }, (_, i) => begin(i))]))
    await many.ended
    const linked = await dial(t, port)
    const attach = (handle: number) =>
      frame(0x12, 3, [...text(`l${handle}`), 0x70, 0, 0, handle >> 8, handle & 0xff, 0x42])
    const attaches = Array.from({ length: 257 }, (_, i) => attach(i))
    linked.socket.write(Buffer.concat([AMQP_HEADER, OPEN, BEGIN, ...attaches]))
    await linked.ended
  })

  it('admits no more connections than it should', async (t) => {
    const { port, counts } = await listening(t, { connectionsPerAddress: 2 })
    await dial(t, port)
    await dial(t, port)
    const third = await dial(t, port)
    await third.ended
    assert.equal(counts.get('refused_connections'), 1)
  })

  it('goes on for others while garbage is thrown at it', async (t) => {
    const { port, to } = await listening(t)
    let seed = 1
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
      return seed >> 8
    }
    const good = Buffer.concat([ATTACHED, transfer(0, false, DATA)])
    const peers = []
    for (let i = 0; i < 100; i++) {
      const bytes = Buffer.from(good)
      for (let n = random() % 4; n >= 0; n--) bytes[8 + (random() % (bytes.length - 8))] = random() & 0xff
      const peer = await dial(t, port)
      peer.socket.end(bytes)
      peers.push(peer.ended)
    }
    await Promise.all(peers)
    const before = to.taken.length
    const peer = await dial(t, port)
    peer.socket.write(good)
    await within(3000, 'arriving', to.count(before + 1))
  })
})

describe('amqp guard', () => {
  /** Bytes for the library as they come, each transfer in its place as a line. */
  const through = (chunks: readonly Buffer[]): string => {
    let out = ''
    const guard = createGuard({
      frame: 1024,
      frames: (frames) => {
        out += frames.toString('hex')
      },
      transfer: ({ channel, handle, id, settled, more }, buffer, start, end) => {
        out += `\n${channel} ${handle} ${id} ${settled} ${more} ${buffer.toString('hex', start, end)}\n`
      },
    })
    for (const chunk of chunks) guard.push(chunk)
    return out
  }

  it('lets whole frames through, however they are cut', () => {
    const flow = frame(0x13, 0, [])
    const bytes = Buffer.concat([ATTACHED, transfer(0, true, DATA), transfer(7, false, DATA), flow])
    const transfers = `\n0 0 0 false true ${DATA.toString('hex')}\n\n0 0 7 false false ${DATA.toString('hex')}\n`
    const whole = `${ATTACHED.toString('hex')}${transfers}${flow.toString('hex')}`
    for (let cut = 0; cut <= bytes.length; cut++)
      assert.equal(through([bytes.subarray(0, cut), bytes.subarray(cut)]), whole)
    assert.equal(through(Array.from(bytes, (byte) => Buffer.from([byte]))), whole)
    assert.equal(through([bytes.subarray(0, bytes.length - 1)]), whole.slice(0, -flow.toString('hex').length))
  })

  it('refuses what would cost more than its bytes', () => {
    const empty = [0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40]
    const range = [0x41, 0x43, 0x70, 0xff, 0xff, 0xff, 0xff]
    const nested = Array.from({ length: 40 }, (_, i) => [0xc0, 2 * (40 - i), 1]).flat()
    const symbolic = Buffer.from([0, 0, 0, 16, 2, 0, 0, 0, 0, 0xa3, 4, 0x6f, 0x70, 0x65, 0x6e, 0x45])
    for (const [what, bytes] of Object.entries({
      'an array of nothing': frame(0x10, 1, empty),
      'a disposition of everything': frame(0x15, 3, range),
      'lists in lists': frame(0x10, 1, nested),
      'a list beyond its frame': frame(0x10, 200, []),
      'a descriptor in letters': symbolic,
      'a frame too large': Buffer.from([0, 0, 4, 1, 2, 0, 0, 0]),
      'a frame too small': Buffer.from([0, 0, 0, 7, 2, 0, 0, 0]),
      'a data offset beyond the frame': Buffer.from([0, 0, 0, 8, 9, 0, 0, 0]),
    }))
      assert.throws(() => through([bytes]), MalformedError, what)
  })

  it('reads no message beyond its end, whatever stands in it', () => {
    const message = Buffer.concat([
      Buffer.from([0, 0x53, 0x73, 0xc0, 12, 3, 0x40, 0x40, 0xa1, 7, ...Buffer.from('a/topic')]),
      DATA,
    ])
    assert.deepEqual(readMessage(message), {
      messageId: undefined,
      to: 'a/topic',
      correlationId: undefined,
      contentType: undefined,
      body: Buffer.from('1'),
    })
    for (let cut = 0; cut < message.length; cut++)
      assert.throws(() => readMessage(message.subarray(0, cut)), MalformedError, String(cut))
    for (let i = 0; i < message.length; i++)
      for (let value = 0; value < 256; value++) {
        const changed = Buffer.from(message)
        changed[i] = value
        try {
          readMessage(changed)
        } catch (error) {
          assert.ok(error instanceof MalformedError)
        }
      }
    assert.throws(() => skip(Buffer.from([0x30]), 0, 1), MalformedError)
  })

  it('reads a name and a password, and nobody in the name of another', () => {
    const plain = (raw: string) => readPlain(Buffer.from(raw))
    assert.deepEqual(plain('\0a\0b'), { user: 'a', password: Buffer.from('b') })
    assert.deepEqual(plain('a\0a\0'), { user: 'a', password: Buffer.alloc(0) })
    for (const wrong of ['', 'a', '\0a', '\0\0b', 'b\0a\0c', '\0a\0b\0c']) assert.equal(plain(wrong), undefined)
  })
})
