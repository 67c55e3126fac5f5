import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACK, CON, type CoapMessage, decode, encode, type MessageType, NON } from '../../../plugins/coap/codec.ts'
import { uintOf, uintOption, uriOptions } from '../../../plugins/coap/options.ts'
import { createRandom } from './network.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

function message(data: Buffer): CoapMessage {
  const decoded = decode(data)
  assert.ok(typeof decoded !== 'string', String(decoded))
  return decoded
}

test('reads the exchange of RFC 7252 figure 16: GET /temperature and its response', () => {
  const request = message(hex('40 01 7d34 bb 74656d7065726174757265'))
  assert.equal(request.type, CON)
  assert.equal(request.code, 0x01)
  assert.equal(request.id, 0x7d34)
  assert.deepEqual(request.options, [{ number: 11, value: Buffer.from('temperature') }])
  const response = message(hex('60 45 7d34 ff 32322e332043'))
  assert.equal(response.type, ACK)
  assert.equal(response.payload.toString(), '22.3 C')
})

test('writes what it reads, byte for byte, with deltas and lengths of every size', () => {
  const random = createRandom(7252)
  const sizes = [0, 1, 8, 12, 13, 14, 255, 268, 269, 270, 1000]
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  for (let i = 0; i < 2000; i++) {
    const options = Array.from({ length: Math.floor(random() * 6) }, () => ({
      number: pick([1, 11, 12, 13, 14, 60, 252, 268, 269, 282, 1000, 65535]),
      value: Buffer.alloc(pick(sizes), 1 + (i % 200)),
    }))
    const token = Buffer.alloc(Math.floor(random() * 9), i)
    const payload = Buffer.alloc(pick([0, 1, 100]), 7)
    const data = encode(pick([CON, NON]) as MessageType, 0x02, i, token, options, payload)
    const read = message(data)
    assert.deepEqual(read.token, token)
    assert.deepEqual(read.payload, payload)
    assert.deepEqual(
      read.options,
      [...options].sort((a, b) => a.number - b.number),
    )
    assert.ok(encode(read.type, read.code, read.id, read.token, read.options, read.payload).equals(data))
  }
})

const malformed: Readonly<Record<string, string>> = {
  'a header cut short': '40 01 00',
  'version 0': '00 01 0001',
  'version 2': '80 01 0001',
  'token length 9': '49 01 0001 010203040506070809',
  'token length 15': '4f 01 0001 0102030405060708090a0b0c0d0e0f',
  'a token cut short': '44 01 0001 0102',
  'an empty message with a token': '41 00 0001 01',
  'an empty message with more bytes': '40 00 0001 ff 01',
  'a code of class 1': '40 20 0001',
  'a code of class 6': '40 c0 0001',
  'a code of class 7': '40 e1 0001',
  'an option longer than the datagram': '40 01 0001 b5 6162',
  'an option delta of 15': '40 01 0001 f1 61',
  'an option length of 15': '40 01 0001 1f 61',
  'an extended delta without its byte': '40 01 0001 d0',
  'an extended delta without its second byte': '40 01 0001 e0 01',
  'an extended length without its byte': '40 01 0001 1d',
  'an extended length without its second byte': '40 01 0001 1e 01',
  'an option number above 65535': '40 01 0001 e0 ffff',
  'a payload marker without a payload': '40 01 0001 ff',
  'a payload marker without a payload after options': '40 01 0001 b1 61 ff',
}
for (const [name, text] of Object.entries(malformed))
  test(`refuses ${name}`, () => assert.equal(typeof decode(hex(text)), 'string'))

test('reads numbers in as few bytes as they were written in', () => {
  for (const n of [0, 1, 255, 256, 65535, 65536, 16777216, 4294967295]) {
    const { value } = uintOption(60, n)
    assert.equal(uintOf(value), n)
    assert.equal(value.length, n === 0 ? 0 : Math.ceil(Math.log2(n + 1) / 8))
  }
  assert.equal(uintOf(hex('00000005')), 5)
})

test('splits a path into its segments, percent-encoded where they hold a slash', () => {
  const segments = (path: string) => uriOptions(path).map((o) => o.value.toString())
  assert.deepEqual(segments('/a/b'), ['a', 'b'])
  assert.deepEqual(segments('a%2Fb/c'), ['a/b', 'c'])
  assert.deepEqual(segments('/'), [])
  assert.deepEqual(segments(''), [])
})
