/** Every place where the gateway writes, and every way in which a disk refuses: it says so, and goes on by itself. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Clock, systemClock } from '../../gateway/clock.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { type Gateway, startGateway } from '../../gateway/gateway.ts'
import { auditData } from '../../gateway/journal/audit.ts'
import { createLog } from '../../gateway/logging.ts'
import { plugins } from '../../plugins/index.ts'
import { createFailingFiles, type Failing } from '../support/failing-files.ts'
import { holes, type Receiver, startReceiver } from './receiver.ts'

interface Site {
  /** As health and log call it. */
  readonly what: string
  readonly path: RegExp
  readonly operations: readonly Failing[]
}

const LOG: readonly Failing[] = ['create', 'write', 'sync']
const SMALL: readonly Failing[] = ['create', 'write', 'sync', 'rename']
const SITES: readonly Site[] = [
  { what: 'journal', path: /\/journal/, operations: [...LOG, 'syncdir', 'mkdir'] },
  { what: 'outbox result', path: /\/outbox\/result/, operations: LOG },
  { what: 'outbox state', path: /\/outbox\/state/, operations: SMALL },
  { what: 'checkpoints', path: /\/checkpoints/, operations: SMALL },
  { what: 'history', path: /\/history/, operations: LOG },
]
const CODES = ['ENOSPC', 'EIO', 'EROFS']
const READINGS = 20
const FACTOR = 20

/** The machine's clock, with timers that come sooner: what the gateway does each ten seconds, it does each half. */
const hasty: Clock = {
  ...systemClock,
  monotonic: () => performance.now() * FACTOR,
  after: (ms, callback) => systemClock.after(ms / FACTOR, callback),
  every: (ms, callback) => systemClock.every(ms / FACTOR, callback),
}

interface Place {
  readonly files: ReturnType<typeof createFailingFiles>
  readonly receiver: Receiver
  readonly gateway: Gateway
  readonly data: string
  /** Emits each line of the log by its message. */
  readonly said: EventEmitter
  reload(): Promise<void>
}

async function prepare(t: { after(end: () => unknown): void }): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sites-'))
  const receiver = await startReceiver()
  const data = join(folder, 'data')
  const file = join(folder, 'sluice.yaml')
  const listen = { listen: '127.0.0.1:0' }
  const upstreams = { test: { http: { url: `http://127.0.0.1:${receiver.port}/` }, batch: { age: '20ms' } } }
  const decode = [{ topic: 'telemetry/{device}', time: 't' }]
  const windows = { w: { tumbling: '10s', by: ['device'], idle: '10h' } }
  const config = { gateway: { id: 'sites' }, data, mqtt: listen, http: listen, upstreams, decode, windows }
  writeFileSync(file, JSON.stringify({ ...config, journal: { segment: '64KiB' } }))
  const said = new EventEmitter()
  const destination = { write: (line: string) => void said.emit('line', JSON.parse(line)) }
  const files = createFailingFiles()
  const loaded = await loadConfig({ plugins, file, env: {} })
  const log = await createLog(systemClock, { pretty: false, destination })
  const gateway = await startGateway({ loaded, clock: hasty, log, version: 'test', files })
  t.after(async () => {
    files.fault = () => null
    await gateway.stop()
    await receiver.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { files, receiver, gateway, data, said, reload: () => gateway.reload(loaded) }
}

interface Line {
  readonly level: string
  readonly msg: string
}

/** Resolves with the first line from now on that says so. */
async function line(said: EventEmitter, text: string): Promise<Line> {
  for (;;) {
    const [found] = (await once(said, 'line', { signal: AbortSignal.timeout(20_000) })) as [Line]
    if (found.msg.includes(text)) return found
  }
}

async function send({ gateway }: Place, window: number, base: number): Promise<void> {
  const readings = Array.from({ length: READINGS }, (_, i) => ({ t: base + window * 10_000 + i * 100, v: 1 }))
  await gateway.api.telemetry('telemetry/d', Buffer.from(JSON.stringify(readings)), undefined)
}

test('a disk that refuses at any place is said by name, and all goes on by itself when it does not', {
  timeout: 150_000,
}, async (t) => {
  const place = await prepare(t)
  const { files, gateway, receiver, said } = place
  const base = Math.floor((Date.now() - 48 * 3_600_000) / 10_000) * 10_000
  let window = 0
  for (const { what, path, operations } of SITES) {
    for (const [i, operation] of operations.entries()) {
      const code = CODES[i % CODES.length] as string
      const fails = line(said, `the disk fails for the ${what}`)
      const works = line(said, `the disk works again for the ${what}`)
      // What is open already is left only when it fails.
      files.fault = (other, file) => (path.test(file) && (other === operation || other === 'sync') ? code : null)
      const sent = [send(place, window++, base), send(place, window++, base)]
      const reloaded = place.reload()
      assert.equal((await fails).level, 'error', `${code} on ${operation}`)
      assert.match(gateway.api.trouble() ?? '', new RegExp(`^${what}: .*${code}`), operation)
      files.fault = () => null
      await works
      await Promise.all([...sent, reloaded])
    }
  }
  assert.equal(gateway.api.trouble(), undefined)
  await send(place, window + 3, base)
  const counts = () =>
    [...receiver.logs]
      .filter(([name]) => name.startsWith('result'))
      .flatMap(([, log]) => [...log.values()].map(({ count }) => count))
  while (counts().length < window) await receiver.next()
  assert.deepEqual(
    counts(),
    Array.from({ length: window }, () => READINGS),
  )
  assert.deepEqual(
    [...receiver.logs.values()].flatMap((log) => holes(log)),
    [],
  )
  await gateway.stop()
  const audit = await auditData({ data: place.data })
  assert.deepEqual([audit.balanced, audit.damage], [true, []])
})
