import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readPasswordFile, verifyPassword } from '../../gateway/broker/passwords.ts'
import { loadConfiguration } from '../../gateway/cli/configuration.ts'
import { StartError } from '../../gateway/errors.ts'
import { plugins } from '../../plugins/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-container-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let volumes = 0

function newVolume(): string {
  const data = join(folder, `volume-${++volumes}`)
  mkdirSync(data)
  return data
}

function load(data: string, env: Record<string, string> = {}, config?: string) {
  const all = { SLUICE_CONTAINER: '1', SLUICE__DATA: data, ...env }
  return loadConfiguration({ config }, all, { plugins, systemFile: join(folder, 'none.yaml') })
}

function credentialsOf(data: string): Record<string, string> {
  return JSON.parse(readFileSync(join(data, 'access/credentials.json'), 'utf8')) as Record<string, string>
}

test('without a config a container listens on all addresses, with credentials made at the first start', async () => {
  const data = newVolume()
  const { loaded, notice = [] } = await load(data)
  const { mqtt, http, gateway } = loaded.config
  assert.deepEqual(mqtt.listen[0], { host: '0.0.0.0', port: 1883 })
  assert.deepEqual(http.listen[0], { host: '0.0.0.0', port: 8080 })
  const { user = '', password = '', token = '', gateway: id } = credentialsOf(data)
  assert.equal(gateway.id, id)
  const hash = (await readPasswordFile(mqtt.passwordFile ?? '')).get(user)
  assert.ok(hash && (await verifyPassword(password, hash)))
  assert.equal(readFileSync(http.tokenFile ?? '', 'utf8').trim(), token)
  const lines = notice.join('\n')
  for (const told of [user, password, token, 'mosquitto_pub', 'curl']) assert.ok(lines.includes(told), told)
  assert.doesNotMatch(lines, /["\\]/, 'a command is pasted from a line of JSON')
})

test('the credentials are readable by their owner only, and nothing else is left', async () => {
  const data = newVolume()
  await load(data)
  const files = readdirSync(join(data, 'access')).sort()
  assert.deepEqual(files, ['credentials.json', 'passwords', 'token'])
  for (const file of files) assert.equal(statSync(join(data, 'access', file)).mode & 0o777, 0o600, file)
})

test('they are told once, and the next start has the same', async () => {
  const data = newVolume()
  const first = await load(data)
  const before = credentialsOf(data)
  const second = await load(data)
  assert.deepEqual([second.notice, credentialsOf(data)], [undefined, before])
  assert.equal(second.loaded.config.gateway.id, first.loaded.config.gateway.id)
})

test('two that start at once agree, and one of them tells', async () => {
  const data = newVolume()
  const both = await Promise.all([load(data), load(data)])
  assert.equal(both.filter(({ notice }) => notice !== undefined).length, 1)
  assert.deepEqual(
    both.map(({ loaded }) => loaded.config.gateway.id),
    Array(2).fill(credentialsOf(data).gateway),
  )
})

test('a first start that was cut off is completed', async () => {
  const data = newVolume()
  await load(data)
  const { token } = credentialsOf(data)
  rmSync(join(data, 'access/token'))
  rmSync(join(data, 'access/passwords'))
  await load(data)
  assert.equal(readFileSync(join(data, 'access/token'), 'utf8').trim(), token)
  assert.ok(readdirSync(join(data, 'access')).includes('passwords'))
})

test('what the environment says goes before the defaults', async () => {
  const { loaded } = await load(newVolume(), {
    SLUICE__GATEWAY__ID: 'site-7',
    SLUICE__MQTT__LISTEN: '0.0.0.0:2883',
    SLUICE__MQTT__ANONYMOUS: 'true',
    SLUICE__HTTP: '{ listen: "127.0.0.1:8081" }',
  })
  const { gateway, mqtt, http } = loaded.config
  assert.deepEqual(
    [gateway.id, mqtt.listen[0]?.port, mqtt.passwordFile, mqtt.anonymous],
    ['site-7', 2883, undefined, true],
  )
  assert.deepEqual([http.listen[0]?.port, http.tokenFile], [8081, undefined])
  const dashed = await load(newVolume(), { SLUICE__HTTP__TOKEN: 'mine', SLUICE__mqtt__password_file: '/pw' })
  assert.deepEqual([dashed.loaded.config.http.token, dashed.loaded.config.http.tokenFile], ['mine', undefined])
  assert.equal(dashed.loaded.config.mqtt.passwordFile, '/pw')
})

test('with a config file, or outside of a container, nothing is made and nothing is opened', async () => {
  const data = newVolume()
  const config = join(folder, 'sluice.yaml')
  writeFileSync(config, 'mqtt: { listen: 127.0.0.1:1999 }\n')
  const withFile = await load(data, {}, config)
  assert.equal(withFile.loaded.config.mqtt.listen[0]?.port, 1999)
  const outside = await load(data, { SLUICE_CONTAINER: '' })
  assert.equal(outside.loaded.config.mqtt.listen[0]?.host, '127.0.0.1')
  assert.deepEqual(readdirSync(data), [])
})

test('a volume that cannot hold them is one clear line', async () => {
  const data = join(folder, 'a-file')
  writeFileSync(data, '')
  await assert.rejects(load(data), (error) => {
    assert.ok(error instanceof StartError)
    assert.match(error.message, /^container: cannot keep credentials in .*a-file\/access: /)
    return true
  })
})
