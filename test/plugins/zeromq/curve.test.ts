import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { newKeyPair, open, seal, sharedKey } from '../../../plugins/zeromq/box.ts'
import { curveClient, curveServer } from '../../../plugins/zeromq/curve.ts'
import { ZmtpError } from '../../../plugins/zeromq/errors.ts'
import { COMMAND, MORE } from '../../../plugins/zeromq/frame.ts'
import type { Mechanism } from '../../../plugins/zeromq/mechanism.ts'
import { dataOf, encodeCommand, encodeMetadata } from '../../../plugins/zeromq/wire-command.ts'

const METADATA = encodeMetadata({ 'Socket-Type': 'PULL' })

function pair(): { readonly client: Mechanism; readonly server: Mechanism } {
  const [ours, theirs] = [newKeyPair(), newKeyPair()]
  const server = curveServer({
    keys: ours,
    nameOf: (key) => (key.equals(theirs.publicKey) ? 'boiler' : undefined),
  })(METADATA)
  return { client: curveClient({ keys: theirs, server: ours.publicKey })(METADATA), server }
}

/** The four commands in the order in which they are sent. */
function shakeHands({ client, server }: ReturnType<typeof pair>): Buffer[] {
  const hello = client.start()
  const welcome = server.receive(hello as Buffer).send
  const initiate = client.receive(welcome as Buffer).send
  const { send: ready, metadata } = server.receive(initiate as Buffer)
  assert.equal(metadata?.get('socket-type')?.toString(), 'PULL')
  assert.equal(
    client
      .receive(ready as Buffer)
      .metadata?.get('socket-type')
      ?.toString(),
    'PULL',
  )
  return [hello, welcome, initiate, ready] as Buffer[]
}

const flipped = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] as number) ^ 1
  return copy
}

describe('CURVE', () => {
  it('has commands of the lengths that the RFC gives', () => {
    const [hello, welcome, initiate] = shakeHands(pair())
    assert.equal(hello?.length, 200)
    assert.equal(welcome?.length, 168)
    assert.equal(initiate?.length, 257 + METADATA.length)
  })

  it('knows the client by its key, and carries flags and bodies both ways', () => {
    const { client, server } = pair()
    shakeHands({ client, server })
    assert.equal(server.user, 'boiler')
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const)
      for (const flags of [0, MORE, COMMAND]) {
        const opened = to.open?.(from.seal?.(flags, Buffer.from('abc')) ?? Buffer.alloc(0))
        assert.deepEqual([opened?.flags, opened?.body.toString()], [flags, 'abc'])
      }
  })

  it('refuses what is played back, changed, cut off or not sealed', () => {
    const { client, server } = pair()
    shakeHands({ client, server })
    const sealed = client.seal?.(0, Buffer.from('abc')) ?? Buffer.alloc(0)
    assert.throws(() => server.open?.(flipped(sealed, sealed.length - 1)), /does not open/)
    assert.throws(() => server.open?.(sealed.subarray(0, 30)), /not sealed/)
    const next = client.seal?.(0, Buffer.from('def')) ?? Buffer.alloc(0)
    assert.equal(server.open?.(next).body.toString(), 'def')
    assert.throws(() => server.open?.(next), /a nonce comes again/)
    assert.throws(() => server.open?.(sealed), /a nonce comes again/)
    assert.throws(() => server.open?.(Buffer.from('abc')), ZmtpError)
  })

  it('refuses a handshake of which one bit was changed, wherever it is', () => {
    const changed = (step: 'hello' | 'initiate', at: number) => {
      const { client, server } = pair()
      const hello = client.start() as Buffer
      if (step === 'hello') return server.receive(flipped(hello, at))
      const initiate = client.receive(server.receive(hello).send as Buffer).send as Buffer
      return server.receive(flipped(initiate, at))
    }
    // Between version and key a HELLO has zeros that nobody looks at.
    for (const at of [6, 80, 111, 112, 119, 120, 199]) assert.throws(() => changed('hello', at), ZmtpError)
    for (const at of [9, 104, 105, 112, 113, 200, 260]) assert.throws(() => changed('initiate', at), ZmtpError)
  })

  it('refuses a vouch for another connection or another server', () => {
    const [ours, theirs, transient, other] = [newKeyPair(), newKeyPair(), newKeyPair(), newKeyPair()]
    /** An INITIATE made by hand, whose vouch says `vouched`. */
    const attempt = (vouched: readonly Buffer[]) => {
      const server = curveServer({ keys: ours })(METADATA)
      const lasting = sharedKey(transient, ours.publicKey)
      const zeros = seal(lasting, counted('CurveZMQHELLO---', 1), Buffer.alloc(64))
      const version = Buffer.concat([Buffer.from([1]), Buffer.alloc(73)])
      const hello = Buffer.concat([version, transient.publicKey, counted('', 1).subarray(16), zeros])
      const welcome = dataOf(server.receive(encodeCommand('HELLO', hello)).send as Buffer)
      const nonce = Buffer.concat([Buffer.from('WELCOME-'), welcome.subarray(0, 16)])
      const plain = open(lasting, nonce, welcome.subarray(16)) as Buffer
      const session = plain.subarray(0, 32)
      const vouchNonce = Buffer.concat([Buffer.from('VOUCH---'), Buffer.alloc(16)])
      const vouch = seal(sharedKey(theirs, session), vouchNonce, Buffer.concat(vouched))
      const secret = Buffer.concat([theirs.publicKey, Buffer.alloc(16), vouch, METADATA])
      const sealed = seal(sharedKey(transient, session), counted('CurveZMQINITIATE', 2), secret)
      const initiate = Buffer.concat([plain.subarray(32), counted('', 2).subarray(16), sealed])
      return server.receive(encodeCommand('INITIATE', initiate)).metadata
    }
    assert.ok(attempt([transient.publicKey, ours.publicKey]))
    assert.throws(() => attempt([other.publicKey, ours.publicKey]), /does not hold the key/)
    assert.throws(() => attempt([transient.publicKey, other.publicKey]), /does not hold the key/)
  })
})

function counted(purpose: string, count: number): Buffer {
  const nonce = Buffer.alloc(24)
  nonce.write(purpose, 'latin1')
  nonce.writeUInt32BE(count, 20)
  return nonce
}
