import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfiguration } from '../../gateway/cli/configuration.ts'
import { systemClock } from '../../gateway/clock.ts'
import { startFake } from './fake-actions.ts'
import { silentLog, sluice } from './sluice.ts'

const main = fileURLToPath(new URL('./fake-main.ts', import.meta.url))
const data = mkdtempSync(join(tmpdir(), 'sluice-run-'))
const children: ChildProcess[] = []
after(() => {
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL')
  rmSync(data, { recursive: true, force: true })
})

test('run says once that it is ready, reloads on SIGHUP, and exits 0 on SIGTERM', { timeout: 30_000 }, async () => {
  const config = join(data, 'sluice.yaml')
  writeFileSync(config, 'good')
  const child = start('run', '--config', config, '--data', data)
  const ready = JSON.parse(await child.line('out'))
  assert.deepEqual([ready.event, ready.ports.mqtt, typeof ready.ports.http], ['ready', 1883, 'number'])
  const said = pick(await child.line('err'))
  assert.deepEqual(said, ['info', `sluice 0.1.0 is ready: the dashboard is at http://127.0.0.1:${ready.ports.http}/`])
  assert.ok(existsSync(join(data, 'runtime.json')))
  assert.equal((await sluice(['health', '--data', data])).code, 0)

  child.process.kill('SIGHUP')
  assert.deepEqual(pick(await child.line('err')), ['info', 'configuration reloaded'])
  assert.match((await sluice(['health', '--data', data])).err, /reloaded/)

  writeFileSync(config, 'tumbing')
  child.process.kill('SIGHUP')
  const refused = await child.line('err')
  assert.deepEqual(pick(refused), ['error', 'the new configuration is not used, the old one stays'])
  assert.match(refused, /sluice\.yaml:1:3: unknown key/)

  child.process.kill('SIGTERM')
  assert.deepEqual(await once(child.process, 'exit'), [0, null])
  assert.ok(!existsSync(join(data, 'runtime.json')))
  assert.equal(child.rest('out'), '')
  assert.deepEqual(pick(child.rest('err')), ['info', 'stopped by SIGTERM'])
})

test('a second Ctrl-C does not wait for a slow stop', { timeout: 30_000 }, async () => {
  const child = start('run', '--config', join(data, 'slow.yaml'), '--data', data)
  await child.line('out')
  child.process.kill('SIGINT')
  child.process.kill('SIGINT')
  // Two signals of one kind may arrive as one.
  const again = setInterval(() => child.process.kill('SIGINT'), 100)
  const [code] = await once(child.process, 'exit')
  clearInterval(again)
  assert.equal(code, 130)
})

test('a stop that hangs is given up in time, with exit 1', { timeout: 30_000 }, async () => {
  const child = start('run', '--config', join(data, 'slow.yaml'), '--data', data)
  await child.line('out')
  const begun = performance.now()
  child.process.kill('SIGTERM')
  const [code] = await once(child.process, 'exit')
  assert.equal(code, 1)
  assert.ok(performance.now() - begun < 5000)
})

test('a command ends by itself when it has shown what was asked for', { timeout: 30_000 }, async () => {
  const place = mkdtempSync(join(data, 'send-'))
  const fake = await startFake(place, systemClock, silentLog)
  const child = start('send', 'pump', 'open', '--id', 'c9', '--data', place)
  await child.line('out')
  const time = '2026-11-23T00:00:01.000Z'
  fake.api.live.command({
    kind: 'command',
    id: 'c9',
    device: 'pump',
    command: 'open',
    state: 'acknowledged',
    time,
    by: 'api',
  })
  assert.deepEqual(await once(child.process, 'close'), [0, null])
  await fake.stop()
})

test('the real command checks a real configuration', { timeout: 30_000 }, async () => {
  const config = join(data, 'mistaken.yaml')
  writeFileSync(config, 'windows:\n  a: { tumbing: 10s }\n')
  const real = fileURLToPath(new URL('../../gateway/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', real, 'check', '--config', config])
  children.push(child)
  let out = ''
  child.stdout.on('data', (piece) => {
    out += piece
  })
  assert.deepEqual(await once(child, 'close'), [78, null])
  assert.match(out, /mistaken\.yaml:2:8: unknown key `tumbing`, did you mean `tumbling`\?\n$/)
})

test('--data is over the file and the environment, whatever its name looks like', async () => {
  const config = join(data, 'with-data.yaml')
  writeFileSync(config, 'data: ./elsewhere\nmqtt: { passwordFile: ./pw }\nlog: { format: json }\n')
  const load = (choice: object) =>
    loadConfiguration({ config, ...choice }, { SLUICE__LOG__LEVEL: 'warn' }, { plugins: [] })
  const plain = await load({})
  assert.deepEqual([plain.logLevel, plain.logPretty, plain.passwordFile], ['warn', false, join(data, 'pw')])
  for (const name of ['123', 'a b #c: d', "it's {x}", 'true']) {
    const directory = join(data, name)
    const { data: chosen, loaded } = await load({ data: directory })
    assert.deepEqual([chosen, loaded.config.data], [directory, directory])
  }
})

test('a defect ends the gateway with a line in the log that says where', { timeout: 30_000 }, async () => {
  const child = start('run', '--config', join(data, 'defective.yaml'), '--data', data)
  assert.deepEqual(await once(child.process, 'close'), [1, null])
  const { code, err } = JSON.parse(child.rest('err').trim().split('\n').at(-1) ?? '')
  assert.deepEqual([code, err.type], ['SLUICE_DEFECT', 'SyntaxError'])
  assert.match(err.stack, /at JSON\.parse/)
})

test('what Node warns of is a line of the log', { timeout: 30_000 }, async () => {
  const child = start('run', '--config', join(data, 'warning.yaml'), '--data', data)
  await child.line('out')
  const lines = [pick(await child.line('err')), pick(await child.line('err'))]
  assert.ok(
    lines.some(([level, text]) => level === 'warn' && text === '11 listeners added'),
    String(lines),
  )
  child.process.kill('SIGTERM')
  await once(child.process, 'exit')
})

test('a port in use is one clear line and exit 1', { timeout: 30_000 }, async () => {
  const child = start('run', '--config', join(data, 'in-use.yaml'), '--data', data)
  const [code] = await once(child.process, 'close')
  assert.deepEqual(
    [code, child.rest('out'), child.rest('err')],
    [1, '', 'sluice: mqtt: port 1883 is in use (SLUICE_PORT_IN_USE)\n'],
  )
})

function pick(line: string): [string, string] {
  const { level, msg } = JSON.parse(line)
  return [level, msg]
}

function start(...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  const text = { out: '', err: '' }
  child.stdout.on('data', (piece) => {
    text.out += piece
  })
  child.stderr.on('data', (piece) => {
    text.err += piece
  })
  const streams = { out: child.stdout, err: child.stderr }
  return {
    process: child,
    rest: (which: 'out' | 'err') => text[which],
    /** The next line, taken. */
    async line(which: 'out' | 'err'): Promise<string> {
      while (!text[which].includes('\n')) {
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${text.err}`)
        await Promise.race([once(streams[which], 'data'), once(child, 'exit')])
      }
      const end = text[which].indexOf('\n')
      const line = text[which].slice(0, end)
      text[which] = text[which].slice(end + 1)
      return line
    },
  }
}
