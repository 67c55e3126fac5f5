import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../gateway/clock.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { startGateway } from '../../gateway/gateway.ts'
import { realFiles } from '../../gateway/log/files.ts'
import { createLog } from '../../gateway/logging.ts'
import { plugins } from '../../plugins/index.ts'
import { fileOf } from '../config/given.ts'
import { FakeClock } from '../support/clock.ts'

test('a disk that hangs makes the gateway unhealthy, though it answers and is ready', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'sluice-stuck-'))
  const yaml = JSON.stringify({ data, mqtt: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' } })
  const loaded = await loadConfig({ plugins, file: await fileOf(t, yaml), env: {} })
  const clock = new FakeClock(systemClock.now())
  let hangs = false
  let wake = () => undefined as unknown
  const woken = new Promise<void>((resolve) => {
    wake = resolve
  })
  const files = {
    ...realFiles,
    async edit(path: string) {
      const file = await realFiles.edit(path)
      return { ...file, write: async (...given: Parameters<typeof file.write>) => hold(() => file.write(...given)) }
    },
    async create(path: string) {
      const file = await realFiles.create(path)
      return { ...file, write: async (...given: Parameters<typeof file.write>) => hold(() => file.write(...given)) }
    },
  }
  const hold = async (write: () => Promise<void>) => {
    if (hangs) await woken
    await write()
  }
  const log = await createLog(systemClock, { level: 'error' })
  const gateway = await startGateway({ loaded, clock, log, version: 'test', files })
  const url = (path: string) => `http://127.0.0.1:${gateway.ports.http}${path}`
  const health = async () => {
    const answer = await fetch(url('/healthz'))
    return [answer.status, (await answer.json()) as { status: string; reason?: string }] as const
  }
  const send = () => fetch(url('/api/telemetry/d'), { method: 'POST', body: '1' }).then(({ status }) => status)

  await clock.advance(2000)
  assert.equal((await health())[0], 200)
  hangs = true
  const sent = send()
  // A slow disk is no stuck one.
  for (let i = 0; i < 20; i++) {
    await fetch(url('/readyz'))
    await clock.advance(1000)
  }
  assert.equal((await health())[0], 200)
  assert.equal(await sent, 503, 'the sender is told to come back')
  await clock.advance(20_000)
  const [status, { reason }] = await health()
  assert.equal(status, 503)
  assert.match(reason ?? '', /^journal has \d+ waiting and made no progress for \d+ s$/)
  assert.equal((await fetch(url('/readyz'))).status, 200)

  hangs = false
  wake()
  await clock.advance(2000)
  while ((await health())[0] !== 200) await clock.advance(1000)
  const stopping = gateway.stop()
  await clock.advance(5000)
  await stopping
  rmSync(data, { recursive: true })
})
