import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { NotConnectedError } from '../../../gateway/errors.ts'
import { zeromq } from '../../../plugins/zeromq/index.ts'
import { batchOf, create, pluginContext, within } from '../contract.ts'
import { LOOPBACK, NO_ZMQ, type Oracle, run, startOracle, texts } from './oracle.ts'

const PLAIN = { users: { d1: 'secret', d2: 'other' } }

interface CurveKeys {
  readonly server: readonly [string, string]
  readonly client: readonly [string, string]
  readonly stranger: readonly [string, string]
}

async function curveKeys(zmq: Oracle): Promise<CurveKeys> {
  return { server: await zmq.keys(), client: await zmq.keys(), stranger: await zmq.keys() }
}

function clientOptions([publicKey, secretKey]: readonly [string, string], server: string) {
  return { curve_publickey: publicKey, curve_secretkey: secretKey, curve_serverkey: server }
}

const SOURCES = [
  ['pull', 'PUSH'],
  ['router', 'DEALER'],
  ['rep', 'REQ'],
  ['sub', 'XPUB'],
] as const

describe('zeromq PLAIN against libzmq', { skip: NO_ZMQ }, () => {
  for (const [ours, theirs] of SOURCES)
    it(`lets users in at ${ours}`, async (t) => {
      const zmq = startOracle(t)
      const running = await run(t, { [ours]: LOOPBACK, plain: PLAIN })
      const options = { plain_username: 'd1', plain_password: 'secret' }
      await zmq.socket('a', theirs, { connect: [running.endpoint(ours)], options })
      if (theirs === 'XPUB') await zmq.receive('a')
      await zmq.send('a', ['telemetry/d1', '1'])
      await running.count(1)
      assert.deepEqual(texts(running.messages), [['telemetry/d1', '1']])
    })

  it('refuses a wrong password, an unknown user, and who gives none', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { pull: LOOPBACK, plain: PLAIN })
    const connect = [running.endpoint('pull')]
    await zmq.socket('a', 'PUSH', { connect, options: { plain_username: 'd1', plain_password: 'other' } })
    await zmq.socket('b', 'PUSH', { connect, options: { plain_username: 'd3', plain_password: 'x' } })
    await zmq.socket('c', 'PUSH', { connect })
    await running.until('refusing', () => (running.counts.get('closed_refused') ?? 0) >= 2)
    // Whoever sees first that the mechanisms differ hangs up.
    const { counts } = running
    await running.until('parting', () => counts.has('closed_mechanism') || counts.has('closed_ended'))
    assert.equal(running.messages.length, 0)
  })

  it('names itself where it connects, and says when it is refused', async (t) => {
    const zmq = startOracle(t)
    await zmq.authenticate({ plain: { gateway: 'right' } })
    const port = await zmq.socket('a', 'PUSH', { bind: LOOPBACK, options: { plain_server: true } })
    const pull = { connect: `tcp://127.0.0.1:${port}` }
    const running = await run(t, { pull, plain: { username: 'gateway', password: 'right' } })
    await zmq.send('a', ['telemetry/d1', '1'])
    await running.count(1)
    const refused = await run(t, { pull, plain: { username: 'gateway', password: 'wrong' } })
    await within(5000, 'failing', assert.rejects(refused.ended, NotConnectedError))
  })
})

describe('zeromq CURVE against libzmq', { skip: NO_ZMQ }, () => {
  for (const [ours, theirs] of SOURCES)
    it(`lets known keys in at ${ours}, and reads what they sealed`, async (t) => {
      const zmq = startOracle(t)
      const { server, client } = await curveKeys(zmq)
      const curve = { secretKey: server[1], clients: { d1: client[0] } }
      const running = await run(t, { [ours]: LOOPBACK, curve })
      const options = clientOptions(client, server[0])
      await zmq.socket('a', theirs, { connect: [running.endpoint(ours)], options })
      if (theirs === 'XPUB') await zmq.receive('a')
      await zmq.send('a', ['telemetry/d1', 'x'.repeat(70_000)])
      await running.count(1)
      assert.deepEqual(texts(running.messages), [['telemetry/d1', 'x'.repeat(70_000)]])
      if (theirs === 'REQ') assert.deepEqual(await zmq.receive('a'), [['ok']])
    })

  it('refuses unknown keys, a wrong key for the server, and who does not encrypt', async (t) => {
    const zmq = startOracle(t)
    const { server, client, stranger } = await curveKeys(zmq)
    const running = await run(t, { pull: LOOPBACK, curve: { secretKey: server[1], clients: { d1: client[0] } } })
    const connect = [running.endpoint('pull')]
    await zmq.socket('a', 'PUSH', { connect, options: clientOptions(stranger, server[0]) })
    await running.until('refusing', () => (running.counts.get('closed_refused') ?? 0) >= 1)
    await zmq.close('a')
    const before = running.counts.get('closed_refused') ?? 0
    await zmq.socket('b', 'PUSH', { connect, options: clientOptions(client, stranger[0]) })
    await running.until('refusing', () => (running.counts.get('closed_refused') ?? 0) > before)
    await zmq.socket('c', 'PUSH', { connect })
    // Whoever sees first that the mechanisms differ hangs up.
    const { counts } = running
    await running.until('parting', () => counts.has('closed_mechanism') || counts.has('closed_ended'))
    assert.equal(running.messages.length, 0)
  })

  it('shows its key where it connects, as source and as sink, and is refused with another', async (t) => {
    const zmq = startOracle(t)
    const { server, client, stranger } = await curveKeys(zmq)
    await zmq.authenticate({ curve: [client[0]] })
    const options = { curve_server: true, curve_publickey: server[0], curve_secretkey: server[1] }
    const place = async (name: string, type: string) => ({
      connect: `tcp://127.0.0.1:${await zmq.socket(name, type, { bind: LOOPBACK, options })}`,
    })
    const pull = await place('push', 'PUSH')
    const push = await place('pull', 'PULL')
    const curve = { secretKeyFile: await keyFile(t, client[1]), serverKey: server[0] }
    const running = await run(t, { pull, curve })
    await zmq.send('push', ['telemetry/d1', '1'])
    await running.count(1)
    const { sink } = create(zeromq, { push, curve })
    assert.ok(sink)
    const { signal } = new AbortController()
    await sink.connect(signal)
    await sink.write(batchOf(1, 2), signal)
    const [received] = await zmq.receive('pull')
    assert.equal(JSON.parse(received?.[1] ?? '').count, 2)
    await sink.close()
    for (const wrong of [
      { secretKey: stranger[1], serverKey: server[0] },
      { ...curve, serverKey: stranger[0] },
    ]) {
      const refused = create(zeromq, { push, curve: wrong, timeout: '1s' }, pluginContext())
      await within(
        5000,
        'failing',
        assert.rejects(async () => refused.sink?.connect(signal), NotConnectedError),
      )
    }
  })
})

/** A certificate as CZMQ writes it. */
async function keyFile(t: TestContext, secret: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-zmq-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'gateway.key_secret')
  await writeFile(file, `metadata\ncurve\n    public-key = "unused"\n    secret-key = "${secret}"\n`)
  return file
}
