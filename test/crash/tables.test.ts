import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSite, type GatewayProcess, runCommand } from '../support/gateway-process.ts'
import { startReceiver } from './receiver.ts'

const BASE = Date.UTC(2026, 10, 23, 7, 44)

async function send({ ports }: GatewayProcess, second: number): Promise<void> {
  const body = JSON.stringify({ time: new Date(BASE + second * 1000).toISOString(), v: second })
  const url = `http://127.0.0.1:${ports.http}/api/telemetry/d1`
  const { status } = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  assert.equal(status, 204)
}

test('a look-up table that changes while the gateway is down changes nothing that came before', async (t) => {
  const receiver = await startReceiver()
  const site = createSite({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    lookups: { rooms: { file: 'rooms.csv' } },
    decode: [{ topic: 'telemetry/{device}', time: 'time', lookup: [{ table: 'rooms', by: 'device', add: ['room'] }] }],
    windows: { rooms: { tumbling: '10s', by: ['device', 'room'] } },
    upstreams: { lake: { http: { url: `http://127.0.0.1:${receiver.port}/` } } },
  })
  t.after(async () => {
    await receiver.close()
    site.remove()
  })
  // More rows than one part holds.
  const rows = (room: string) => Array.from({ length: 5000 }, (_, i) => `d${i},${room}`)
  const table = (room: string) =>
    writeFileSync(join(site.folder, 'rooms.csv'), ['device,room', ...rows(room)].join('\n'))

  table('kitchen')
  const first = await site.start()
  for (const second of [0, 1, 2]) await send(first, second)
  await first.kill('SIGKILL')
  table('hall')
  const second = await site.start()
  for (const at of [3, 4, 30]) await send(second, at)
  const results = () =>
    [...receiver.logs].filter(([name]) => name.startsWith('result')).flatMap(([, log]) => [...log.values()])
  while (results().length < 2) await receiver.next()
  const counted = results().map(({ key, count }) => [(key as { room: string }).room, count])
  assert.deepEqual(counted.sort(), [
    ['hall', 2],
    ['kitchen', 3],
  ])
  await second.kill('SIGKILL')
  const { code, out } = await runCommand(['audit', '--data', site.data])
  assert.equal(code, 0, out)
})
