/**
 * `data-v1` is what a gateway of the first builds left behind: 25 readings of pump-1, one a second, with a number and a text,
 * from 2026-11-01T00:00:00Z, and a command that expired; stopped and started; 10 more readings, then `kill -9`. Its upstream
 * was away all the time, so that three windows of 10 s and the command's records wait.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { crc32 } from '../../gateway/log/crc32.ts'
import { createSite, runCommand, type Site } from '../support/gateway-process.ts'
import { startHttpUpstream } from '../support/http-upstream.ts'

const OLD = fileURLToPath(new URL('data-v1', import.meta.url))
const sites: Site[] = []
after(() => {
  for (const site of sites) site.remove()
})

function oldSite(upstream = 'http://127.0.0.1:9/'): Site {
  const site = createSite({
    gateway: { id: 'old-site' },
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 't' }],
    windows: { 'per-device': { tumbling: '10s', by: ['device'], delay: '0s', idle: '10m' } },
    upstreams: { test: { http: { url: upstream } } },
  })
  sites.push(site)
  cpSync(OLD, site.data, { recursive: true })
  return site
}

test('the data of the first builds opens: what waited goes upstream, open windows go on, the audit balances', async (t) => {
  const upstream = await startHttpUpstream('old-site')
  t.after(() => upstream.close())
  const { inbox } = upstream
  const site = oldSite(upstream.url)
  const gateway = await site.start()
  t.after(() => gateway.kill('SIGKILL'))
  const url = `http://127.0.0.1:${gateway.ports.http}/api/telemetry/pump-1`
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ t: '2026-11-01T00:00:40.000Z', v: 40 })
  assert.equal((await fetch(url, { method: 'POST', headers, body })).status, 204)
  await inbox.until('four windows', () => inbox.windows('per-device').length === 4)
  assert.deepEqual(
    inbox.windows('per-device').map(({ seq, count }) => [seq, count]),
    [
      [1, 10],
      [2, 10],
      [3, 10],
      [4, 5],
    ],
  )
  const [, , third] = inbox.windows('per-device')
  assert.deepEqual(third?.fields.state, { count: 10, values: { off: 5, on: 5 } })
  assert.deepEqual(
    inbox.records('event').map(({ id, state }) => [id, state]),
    [
      ['old-1', 'accepted'],
      ['old-1', 'expired'],
    ],
  )
  assert.doesNotMatch(gateway.log(), /damaged/)
  assert.equal(await gateway.kill(), 0)
  const audit = await runCommand(['audit', '--data', site.data])
  assert.equal(audit.code, 0, audit.out + audit.err)
})

/** Each kept format, said to be the next one, as whoever writes that one will say it. */
const NEXT: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  'journal/epoch': (content) => {
    content[8] = 2
    content.writeUInt32BE(crc32(content.subarray(0, 28), 0), 28)
    return content
  },
  'journal/0000000000000030.seg': nextLog,
  'outbox/result/0000000000000003.seg': nextLog,
  'checkpoints/checkpoint-0000000000000029.ckpt': (content) => {
    content[8] = 3
    content.writeUInt32BE(crc32(content.subarray(16), crc32(content.subarray(0, 12), 0)), 12)
    return content
  },
  'outbox/state': (content) => {
    const json = Buffer.from(JSON.stringify({ ...JSON.parse(content.toString('utf8', 9)), v: 2 }))
    return Buffer.concat([Buffer.from(`${crcOf(json)}\n`), json])
  },
  'settings.json': () => {
    const next = { v: 2, lamps: [] }
    return Buffer.from(JSON.stringify({ crc32: crcOf(Buffer.from(JSON.stringify(next))), ...next }, null, 1))
  },
}

for (const [name, next] of Object.entries(NEXT)) {
  test(`${name} in a newer format is refused with one line, and stays as it is`, async () => {
    const site = oldSite()
    const file = join(site.data, name)
    writeFileSync(file, next(readFileSync(file)))
    const before = readFileSync(file)
    for (const command of ['run', 'audit']) {
      const { code, out, err } = await runCommand([command, ...site.args])
      assert.deepEqual([code, out], [1, ''], command)
      const [, format] =
        / has format (\d), written by a newer sluice; this one reads up to \d: upgrade it/.exec(err) ?? []
      assert.ok(format && err.startsWith(`sluice: ${file} has`) && err.endsWith('(SLUICE_NEWER_DATA)\n'), err)
    }
    assert.deepEqual(readFileSync(file), before)
  })
}

test('a gateway of a newer format is not asked anything', async () => {
  const site = oldSite()
  const file = join(site.data, 'runtime.json')
  writeFileSync(file, JSON.stringify({ v: 2, socket: '/run/sluice' }))
  const { code, err } = await runCommand(['status', ...site.args])
  assert.equal(code, 1)
  assert.match(err, /runtime\.json has format 2, written by a newer sluice/)
})

/** A segment's head is `"SLUICELG" | version | … | crc32`, 48 bytes. */
function nextLog(content: Buffer): Buffer {
  content[8] = 3
  content.writeUInt32BE(crc32(content.subarray(0, 44), 0), 44)
  return content
}

function crcOf(bytes: Buffer): string {
  return crc32(bytes, 0).toString(16).padStart(8, '0')
}
