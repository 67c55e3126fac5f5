import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AclRule } from '../../gateway/broker/acl.ts'
import { answerOf, createMqttCommands } from '../../gateway/commands/mqtt.ts'
import { startTestGateway } from '../support/gateway.ts'

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

test('a mosquitto client with a client id is an actuator', { skip: missing }, async (t) => {
  const site = await startTestGateway({})
  t.after(() => site.close())
  const folder = await mkdtemp(join(tmpdir(), 'sluice-actuator-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const port = `${site.port('mqtt')}`
  const script = join(folder, 'actuator.sh')
  // One client hears the command, another answers under the same id when the first has gone.
  await writeFile(
    script,
    `id=$(mosquitto_sub -p ${port} -i lamp -q 1 -t command/lamp/on -C 1 -W 8 | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
mosquitto_pub -p ${port} -i lamp -q 1 -t ${TOPIC} -m "{\\"id\\":\\"$id\\",\\"ok\\":true}"`,
  )
  const ended = new Promise<void>((resolve, reject) => {
    execFile('sh', [script], (error) => (error ? reject(error) : resolve()))
  })
  const { api } = site.gateway
  const done = new Promise<void>((resolve) => {
    const stop = api.subscribe({ types: new Set(['command']) }, ({ data }) => {
      if ((data as { state?: string }).state !== 'acknowledged') return
      stop()
      resolve()
    })
  })
  await api.sendCommand({ id: 'm1', device: 'lamp', command: 'on', deadline: '8s' }, 'api')
  await ended
  await done
  assert.equal(api.command('m1')?.state, 'acknowledged')
})
