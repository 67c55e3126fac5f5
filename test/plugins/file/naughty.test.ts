import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTestGateway } from '../../support/gateway.ts'
import { publishAndLeave } from '../../support/mqtt-device.ts'

/** A plugin that does what it is told to do wrong. */
const NAUGHTY = `module.exports = ({ z }) => ({
  name: 'naughty',
  roles: ['source', 'sink', 'commander'],
  config: z.object({ wrong: z.string() }),
  create({ wrong }) {
    const bad = () => { throw new Error(wrong) }
    if (wrong === 'create') bad()
    if (wrong === 'commander') return { commander: { reaches: bad, onReachable: bad, waiting: bad, describe: bad, execute: bad } }
    return {
      source: {
        ports: bad,
        run(emit, signal) {
          if (wrong === 'throws') bad()
          if (wrong === 'rejects') return Promise.reject('no error at all')
          if (wrong === 'returns') return Promise.resolve()
          if (wrong === 'emits') return emit({ topic: 7, payload: 'text' })
          return new Promise(() => undefined)
        },
      },
      sink: { connect: bad, write: bad, close: bad },
    }
  },
})`

test('plugins that throw, reject, end or hang harm nothing else, and are seen', { timeout: 30_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-naughty-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'naughty.js')
  await writeFile(file, NAUGHTY)
  const wrongs = ['create', 'throws', 'rejects', 'returns', 'emits', 'hangs', 'commander']
  const site = await startTestGateway({
    plugins: [file],
    sources: Object.fromEntries(wrongs.map((wrong) => [wrong, { naughty: { wrong } }])),
    upstreams: { made: { naughty: { wrong: 'create' } }, used: { naughty: { wrong: 'sink' } } },
    devices: { lamp: {} },
  })
  const { api } = site.gateway
  await publishAndLeave(site.port('mqtt'), { topic: 'telemetry/d1', payload: '{"t":1}' })
  assert.equal(api.device('d1')?.fields.t, 1)
  assert.equal((await api.sendCommand({ device: 'lamp', command: 'on' }, 'api')).command.state, 'accepted')
  assert.equal(api.device('lamp')?.id, 'lamp')
  const { sources, upstreams } = api.status()
  const errors = Object.fromEntries(sources.map(({ name, error }) => [name, error]))
  assert.match(errors.create ?? '', /plugin naughty could not be made: create/)
  assert.match(errors.throws ?? '', /throws/)
  assert.match(errors.rejects ?? '', /no error at all/)
  assert.match(errors.returns ?? '', /ended without being told to/)
  assert.match(errors.emits ?? '', /a topic, which is text/)
  assert.deepEqual([errors.hangs, errors.commander], [undefined, undefined])
  assert.match(upstreams.find(({ name }) => name === 'made')?.error ?? '', /could not be made/)
  assert.ok(upstreams.find(({ name }) => name === 'used')?.error)
  // One hangs on stop: it is abandoned.
  await site.close()
})
