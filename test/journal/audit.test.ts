import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../gateway/clock.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { startGateway } from '../../gateway/gateway.ts'
import { auditData } from '../../gateway/journal/audit.ts'
import { realFiles } from '../../gateway/log/files.ts'
import { createLog } from '../../gateway/logging.ts'
import { openSettings } from '../../gateway/settings.ts'
import { plugins } from '../../plugins/index.ts'
import { createRandom } from '../support/random.ts'

const T0 = Date.UTC(2026, 5, 1)

/** Everything a gateway may leave in its data directory: it ran twice, its upstream was away, somebody set something. */
async function leftBehind(t: { after(end: () => void): void }, stop: boolean): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-audit-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  const file = join(folder, 'sluice.yaml')
  const listen = { listen: '127.0.0.1:0' }
  const upstreams = { away: { http: { url: 'http://127.0.0.1:9/' }, raw: true } }
  const windows = { w: { tumbling: '1s', by: ['device'] } }
  const rules = { hot: { when: { field: 'v', above: 90 } } }
  const decode = [{ topic: 'telemetry/{device}', time: 't' }]
  const config = { data, mqtt: listen, http: listen, upstreams, windows, rules, decode }
  writeFileSync(file, JSON.stringify(config))
  const loaded = await loadConfig({ plugins, file, env: {} })
  const log = await createLog(systemClock, { level: 'error', pretty: false, destination: { write: () => undefined } })
  const live = join(folder, 'live')
  for (let run = 0; run < 2; run++) {
    const gateway = await startGateway({ loaded, clock: systemClock, log, version: 'test' })
    for (let i = 0; i < 40; i++)
      await gateway.api.telemetry(`telemetry/d${i % 3}`, Buffer.from(`{"t":${T0 + i * 500},"v":${i * 3}}`), undefined)
    if (run === 1 && !stop) cpSync(data, live, { recursive: true })
    await gateway.stop()
  }
  const parts = { files: realFiles, clock: systemClock, onDamage: assert.fail, watched: (w: Promise<void>) => w }
  await (await openSettings({ ...parts, data: stop ? data : live })).store('lamp').set('scene', 'evening')
  return stop ? data : live
}

function filesBelow(data: string): string[] {
  const names = readdirSync(data, { recursive: true, encoding: 'utf8' })
  return names.map((name) => join(data, name)).filter((path) => statSync(path).isFile())
}

const transient = ['lock', 'runtime.json']

for (const stop of [true, false]) {
  const how = stop ? 'was stopped' : 'was killed'
  test(`a flipped byte in any file of a gateway that ${how} fails the audit, which changes nothing`, {
    timeout: 120_000,
  }, async (t) => {
    const data = await leftBehind(t, stop)
    const random = createRandom(20261127)
    const whole = await auditData({ data })
    assert.deepEqual([whole.balanced, whole.damage], [true, []])
    const kinds = new Set<string>()
    for (const path of filesBelow(data)) {
      const name = relative(data, path)
      if (transient.includes(name)) continue
      kinds.add(name.replace(/[\d-]{16,}/, '*'))
      const good = readFileSync(path)
      const places = [0, good.length - 1, ...Array.from({ length: 3 }, () => random.below(good.length))]
      for (const at of places) {
        const bad = Buffer.from(good)
        bad[at] = (bad[at] as number) ^ (1 + random.below(255))
        writeFileSync(path, bad)
        const { damage } = await auditData({ data })
        assert.ok(damage.length > 0, `byte ${at} of ${good.length} in ${name}`)
        assert.ok(readFileSync(path).equals(bad), 'repairs nothing')
      }
      writeFileSync(path, good)
    }
    for (const kind of [
      'journal/*.seg',
      'journal/epoch',
      'outbox/result/*.seg',
      'outbox/event/*.seg',
      'outbox/reading/*.seg',
      'outbox/state',
      'checkpoints/checkpoint-*.ckpt',
      'settings.json',
    ])
      assert.ok(
        [...kinds].some((found) => found.replace(/checkpoint\*/, 'checkpoint-*') === kind),
        `${kind} in ${[...kinds]}`,
      )
    assert.deepEqual((await auditData({ data })).damage, [])
  })
}

test('what a gateway put aside fails the audit for as long as it is there', async (t) => {
  const data = await leftBehind(t, true)
  writeFileSync(join(data, 'settings.json.corrupt'), 'x')
  const { damage } = await auditData({ data })
  assert.match(damage.join(), /settings\.json\.corrupt: was put aside/)
})
