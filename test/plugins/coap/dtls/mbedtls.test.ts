// A client on Mbed TLS with Connection IDs (RFC 9146), built by test/peers/mbedtls.sh.
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { before, describe, test } from 'node:test'
import { decode, encode, NON } from '../../../../plugins/coap/codec.ts'
import { CHANGED, POST } from '../../../../plugins/coap/codes.ts'
import { CONTENT_FORMAT, uintOption, uriOptions } from '../../../../plugins/coap/options.ts'
import { absent, built, run } from '../../lwm2m/built.ts'
import { KEY, start } from '../gateway.ts'

const key = KEY.toString('hex')
const options = [...uriOptions('telemetry/d'), uintOption(CONTENT_FORMAT, 50)]
const reading = (n: number) =>
  encode(NON, POST, n, Buffer.from([7]), options, Buffer.from(`{"n":${n}}`)).toString('hex')

describe('a client on Mbed TLS', { skip: absent('MBEDTLS') }, () => {
  let program = ''
  before(() => {
    program = built('mbedtls', 'MBEDTLS')
  })

  for (const own of ['', 'a1b2c3'])
    test(`keeps its session at another address, with ${own === '' ? 'no' : 'a'} Connection ID of its own`, async (t) => {
      const gateway = await start(t, {}, `meter:${key}\n`)
      const { child, type } = run(t, program, [String(gateway.dtlsPort), 'meter', key, own])
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      const next = async () => (await lines.next()).value as string
      assert.match(await next(), /^cid [0-9a-f]+$/, 'the gateway gave it one')
      for (const n of [1, 2, 3]) {
        type(reading(n))
        const answer = decode(Buffer.from(await next(), 'hex'))
        assert.equal(typeof answer !== 'string' && answer.code, CHANGED)
        type('move')
      }
      assert.deepEqual(
        gateway.taken.map(({ message }) => Buffer.from(message.payload).toString()),
        ['{"n":1}', '{"n":2}', '{"n":3}'],
      )
    })

  test('speaks without Connection IDs to a gateway that has them off', async (t) => {
    const gateway = await start(t, {}, `meter:${key}\n`, { connectionId: false })
    const { child } = run(t, program, [String(gateway.dtlsPort), 'meter', key, 'a1b2c3'])
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    assert.equal((await lines.next()).value, 'cid none')
  })
})
