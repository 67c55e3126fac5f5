import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReassembly, readFragment, writeMessage } from '../../../../plugins/coap/dtls/handshake.ts'
import { readClientHello, writeClientHello } from '../../../../plugins/coap/dtls/hello.ts'
import { parsePskFile } from '../../../../plugins/coap/dtls/psk-file.ts'
import { createReplayWindow, isFresh, markSeen } from '../../../../plugins/coap/dtls/replay-window.ts'
import { createRandom } from '../network.ts'

test('the replay window agrees with remembering everything', () => {
  const random = createRandom(4121)
  const window = createReplayWindow()
  const seen = new Set<number>()
  let newest = -1
  for (let i = 0; i < 20_000; i++) {
    const jump = random() < 0.02 ? 100 : 3
    const sequence = Math.max(0, newest + Math.floor((random() - 0.8) * 80 * random()) + Math.floor(random() * jump))
    const expected = sequence > newest || (newest - sequence < 64 && !seen.has(sequence))
    assert.equal(isFresh(window, sequence), expected, `${sequence} after ${newest}`)
    if (!expected) continue
    assert.equal(markSeen(window, sequence), sequence > newest)
    seen.add(sequence)
    newest = Math.max(newest, sequence)
  }
})

test('the replay window works up to the last of 48 bits', () => {
  const window = createReplayWindow()
  const last = 2 ** 48 - 1
  markSeen(window, last - 1)
  assert.ok(isFresh(window, last))
  markSeen(window, last)
  assert.ok(!isFresh(window, last - 1))
  assert.ok(isFresh(window, last - 2))
})

test('fragments that contradict each other do not make a message', () => {
  const reassembly = createReassembly(0)
  const whole = writeMessage(1, 0, Buffer.alloc(10, 1))
  const other = writeMessage(2, 0, Buffer.alloc(10, 1))
  assert.ok(reassembly.add(readFragment(whole.subarray(0, 22), 0) ?? assert.fail()))
  assert.ok(!reassembly.add(readFragment(other, 0) ?? assert.fail()))
  assert.equal(reassembly.next()?.type, 1)
  assert.ok(!reassembly.add(readFragment(whole, 0) ?? assert.fail()), 'it was taken')
})

test('a fragment that comes twice does not stand for one that is missing', () => {
  const reassembly = createReassembly(0)
  const whole = writeMessage(1, 0, Buffer.from('abcdefghij'))
  const part = (from: number, to: number) => {
    const head = Buffer.from(whole.subarray(0, 12))
    head.writeUIntBE(from, 6, 3)
    head.writeUIntBE(to - from, 9, 3)
    return readFragment(Buffer.concat([head, whole.subarray(12 + from, 12 + to)]), 0) ?? assert.fail()
  }
  reassembly.add(part(0, 5))
  reassembly.add(part(0, 5))
  assert.equal(reassembly.next(), undefined)
  reassembly.add(part(3, 10))
  assert.equal(reassembly.next()?.body.toString(), 'abcdefghij')
})

test('a fragment beyond its message, or of a message too long, is none', () => {
  const message = writeMessage(1, 0, Buffer.alloc(10))
  const beyond = Buffer.from(message)
  beyond.writeUIntBE(5, 6, 3)
  assert.equal(readFragment(beyond, 0), undefined)
  const long = Buffer.from(message)
  long.writeUIntBE(1_000_000, 1, 3)
  assert.equal(readFragment(long, 0), undefined)
  assert.equal(readFragment(message.subarray(0, 15), 0), undefined)
})

test('a ClientHello is read as it was written, and not when anything is missing', () => {
  const body = writeClientHello(Buffer.alloc(32, 7), Buffer.alloc(16, 8), [0xc0a8, 0xff], [[54, Buffer.from([0])]])
  const hello = readClientHello(body)
  assert.deepEqual(hello?.suites, [0xc0a8, 0xff])
  assert.deepEqual(hello?.extensions.get(54), Buffer.from([0]))
  for (let length = 0; length < body.length; length++)
    if (length !== body.length - 7) assert.equal(readClientHello(body.subarray(0, length)), undefined, String(length))
})

test('the key file has an identity and a key a line, and rights after them', () => {
  const { entries, badLines } = parsePskFile(
    [
      '# keys',
      '',
      'sensor-7:00112233445566778899aabbccddeeff',
      'urn:imei:123:AABBCCDD  publish=urn:imei:123,b* command=',
      'two words:aabbccdd',
      'no key',
      'odd:abc',
      'short:aa',
      'sensor-7:00112233',
    ].join('\r\n'),
  )
  assert.deepEqual([...entries.keys()], ['sensor-7', 'urn:imei:123', 'two words'])
  assert.deepEqual(entries.get('urn:imei:123')?.rights.get('publish'), ['urn:imei:123', 'b*'])
  assert.deepEqual(entries.get('urn:imei:123')?.rights.get('command'), [])
  assert.equal(entries.get('sensor-7')?.rights.get('publish'), undefined)
  assert.deepEqual(badLines, [6, 7, 8, 9])
})
