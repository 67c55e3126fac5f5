import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { createSite } from '../support/gateway-process.ts'

const site = createSite({
  mqtt: { listen: '127.0.0.1:0' },
  http: { listen: '127.0.0.1:0' },
  decode: ['telemetry/{device}', 'iot-2/type/{type}/id/{device}/evt/{event}/fmt/json', 'meters/{device}'].map(
    (topic) => ({ topic, codec: topic.startsWith('meters') ? 'text' : 'json' }),
  ),
})
after(() => site.remove())

test('whoever reads the examples can send their samples', async () => {
  const gateway = await site.start()
  const send = (name: string) => {
    const args = ['--import', 'tsx', 'examples/send.ts', name, '--port', String(gateway.ports.mqtt), '--rounds', '1']
    return promisify(execFile)(process.execPath, args)
  }
  const said = await Promise.all(['modems', 'bikes', 'meters'].map(send))
  assert.match(said[0]?.stdout ?? '', /^round 1: 200 messages, such as telemetry\/dvc\d+ /)
  const answer = await fetch(`http://127.0.0.1:${gateway.ports.http}/api/audit`)
  const { sources } = (await answer.json()) as { sources: { in: number; decoded: number }[] }
  assert.deepEqual([sources[0]?.in, sources[0]?.decoded], [250, 250])
  await assert.rejects(send('modem'), /which example\? one of modems, bikes, meters/)
  await gateway.kill('SIGTERM')
})
