import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { AclRule } from '../../gateway/broker/acl.ts'
import { answerOf, createMqttCommands } from '../../gateway/commands/mqtt.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'

const missing = (() => {
  try {
    execFileSync('mosquitto_pub', ['--version'], { stdio: 'ignore' })
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'mosquitto_pub is not installed' : false
  }
})()

const TOPIC = 'command/lamp/on/ack'

function may(who: { user?: string; client: string }, acl?: readonly AclRule[], topic = TOPIC): boolean {
  const commands = createMqttCommands(() => acl)
  return commands.authorizePublish({ user: who.user, client: who.client, address: '127.0.0.1' }, topic)
}

test('a connection that logged in answers for the device that its user names, whatever its client id', () => {
  assert.equal(may({ user: 'lamp', client: 'x' }), true)
  assert.equal(may({ user: 'mallory', client: 'lamp' }), false)
})

test('an anonymous connection is believed by its client id, and nobody else', () => {
  assert.equal(may({ client: 'lamp' }), true)
  assert.equal(may({ client: 'lamp2' }), false)
})

test('an ACL rule that names the commands lets devices share a user; one for everything does not', () => {
  const acl = [{ user: 'plant', publish: ['command/{client}/+/ack'] }]
  assert.equal(may({ user: 'plant', client: 'lamp' }, acl), true)
  assert.equal(may({ user: 'plant', client: 'door' }, acl), false)
  assert.equal(may({ user: 'plant', client: 'door' }, [{ publish: ['#'] }]), false)
})

test('other topics are nobody’s business here', () => {
  assert.equal(may({ client: 'x' }, undefined, 'command/lamp/on'), true)
  assert.equal(may({ client: 'x' }, undefined, 'telemetry/lamp'), true)
})

test('what is no answer is none', () => {
  for (const text of ['', '{', '[]', 'null', '{"id":1,"ok":true}', '{"id":"a"}', '{"id":"a","ok":"yes"}'])
    assert.equal(answerOf(Buffer.from(text)), undefined)
  assert.deepEqual(answerOf(Buffer.from('{"id":"a","ok":false,"reason":"no"}')), {
    id: 'a',
    result: { ok: false, reason: 'no' },
  })
})

/** One mosquitto_sub that is subscribed when this resolves; `line` resolves with what it got first. */
async function listen(t: TestContext, site: TestGateway, filter: string, ...more: string[]) {
  // Into a pipe mosquitto_sub writes by the block unless told otherwise.
  const args = ['-oL', 'mosquitto_sub', '-p', `${site.port('mqtt')}`, '-q', '1', '-d', '-t', filter, '-v', ...more]
  const child = spawn('stdbuf', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  let text = ''
  const changed = new EventEmitter()
  child.stdout.on('data', (chunk) => {
    text += chunk
    changed.emit('text')
  })
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(text)
      if (found) return found
      await once(changed, 'text', { signal: AbortSignal.timeout(8000) })
    }
  }
  await until(/Subscribed \(mid/)
  return {
    got: async () => JSON.parse((await until(/^command\/\S+ (\{.*\})$/m))[1] as string) as { id: string },
    silent: () => !/^command\//m.test(text),
    close: () => {
      child.kill()
    },
  }
}

function publish(site: TestGateway, topic: string, payload: object, ...more: string[]): Promise<number> {
  const args = ['-p', `${site.port('mqtt')}`, '-q', '1', '-t', topic, '-m', JSON.stringify(payload), ...more]
  return new Promise((resolve) => {
    execFile('mosquitto_pub', args, { timeout: 8000 }, (error) => resolve(error ? 1 : 0))
  })
}

async function becomes({ gateway: { api } }: TestGateway, id: string, state: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = () => {
      if (api.command(id)?.state !== state) return
      stop()
      resolve()
    }
    const stop = api.subscribe({ types: new Set(['command']) }, () => setImmediate(look))
    look()
  })
}

test('a mosquitto client is an actuator', { skip: missing }, async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const lamp = await listen(t, site, 'command/lamp/on', '-i', 'lamp')
  await site.gateway.api.sendCommand({ id: 'm1', device: 'lamp', command: 'on' }, 'api')
  const { id } = await lamp.got()
  assert.equal(id, 'm1')
  // It answers under the name it listens by.
  await publish(site, TOPIC, { id, ok: true }, '-i', 'lamp')
  await becomes(site, 'm1', 'acknowledged')
})

test('a monitor of all topics is no device: the command waits until somebody listens for commands', {
  skip: missing,
}, async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const { api } = site.gateway
  for (const filter of ['#', '+/#', '+/lamp/+']) await listen(t, site, filter)
  const { command } = await api.sendCommand({ id: 'm2', device: 'lamp', command: 'on' }, 'api')
  assert.equal(command.state, 'accepted')
  assert.equal(command.reason, 'waits for the device to appear')
  const many = await listen(t, site, 'command/#', '-i', 'controller')
  assert.equal((await many.got()).id, 'm2')
  assert.equal(api.command('m2')?.state, 'sent')
  // Whoever listens for all devices may answer for one that is not there itself.
  await publish(site, TOPIC, { id: 'm2', ok: true }, '-i', 'controller')
  await becomes(site, 'm2', 'acknowledged')
})

test('a client that is the device by its id may listen to everything', { skip: missing }, async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const lamp = await listen(t, site, '#', '-i', 'lamp')
  await site.gateway.api.sendCommand({ id: 'm3', device: 'lamp', command: 'on' }, 'api')
  assert.equal((await lamp.got()).id, 'm3')
})

test('one that listens for all devices does not answer for a device that is there itself', {
  skip: missing,
}, async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const lamp = await listen(t, site, 'command/lamp/+', '-i', 'lamp')
  const many = await listen(t, site, 'command/#', '-i', 'controller')
  await site.gateway.api.sendCommand({ id: 'm4', device: 'lamp', command: 'on' }, 'api')
  await Promise.all([lamp.got(), many.got()])
  await publish(site, TOPIC, { id: 'm4', ok: true }, '-i', 'second-controller')
  many.close()
  await publish(site, TOPIC, { id: 'm4', ok: true }, '-i', 'controller')
  assert.equal(site.gateway.api.command('m4')?.state, 'sent')
  await publish(site, TOPIC, { id: 'm4', ok: true }, '-i', 'lamp')
  await becomes(site, 'm4', 'acknowledged')
})
