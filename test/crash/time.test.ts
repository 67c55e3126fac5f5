import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { type Clock, systemClock } from '../../gateway/clock.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import { type Gateway, startGateway } from '../../gateway/gateway.ts'
import { auditData } from '../../gateway/journal/audit.ts'
import { createLog } from '../../gateway/logging.ts'
import { plugins } from '../../plugins/index.ts'
import { holes, type ReceivedRecord, type Receiver, startReceiver } from './receiver.ts'

const HOUR = 3_600_000
const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The machine's clock with a wall clock that can be set. */
function steppable(start?: number): Clock & { step(ms: number): void } {
  let offset = start === undefined ? 0 : start - Date.now()
  return {
    ...systemClock,
    now: () => Date.now() + offset,
    step: (ms) => {
      offset += ms
    },
  }
}

async function site(clock: Clock, config: object) {
  const receiver = await startReceiver()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-time-'))
  const data = join(folder, 'data')
  const file = join(folder, 'sluice.yaml')
  const log = await createLog(systemClock, { level: 'error' })
  let gateway: Gateway | undefined
  const configure = async (more: object) => {
    const upstreams = { test: { http: { url: `http://127.0.0.1:${receiver.port}/` }, batch: { age: '20ms' } } }
    const listen = { mqtt: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' } }
    writeFileSync(file, JSON.stringify({ gateway: { id: 'time' }, data, ...listen, upstreams, ...more }))
    return loadConfig({ plugins, file, env: {} })
  }
  const start = async () => {
    gateway = await startGateway({ loaded: await configure(config), clock, log, version: 'test' })
    return gateway
  }
  cleanups.push(async () => {
    await gateway?.stop()
    await receiver.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const records = (name: string) =>
    [...receiver.logs].filter(([key]) => key.startsWith(name)).flatMap(([, log]) => [...log.values()])
  return {
    receiver,
    data,
    start,
    configure,
    windows: (): WindowRecord[] => records('result') as unknown as WindowRecord[],
    events: () => records('event'),
    async stop() {
      await gateway?.stop()
      gateway = undefined
    },
  }
}

interface WindowRecord extends ReceivedRecord {
  readonly window: string
  readonly start: string
  readonly key: Readonly<Record<string, string>>
  readonly count: number
}

async function send(gateway: Gateway, device: string, payload: object): Promise<void> {
  await gateway.api.telemetry(`telemetry/${device}`, Buffer.from(JSON.stringify(payload)), undefined)
}

/** Looks at each batch that the upstream takes whether it is so. */
async function until({ receiver }: { receiver: Receiver }, what: string, condition: () => boolean): Promise<void> {
  const late = AbortSignal.timeout(30_000)
  const enough = new Promise<never>((_, reject) =>
    late.addEventListener('abort', () => reject(new Error(`${what}: not within 30 s`))),
  )
  while (!condition()) await Promise.race([receiver.next(), enough])
}

const total = (windows: readonly WindowRecord[], name: string) =>
  windows.filter(({ window }) => window === name).reduce((sum, { count }) => sum + count, 0)

test('steps of the wall clock by an hour lose nothing, count nothing twice and stall no window', {
  timeout: 60_000,
}, async () => {
  const clock = steppable()
  const windows = {
    device: { tumbling: '200ms', by: ['device'], idle: '1s' },
    all: { tumbling: '200ms', by: [], idle: '1s' },
  }
  const here = await site(clock, { windows })
  const gateway = await here.start()
  let sent = 0
  for (const step of [0, HOUR, 0, -HOUR, 0, -HOUR, HOUR, 0]) {
    clock.step(step)
    const before = total(here.windows(), 'all')
    for (let i = 0; i < 60; i++) {
      await send(gateway, `d${i % 3}`, { v: 1 })
      sent++
    }
    // No window waits for the hour to pass again.
    await until(here, `windows after a step of ${step} ms`, () => total(here.windows(), 'all') > before)
  }
  await until(
    here,
    'all windows',
    () => total(here.windows(), 'all') === sent && total(here.windows(), 'device') === sent,
  )
  const seen = here.windows().map(({ window, start, key }) => `${window} ${start} ${key.device ?? ''}`)
  assert.equal(new Set(seen).size, seen.length, 'a window came twice')
  assert.deepEqual(
    [...here.receiver.logs.values()].flatMap((log) => holes(log)),
    [],
  )
  await here.stop()
  const audit = await auditData({ data: here.data })
  assert.deepEqual([audit.balanced, audit.damage], [true, []])
})

test('readings stamped before the clock is set wait for it, over a restart too, and get their true time', {
  timeout: 60_000,
}, async () => {
  const clock = steppable(Date.UTC(1970, 0, 1, 0, 1))
  const windows = { device: { tumbling: '10s', by: ['device'], idle: '1s' } }
  const here = await site(clock, { windows })
  const first = await here.start()
  assert.match(first.api.status().notices.join(), /clock of this machine is not set/)
  const own = Date.UTC(2026, 5, 1)
  for (let i = 0; i < 5; i++) await send(first, 'stamped', { v: i })
  for (let i = 0; i < 20; i++) await send(first, 'own', { time: own + i * 1000, v: i })
  await here.stop()
  const second = await here.start()
  for (let i = 5; i < 10; i++) await send(second, 'stamped', { v: i })
  assert.deepEqual(
    second.api.windows({ limit: 100 }).results.filter(({ key }) => key.device === 'stamped'),
    [],
  )
  const live = await second.api.audit()
  assert.equal(live.sources.find(({ source }) => source === 'http')?.decoded, 30)
  clock.step(Date.now() - clock.now())
  const results = () => here.windows().filter(({ key }) => key.device === 'stamped')
  await until(here, 'the windows', () => results().reduce((sum, { count }) => sum + count, 0) === 10)
  assert.ok(!second.api.status().notices.join().includes('not set'))
  for (const { start } of results()) assert.ok(Math.abs(Date.parse(start) - Date.now()) < 60_000, start)
  await here.stop()
  const audit = await auditData({ data: here.data })
  assert.deepEqual([audit.balanced, audit.damage], [true, []])
})

test('the ledger of a window that left the config is kept, and what is too late for a correction is a gap', {
  timeout: 60_000,
}, async () => {
  const window = (size: string) => ({ w: { tumbling: size, by: ['device'], late: 'correct', retain: '1m' } })
  const decode = [{ topic: 'telemetry/{device}', time: 't' }]
  const here = await site(systemClock, { windows: window('10s'), decode })
  const gateway = await here.start()
  const base = Math.floor((Date.now() - HOUR) / 10_000) * 10_000
  for (let i = 0; i < 30; i++) await send(gateway, 'd', { t: base + i * 10_000, v: 1 })
  await send(gateway, 'd', { t: base, v: 1 })
  await until(here, 'the gap', () => here.events().some(({ kind, reason }) => kind === 'gap' && reason === 'late'))
  const gap = here.events().find(({ reason }) => reason === 'late')
  assert.deepEqual([gap?.count, gap?.source, gap?.window], [1, 'http', 'w'])
  await gateway.reload(await here.configure({ windows: window('20s'), decode }))
  await send(gateway, 'd', { t: base + 400_000, v: 1 })
  const row = (await gateway.api.audit()).windows.find(({ window: name, source }) => name === 'w' && source === 'http')
  assert.deepEqual([row?.decoded, row?.windowed, row?.late, row?.open, row?.balanced], [32, 30, 1, 1, true])
  await here.stop()
  const audit = await auditData({ data: here.data })
  const kept = audit.windows.find(({ window: name, source }) => name === 'w' && source === 'http')
  assert.deepEqual([kept?.decoded, audit.balanced, audit.damage], [32, true, []])
})
