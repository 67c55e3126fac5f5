import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { NotConnectedError } from '../../../gateway/errors.ts'
import type { Command, Commander } from '../../../gateway/plugin.ts'
import { within } from '../contract.ts'
import { LOOPBACK, NO_ZMQ, type Running, run, startOracle } from './oracle.ts'

const COMMAND: Command = { id: 'c1', device: 'd1', command: 'open', args: { by: 3 }, deadline: 0 }
const ACK = 'command/d1/open/ack'

function commanderOf(running: Running): Commander {
  const { commander } = running.roles
  assert.ok(commander)
  return commander
}

function execute(running: Running, signal = new AbortController().signal) {
  return within(5000, 'the command', commanderOf(running).execute(COMMAND, signal))
}

describe('zeromq commander against libzmq', { skip: NO_ZMQ }, () => {
  it('sends commands to DEALER devices and takes their answer', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { router: LOOPBACK })
    const reachable: string[] = []
    commanderOf(running).onReachable?.((device) => reachable.push(device))
    await zmq.socket('a', 'DEALER', { connect: [running.endpoint('router')], options: { identity: 'd1' } })
    await running.until('reaching', () => commanderOf(running).reaches('d1'))
    assert.deepEqual(reachable, ['d1'])
    assert.equal(commanderOf(running).reaches('d2'), false)
    assert.deepEqual(commanderOf(running).describe?.('d1'), { state: 'online' })
    assert.equal(commanderOf(running).describe?.('d2'), undefined)
    const result = execute(running)
    assert.deepEqual(await zmq.receive('a'), [['command/d1/open', '{"id":"c1","args":{"by":3}}']])
    await zmq.send('a', [ACK, '{"id":"c1","ok":false,"reason":"stuck","result":4}'])
    assert.deepEqual(await result, { ok: false, reason: 'stuck', result: 4 })
    assert.equal(running.messages.length, 0)
    await zmq.close('a')
    await running.until('losing', () => !commanderOf(running).reaches('d1'))
  })

  it('sends commands to SUB devices, which answer by PUSH', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { commands: LOOPBACK, pull: LOOPBACK })
    const connect = [running.endpoint('commands')]
    await zmq.socket('listener', 'SUB', { connect, subscribe: [''] })
    await zmq.socket('sub', 'SUB', { connect, subscribe: ['command/d1/'] })
    await zmq.socket('push', 'PUSH', { connect: [running.endpoint('pull')] })
    await running.until('reaching', () => commanderOf(running).reaches('d1'))
    const result = execute(running)
    assert.deepEqual(await zmq.receive('sub'), [['command/d1/open', '{"id":"c1","args":{"by":3}}']])
    await zmq.send('push', [ACK, '{"id":"c1","ok":true}'])
    assert.deepEqual(await result, { ok: true })
  })

  it('does not reach a device for which only somebody else listens', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { commands: LOOPBACK })
    const connect = [running.endpoint('commands')]
    await zmq.socket('listener', 'SUB', { connect, subscribe: [''] })
    await zmq.socket('d10', 'SUB', { connect, subscribe: ['command/d10/'] })
    await running.until('reaching', () => commanderOf(running).reaches('d10'))
    assert.equal(commanderOf(running).reaches('d1'), false)
    await assert.rejects(execute(running), NotConnectedError)
  })

  it('takes an answer only from the device it asked', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { router: LOOPBACK, pull: LOOPBACK })
    const connect = [running.endpoint('router')]
    for (const identity of ['d1', 'd2']) await zmq.socket(identity, 'DEALER', { connect, options: { identity } })
    await zmq.socket('push', 'PUSH', { connect: [running.endpoint('pull')] })
    await running.until('reaching', () => commanderOf(running).reaches('d1'))
    const result = execute(running)
    await zmq.receive('d1')
    for (const stranger of ['d2', 'push']) await zmq.send(stranger, [ACK, '{"id":"c1","ok":true,"result":"forged"}'])
    await running.until('refusing', () => running.counts.get('answers_refused') === 2)
    await zmq.send('d1', [ACK, '{"id":"c1","ok":true,"result":"own"}'])
    assert.deepEqual(await result, { ok: true, result: 'own' })
  })

  it('knows a device by its user where there are users, whatever identity it claims', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { router: LOOPBACK, plain: { users: { d1: 'one', d2: 'two' } } })
    const connect = [running.endpoint('router')]
    const options = { identity: 'd1', plain_username: 'd2', plain_password: 'two' }
    await zmq.socket('a', 'DEALER', { connect, options })
    await running.until('reaching', () => commanderOf(running).reaches('d2'))
    assert.equal(commanderOf(running).reaches('d1'), false)
  })

  it('sends to the newest connection of a device', async (t) => {
    const zmq = startOracle(t)
    const running = await run(t, { router: LOOPBACK })
    const spec = { connect: [running.endpoint('router')], options: { identity: 'd1' } }
    let connections = 0
    commanderOf(running).onReachable?.(() => connections++)
    await zmq.socket('old', 'DEALER', spec)
    await running.until('connecting', () => connections === 1)
    await zmq.socket('new', 'DEALER', spec)
    await running.until('connecting', () => connections === 2)
    await zmq.close('old')
    await running.until('closing', () => running.counts.get('closed_ended') === 1)
    const result = execute(running)
    assert.equal((await zmq.receive('new')).length, 1)
    await zmq.send('new', [ACK, '{"id":"c1","ok":true}'])
    assert.deepEqual(await result, { ok: true })
  })

  it('says that nothing was sent while a device is away', async (t) => {
    const running = await run(t, { router: LOOPBACK })
    await assert.rejects(execute(running), NotConnectedError)
  })
})
