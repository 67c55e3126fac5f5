/** What people change while the gateway runs: descriptions of devices, the config, the log level; over a restart too. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { createSite, type GatewayProcess, runCommand, type Site } from '../support/gateway-process.ts'

const CONFIG = {
  gateway: { id: 'settings' },
  mqtt: { listen: '127.0.0.1:0' },
  http: { listen: '127.0.0.1:0', token: 'op', users: { anna: { token: 'of-anna', role: 'operator' } } },
  devices: { fixed: { name: 'As the file says' } },
}

describe('settings', () => {
  let site: Site
  let gateway: GatewayProcess
  let file: string
  before(async () => {
    site = createSite(CONFIG)
    file = join(site.folder, 'sluice.yaml')
    gateway = await site.start()
  })
  after(async () => {
    await gateway.kill()
    site.remove()
  })

  const ask = async (method: string, path: string, body?: unknown, token = 'op') => {
    const answer = await fetch(`http://127.0.0.1:${gateway.ports.http}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    const json = /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : {}
    return { status: answer.status, text, json }
  }

  const LAMP = {
    name: '<img onerror=alert(1)>',
    room: 'Office',
    units: { power: 'W' },
    webhook: 'http://127.0.0.1:9/secret',
    commands: { dim: { kind: 'slider', args: { level: { type: 'number', min: 0, max: 100 } } } },
  }

  test('a device is described, is listed with it, and its commands are checked by it', async () => {
    const made = await ask('PUT', '/api/devices/lamp', LAMP, 'of-anna')
    assert.deepEqual(
      [made.status, made.json.name, made.json.described, made.json.webhook, made.json.units.power],
      [200, LAMP.name, 'api', true, 'W'],
    )
    const { devices } = (await ask('GET', '/api/devices')).json
    assert.deepEqual(
      devices.map(({ id, described }: { id: string; described: string }) => [id, described]),
      [
        ['fixed', 'config'],
        ['lamp', 'api'],
      ],
    )
    const tooMuch = await ask('POST', '/api/commands', { device: 'lamp', command: 'dim', args: { level: 101 } })
    assert.deepEqual([tooMuch.json.state, tooMuch.json.reason], ['rejected', 'argument level is 101, the most is 100'])
  })

  test('a description with mistakes is refused with all of them, one of the config is changed there', async () => {
    const wrong = await ask('PUT', '/api/devices/lamp', { nam: 'x', commands: { on: { kind: 'swich' } } })
    assert.deepEqual([wrong.status, wrong.json.code], [400, 'SLUICE_BAD_REQUEST'])
    assert.match(wrong.json.message, /did you mean `switch`.*did you mean `name`/)
    for (const method of ['PUT', 'DELETE']) {
      const fixed = await ask(method, '/api/devices/fixed', method === 'PUT' ? { name: 'x' } : undefined)
      assert.deepEqual([fixed.status, fixed.json.code], [409, 'SLUICE_IN_CONFIG'])
    }
    assert.equal((await ask('GET', '/api/devices/lamp')).json.name, LAMP.name)
  })

  test('a webhook that is not named stays, null removes it', async () => {
    const { webhook: _, ...rest } = LAMP
    assert.equal((await ask('PUT', '/api/devices/lamp', rest)).json.webhook, true)
    assert.equal((await ask('PUT', '/api/devices/other', { name: 'Other', webhook: null })).json.webhook, undefined)
  })

  test('descriptions outlive kill -9, and are exported as a section of the config', async () => {
    await gateway.kill('SIGKILL')
    gateway = await site.start()
    const { text } = await ask('GET', '/api/devices.yaml')
    const { devices } = parse(text)
    assert.deepEqual(devices.lamp, LAMP)
    assert.equal(devices.fixed.name, 'As the file says')
    writeFileSync(join(site.folder, 'exported.yaml'), text)
    const { code, out } = await runCommand(['check', '--config', join(site.folder, 'exported.yaml')])
    assert.equal(code, 0, out)
    assert.equal((await ask('DELETE', '/api/devices/other')).status, 204)
    assert.equal((await ask('GET', '/api/devices/other')).status, 404)
  })

  test('a changed config is looked over, with every mistake at its place', async () => {
    const { json } = await ask('POST', '/api/config/check', { yaml: 'log: { level: loud }\nwindow: {}\n' })
    assert.equal(json.valid, false)
    assert.deepEqual(
      json.mistakes.map(({ line, column }: { line: number; column: number }) => [line, column]),
      [
        [1, 15],
        [2, 1],
      ],
    )
    const plugin = await ask('POST', '/api/config/check', { yaml: 'plugins: [./code.js]' })
    assert.match(plugin.json.mistakes[0].message, /did not start with it/)
  })

  test('a changed config is written and taken, and the one before is kept', async () => {
    chmodSync(file, 0o600)
    const { yaml, digest } = (await ask('GET', '/api/config/file')).json
    const next = { ...CONFIG, windows: { w: { tumbling: '5s', by: ['device'] } }, journal: { commit: '30ms' } }
    const changed = { yaml: JSON.stringify(next), digest }
    const applied = await ask('POST', '/api/config', changed, 'of-anna')
    assert.deepEqual([applied.status, applied.json.apply], [200, ['windows']])
    assert.deepEqual(
      applied.json.restart.map(({ path }: { path: string }) => path),
      ['journal.commit'],
    )
    assert.equal(readFileSync(`${file}.before`, 'utf8'), yaml)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.deepEqual(
      (await ask('GET', '/api/windows')).json.definitions.map(({ name }: { name: string }) => name),
      ['w'],
    )
    // Somebody else's change is not overwritten.
    const late = await ask('POST', '/api/config', changed)
    assert.deepEqual([late.status, late.json.code], [409, 'SLUICE_CONFIG_CHANGED'])
  })

  test('a config that cannot be used leaves everything as it was', async () => {
    const before = readFileSync(file, 'utf8')
    const wrong = await ask('POST', '/api/config', { yaml: 'window: {}' })
    assert.deepEqual([wrong.status, wrong.json.code], [400, 'SLUICE_CONFIG'])
    const missing = { ...JSON.parse(before), http: { ...CONFIG.http, token: undefined, tokenFile: 'not-there' } }
    const unusable = await ask('POST', '/api/config', { yaml: JSON.stringify(missing) })
    assert.deepEqual([unusable.status, unusable.json.code], [400, 'SLUICE_CONFIG'])
    assert.match(unusable.json.message, /the old config stays/)
    assert.equal(readFileSync(file, 'utf8'), before)
    assert.equal((await ask('GET', '/api/status')).status, 200)
    assert.ok(!existsSync(`${file}.new`))
  })

  test('the log level changes at once, and who did what is still known after kill -9', async () => {
    assert.deepEqual((await ask('PUT', '/api/log-level', { level: 'debug' })).json, { level: 'debug' })
    assert.deepEqual((await ask('GET', '/api/log-level')).json, { level: 'debug' })
    assert.equal((await ask('PUT', '/api/log-level', { level: 'loud' })).status, 400)
    assert.match(gateway.log(), /operator set the log level to debug/)
    await gateway.kill('SIGKILL')
    gateway = await site.start()
    const { changes } = (await ask('GET', '/api/changes?limit=5')).json
    assert.deepEqual(
      changes.map(({ who, action }: { who: string; action: string }) => [who, action]),
      [
        ['operator', 'log.level'],
        ['anna', 'config.apply'],
        ['operator', 'device.forget'],
        ['operator', 'device.describe'],
        ['operator', 'device.describe'],
      ],
    )
  })
})
