import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import { after, before, beforeEach, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { BusyError } from '../../gateway/errors.ts'
import { type Served, serve } from './serve.ts'

describe('telemetry over HTTP', () => {
  let served: Served
  before(async () => {
    served = await serve({ maxBody: 1000 })
  })
  after(() => served.server.stop())
  beforeEach(() => {
    served.api.taken.length = 0
    served.api.take = async () => ({})
  })

  const post = (path: string, body: string | Buffer, headers: Record<string, string> = {}) =>
    served.ask('POST', path, { body, headers })

  test('answers 204 when the message is durable, with the topic of its path', async () => {
    const answer = await post('/api/telemetry/dvc3001', '{"cpu":51}', {
      'content-type': 'application/json; charset=utf-8',
    })
    assert.equal(answer.status, 204)
    assert.equal(answer.text, '')
    const [taken] = served.api.taken
    assert.deepEqual(
      [taken?.topic, String(taken?.body), taken?.contentType],
      ['telemetry/dvc3001', '{"cpu":51}', 'application/json'],
    )
  })

  test('takes a stream, and names in any script', async () => {
    await post('/api/telemetry/dvc3001/temperature', '20.5')
    await post(`/api/telemetry/${encodeURIComponent('Fühler 1')}`, '20.5')
    assert.deepEqual(
      served.api.taken.map((one) => one.topic),
      ['telemetry/dvc3001/temperature', 'telemetry/Fühler 1'],
    )
  })

  test('takes any content type unparsed, broken JSON and no body too', async () => {
    for (const type of [
      'application/json',
      'text/csv',
      'application/senml+cbor',
      'x',
      'multipart/form-data; boundary=x',
    ])
      assert.equal((await post('/api/telemetry/a', '{"broken', { 'content-type': type })).status, 204, type)
    assert.equal((await post('/api/telemetry/a', Buffer.from([0, 255, 1]))).status, 204)
    assert.deepEqual([...(served.api.taken.at(-1)?.body ?? [])], [0, 255, 1])
    assert.equal((await post('/api/telemetry/a', '')).status, 204)
    assert.equal(served.api.taken.at(-1)?.body.length, 0)
  })

  test('curl says "form" of whatever it sends, and that is not believed', async () => {
    await post('/api/telemetry/a', '{"a":1}', { 'content-type': 'application/x-www-form-urlencoded' })
    assert.equal(served.api.taken[0]?.contentType, undefined)
  })

  test('gzip is passed as it is, other encodings are refused', async () => {
    const body = gzipSync('{"cpu":51}')
    assert.equal((await post('/api/telemetry/a', body, { 'content-encoding': 'gzip' })).status, 204)
    assert.deepEqual(served.api.taken[0]?.body, body)
    assert.equal((await post('/api/telemetry/a', body, { 'content-encoding': 'br' })).status, 415)
    assert.equal(served.api.taken.length, 1)
  })

  test('answers 400 with the reason for what is kept as a dead letter', async () => {
    served.api.take = async () => ({ dead: 'json: unexpected end' })
    const answer = await post('/api/telemetry/a', '{')
    assert.deepEqual([answer.status, answer.json], [400, { code: 'SLUICE_DECODE', message: 'json: unexpected end' }])
  })

  test('refuses names that are no topic level', async () => {
    for (const name of ['a%2Fb', '%23', 'a+b', '%00'])
      assert.equal((await post(`/api/telemetry/${name}`, '1')).json.code, 'SLUICE_TOPIC', name)
    assert.ok([400, 404, 414].includes((await post(`/api/telemetry/${'x'.repeat(2000)}`, '1')).status))
    assert.equal((await post('/api/telemetry/%E0%A4%A', '1')).json.code, 'SLUICE_BAD_REQUEST')
    assert.equal(served.api.taken.length, 0)
  })

  test('answers 413 beyond the limit, whether the length is announced or not', async () => {
    assert.equal((await post('/api/telemetry/a', 'x'.repeat(1001))).json.code, 'SLUICE_TOO_LARGE')
    const chunked = { 'transfer-encoding': 'chunked' }
    assert.equal((await post('/api/telemetry/a', 'x'.repeat(1001), chunked)).status, 413)
    assert.equal((await post('/api/telemetry/a', 'x'.repeat(1000))).status, 204)
  })

  test('answers 413 also to a client that reads only after it has sent everything', async () => {
    const socket = connect(served.port, '127.0.0.1')
    const body = Buffer.alloc(4 * 1024 * 1024, 'x')
    socket.write(`POST /api/telemetry/a HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}\r\n\r\n`)
    await new Promise<void>((sent, failed) => socket.write(body, (error) => (error ? failed(error) : sent())))
    const [answer] = await once(socket, 'data')
    socket.destroy()
    assert.match(String(answer), /^HTTP\/1.1 413 /)
  })

  test('answers 503 with Retry-After when there is no room', async () => {
    served.api.take = async () => {
      throw new BusyError('SLUICE_BUSY', 'the journal has no room')
    }
    const answer = await post('/api/telemetry/a', '1')
    assert.deepEqual([answer.status, answer.json.code, answer.headers['retry-after']], [503, 'SLUICE_BUSY', '1'])
  })

  test('answers 503 when the message is not durable within ten seconds', async () => {
    const calls = new EventEmitter()
    served.api.take = () => {
      calls.emit('call')
      return new Promise(() => undefined)
    }
    const calling = once(calls, 'call')
    const answering = post('/api/telemetry/a', '1')
    await calling
    await served.clock.advance(9_999)
    assert.equal(await Promise.race([answering, Promise.resolve('waits')]), 'waits')
    await served.clock.advance(1)
    const answer = await answering
    assert.deepEqual([answer.status, answer.json.code, answer.headers['retry-after']], [503, 'SLUICE_NOT_DURABLE', '1'])
  })

  test('answers 503 before it reads more than it can hold, and recovers when senders are served', async () => {
    const large = await serve({ maxBody: 8 * 1024 * 1024 })
    const arrivals = new EventEmitter()
    let settle = () => undefined as unknown
    const settled = new Promise<object>((resolve) => {
      settle = () => resolve({})
    })
    large.api.take = () => {
      arrivals.emit('arrival')
      return settled
    }
    const body = Buffer.alloc(8 * 1024 * 1024)
    const waiting = []
    for (let i = 0; i < 4; i++) {
      const arrival = once(arrivals, 'arrival')
      waiting.push(large.ask('POST', '/api/telemetry/a', { body }))
      await arrival
    }
    const refused = await large.ask('POST', '/api/telemetry/a', { body: '1' })
    assert.deepEqual([refused.status, refused.json.code, refused.headers['retry-after']], [503, 'SLUICE_BUSY', '1'])
    settle()
    for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 204)
    assert.equal((await large.ask('POST', '/api/telemetry/a', { body: '1' })).status, 204)
    await large.server.stop()
  })
})
