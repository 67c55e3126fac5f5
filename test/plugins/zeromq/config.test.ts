import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { config } from '../../../plugins/zeromq/config.ts'
import { decodeZ85, encodeZ85 } from '../../../plugins/zeromq/z85.ts'

const KEY = encodeZ85(Buffer.alloc(32, 7))

function complaints(options: object): string[] {
  const parsed = config.safeParse(options)
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('zeromq config', () => {
  it('takes an endpoint, a list of them, or places to listen and to connect to', () => {
    const { pull, push, pub } = config.parse({
      pull: 'tcp://127.0.0.1:5557',
      push: ['tcp://10.0.0.1:1', 'ipc:///run/x'],
    })
    assert.deepEqual(
      pull?.listen.map(({ host, port }) => [host, port]),
      [['127.0.0.1', 5557]],
    )
    assert.deepEqual(
      push?.connect.map(({ port, path }) => path ?? port),
      [1, '/run/x'],
    )
    assert.equal(pub, undefined)
    const both = config.parse({ pull: { listen: 'tcp://[::1]:0', connect: 'tcp://host:5' } })
    assert.equal(both.pull?.listen[0]?.host, '::1')
    assert.equal(both.pull?.connect[0]?.host, 'host')
  })

  it('lets nobody listen wider than this machine without credentials', () => {
    for (const open of ['tcp://0.0.0.0:5557', 'tcp://*:5557', 'tcp://192.168.1.2:5557', 'tcp://[::]:5557']) {
      assert.match(complaints({ pull: open })[0] ?? '', /^pull: .*without credentials.*`anonymous: true`/)
      assert.deepEqual(complaints({ pull: open, anonymous: true }), [])
      assert.deepEqual(complaints({ pull: open, plain: { users: { a: 'b' } } }), [])
      assert.deepEqual(complaints({ pull: open, curve: { secretKey: KEY, clients: { a: KEY } } }), [])
    }
    for (const local of ['tcp://127.0.0.1:1', 'tcp://localhost:1', 'tcp://[::1]:1', 'ipc:///tmp/x'])
      assert.deepEqual(complaints({ pull: local }), [])
  })

  it('does not take encryption for credentials: the public key of a server is public', () => {
    assert.match(complaints({ pub: 'tcp://*:1', curve: { secretKey: KEY } })[0] ?? '', /without credentials/)
  })

  it('says what is missing or too much', () => {
    assert.match(complaints({})[0] ?? '', /at least one socket/)
    assert.match(complaints({ pull: 'tcp://127.0.0.1' })[0] ?? '', /an endpoint is tcp:\/\/host:port/)
    assert.match(complaints({ push: 'tcp://a:1', pub: 'tcp://127.0.0.1:1' })[0] ?? '', /^pub: a sink is push or pub/)
    assert.match(complaints({ push: 'tcp://a:1', plain: {} })[0] ?? '', /^plain.username: /)
    assert.match(complaints({ push: 'tcp://a:1', curve: { secretKey: KEY } })[0] ?? '', /^curve.serverKey: /)
    assert.match(complaints({ pull: 'tcp://127.0.0.1:1', plain: {} })[0] ?? '', /^plain.users: /)
    assert.match(complaints({ push: 'tcp://a:1', topic: 'x/{device}' })[0] ?? '', /^topic: .*shape: record/)
    assert.match(complaints({ pull: 'tcp://127.0.0.1:1', topic: 'x/{class}' })[0] ?? '', /^topic: /)
    assert.match(complaints({ pull: 'tcp://127.0.0.1:1', curve: { secretKey: 'short' } })[0] ?? '', /40 characters/)
  })
})

describe('z85', () => {
  it('writes what RFC 32 gives as its example, and reads it', () => {
    const bytes = Buffer.from('864fd26fb559f75b', 'hex')
    assert.equal(encodeZ85(bytes), 'HelloWorld')
    assert.deepEqual(decodeZ85('HelloWorld'), bytes)
  })

  it('refuses what is none', () => {
    for (const text of ['Hell', 'Hello"orld', '#####']) assert.equal(decodeZ85(text), undefined)
  })
})
