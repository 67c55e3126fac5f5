import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSite, type GatewayProcess, runCommand, type Site } from '../support/gateway-process.ts'
import { eventually } from '../support/within.ts'
import { createPromises, type Promises, publish, type Sender } from './devices.ts'
import { crashConfig, DEVICES, eventBase, finish } from './kill.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const mountable = process.platform === 'linux' && process.getuid?.() === 0 && canMount()
const skip = mountable ? false : 'a tmpfs cannot be mounted: not root'

function canMount(): boolean {
  const site = createSite({})
  try {
    mkdirSync(site.data)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', site.data], { stdio: 'ignore' })
    execFileSync('umount', [site.data])
    return true
  } catch {
    return false
  } finally {
    site.remove()
  }
}

interface Run {
  readonly site: Site
  readonly receiver: Receiver
  readonly promises: Promises
  readonly base: number
  start(): Promise<GatewayProcess>
  send(gateway: GatewayProcess, limit?: number): Promise<Sender>
}

const cleanups: (() => void | Promise<void>)[] = []
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

async function prepare(options: { tmpfs?: boolean; config?: object } = {}): Promise<Run> {
  const receiver = await startReceiver()
  const site = createSite(crashConfig(receiver.port, { log: { level: 'info' }, ...options.config }))
  mkdirSync(site.data)
  if (options.tmpfs) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', site.data])
  const gateways: GatewayProcess[] = []
  cleanups.push(async () => {
    await Promise.all(gateways.map((gateway) => gateway.kill('SIGKILL')))
    await receiver.close()
    if (options.tmpfs) execFileSync('umount', [site.data])
    site.remove()
  })
  const promises = createPromises(DEVICES)
  const base = eventBase()
  return {
    site,
    receiver,
    promises,
    base,
    async start() {
      const gateway = await site.start()
      gateways.push(gateway)
      return gateway
    },
    send: (gateway, limit) => publish(gateway.ports.mqtt as number, promises, base, limit),
  }
}

/** Takes all room of the file system. */
function fill(site: Site): string {
  const path = join(site.data, 'filler')
  const file = openSync(path, 'w')
  try {
    for (const size of [1 << 20, 4096, 1]) {
      const chunk = Buffer.alloc(size)
      try {
        while (statfsSync(site.data).bavail > 0) writeSync(file, chunk)
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      }
    }
  } finally {
    closeSync(file)
  }
  return path
}

async function health(gateway: GatewayProcess): Promise<{ status: number; reason?: string }> {
  const response = await fetch(`http://127.0.0.1:${gateway.ports.http}/healthz`)
  const { reason } = (await response.json()) as { reason?: string }
  return { status: response.status, ...(reason === undefined ? {} : { reason }) }
}

/** Resolves when the gateway says that its disk works again, for all that needs it. */
async function healthAgain(gateway: GatewayProcess): Promise<void> {
  for (;;) {
    const said = gateway.log().length
    if ((await health(gateway)).status === 200) return
    await gateway.said(/the disk works again/, said)
  }
}

/** How often the journal has tried in vain since its disk began to fail. */
async function attempts(gateway: GatewayProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${gateway.ports.http}/metrics`)).text()
  return Number(/sluice_stage_errors_total\{stage="journal"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0)
}

/** Comes to where tries go on in vain, and nothing is acknowledged between one and the next but one. */
async function standsStill(run: Run, gateway: GatewayProcess, meanwhile: () => void): Promise<void> {
  const still = async () => {
    const before = run.promises.total
    const tried = await attempts(gateway)
    await eventually(
      'two attempts in vain',
      async () => {
        meanwhile()
        return (await attempts(gateway)) >= tried + 2
      },
      60_000,
    )
    return run.promises.total === before
  }
  await eventually('nothing is acknowledged', still, 60_000)
}

async function finished(run: Run, gateway: GatewayProcess): Promise<void> {
  const failures = await finish(gateway, run.receiver, run.promises, run.base)
  assert.deepEqual(failures.slice(0, 10), [])
}

async function audited({ site }: Run): Promise<{ code: number | string; out: string }> {
  const { code, out, err } = await runCommand(['audit', '--data', site.data])
  return { code, out: out + err }
}

test('says that the disk is full, acknowledges nothing meanwhile, and goes on by itself when there is room', {
  skip,
  timeout: 120_000,
}, async () => {
  const run = await prepare({ tmpfs: true })
  const gateway = await run.start()
  const sender = await run.send(gateway)
  await run.promises.reached(1000)
  const filler = fill(run.site)
  await gateway.said(/the disk fails for the journal/)
  // The archive of the journal makes way, so acknowledgements go on for a moment before they end.
  await standsStill(run, gateway, () => fill(run.site))
  const { status, reason } = await health(gateway)
  assert.equal(status, 503)
  assert.match(reason ?? '', /ENOSPC|no space/)
  assert.match(gateway.log(), /"ENOSPC"/)
  const before = run.promises.total
  rmSync(filler)
  await healthAgain(gateway)
  await run.promises.reached(before + 500)
  await gateway.kill('SIGKILL')
  await sender.ended
  await finished(run, await run.start())
  const { code, out } = await audited(run)
  assert.equal(code, 0, out)
})

test('starts on a full disk, stops on it within 5 s, and loses nothing that was acknowledged', {
  skip,
  timeout: 120_000,
}, async () => {
  const run = await prepare({ tmpfs: true })
  const first = await run.start()
  const sender = await run.send(first)
  await run.promises.reached(1000)
  await first.kill('SIGKILL')
  await sender.ended
  const filler = fill(run.site)
  const second = await run.start()
  await second.said(/the disk fails for/)
  assert.equal((await health(second)).status, 503)
  const started = performance.now()
  assert.equal(await second.kill('SIGTERM'), 0)
  assert.ok(performance.now() - started < 5000, `stopped after ${performance.now() - started} ms`)
  const third = await run.start()
  const waiting = await run.send(third)
  const before = run.promises.total
  rmSync(filler)
  await healthAgain(third)
  await run.promises.reached(before + 500)
  await third.kill('SIGKILL')
  await waiting.ended
  await finished(run, await run.start())
  const { code, out } = await audited(run)
  assert.equal(code, 0, out)
})

test('starts on a read-only file system and writes as soon as it may', { skip, timeout: 120_000 }, async () => {
  const run = await prepare({ tmpfs: true })
  const first = await run.start()
  const sender = await run.send(first)
  await run.promises.reached(500)
  await first.kill('SIGKILL')
  await sender.ended
  execFileSync('mount', ['-o', 'remount,ro', run.site.data])
  const second = await run.start()
  await second.said(/the disk fails for/)
  assert.equal((await health(second)).status, 503)
  assert.match(second.log(), /EROFS/)
  const before = run.promises.total
  const waiting = await run.send(second)
  await standsStill(run, second, () => undefined)
  assert.equal(run.promises.total, before)
  execFileSync('mount', ['-o', 'remount,rw', run.site.data])
  await healthAgain(second)
  await run.promises.reached(before + 500)
  waiting.destroy()
  await waiting.ended
  await finished(run, second)
  const { code, out } = await audited(run)
  assert.equal(code, 0, out)
})

test('goes on when the journal is deleted underneath, and starts when it was deleted', {
  timeout: 120_000,
}, async () => {
  const run = await prepare()
  const first = await run.start()
  const sender = await run.send(first)
  await run.promises.reached(500)
  rmSync(join(run.site.data, 'journal'), { recursive: true })
  await first.said(/deleted underneath|ENOENT/)
  const before = run.promises.total
  await run.promises.reached(before + 500)
  sender.destroy()
  await sender.ended
  // What the kernel had of the journal went with it, but the state is in memory: nothing is missing.
  await finished(run, first)
  rmSync(join(run.site.data, 'journal'), { recursive: true })
  const second = await run.start()
  assert.equal((await health(second)).status, 200)
  await second.kill('SIGKILL')
  const third = await run.start()
  await third.kill('SIGTERM')
  const { code, out } = await audited(run)
  assert.equal(code, 0, out)
})

test('goes on when its whole data directory is deleted underneath, and is found and locked there again', {
  timeout: 60_000,
}, async () => {
  const run = await prepare()
  const { site, promises } = run
  const gateway = await run.start()
  const sender = await run.send(gateway, 500)
  await sender.finished
  sender.destroy()
  rmSync(site.data, { recursive: true })
  const more = await run.send(gateway)
  await promises.reached(1500)
  more.destroy()
  await eventually('the lock', () => existsSync(join(site.data, 'lock')) && existsSync(join(site.data, 'runtime.json')))
  assert.equal((await runCommand(['status', '--data', site.data])).code, 0)
  const rival = await runCommand(['run', ...site.args])
  assert.match(rival.err, /SLUICE_DATA_LOCKED/)
  assert.equal(await gateway.kill('SIGTERM'), 0)
})

test('a corrupt newest checkpoint is put aside, and the older one with the journal gives the same', {
  timeout: 120_000,
}, async () => {
  const run = await prepare()
  // Two checkpoints, and traffic after them.
  await (await run.start()).kill('SIGTERM')
  const first = await run.start()
  const sender = await run.send(first)
  await run.promises.reached(1000)
  await first.kill('SIGKILL')
  await sender.ended
  const folder = join(run.site.data, 'checkpoints')
  const again = await run.start()
  const more = await run.send(again)
  const before = run.promises.total
  await run.promises.reached(before + 500)
  await again.kill('SIGKILL')
  await more.ended
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith('.ckpt'))
    .sort()
    .at(-1) as string
  flip(join(folder, newest), 200)
  const failed = await audited(run)
  assert.equal(failed.code, 1, failed.out)
  const last = await run.start()
  assert.match(last.log(), /damaged/)
  assert.ok(readdirSync(folder).includes(`${newest}.corrupt`))
  await finished(run, last)
})

test('a flipped bit in a closed segment of the journal is a gap, fails the audit, and is no reason not to start', {
  timeout: 120_000,
}, async () => {
  // Long enough without a checkpoint that the replay meets the damage.
  const run = await prepare({ config: { journal: { segment: '64KiB' } } })
  const first = await run.start()
  const sender = await run.send(first)
  const folder = join(run.site.data, 'journal')
  await eventually('several segments', () => segments(folder).length >= 4)
  await first.kill('SIGKILL')
  await sender.ended
  const [, second = ''] = segments(folder)
  flip(join(folder, second), Math.floor(statSync(join(folder, second)).size / 2))
  const failed = await audited(run)
  assert.equal(failed.code, 1, failed.out)
  const gateway = await run.start()
  const events = () =>
    [...run.receiver.logs].filter(([name]) => name.startsWith('event')).flatMap(([, log]) => [...log.values()])
  run.receiver.mood = 'up'
  await eventually('the gap', () => events().some(({ kind, reason }) => kind === 'gap' && reason === 'damage'))
  const gap = events().find(({ reason }) => reason === 'damage')
  assert.ok(Number(gap?.count) > 0 && Number(gap?.count) < 1000, JSON.stringify(gap))
  assert.equal(await gateway.kill('SIGTERM'), 0)
  assert.equal((await audited(run)).code, 1)
})

test('damaged settings, outbox state and runtime file are put aside', { timeout: 120_000 }, async () => {
  const run = await prepare()
  const first = await run.start()
  const sender = await run.send(first)
  await run.promises.reached(500)
  await eventually('the state', () => existsSync(join(run.site.data, 'outbox', 'state')))
  await first.kill('SIGKILL')
  await sender.ended
  writeFileSync(join(run.site.data, 'settings.json'), '{"plugins":')
  writeFileSync(join(run.site.data, 'runtime.json'), '\0\0\0')
  flip(join(run.site.data, 'outbox', 'state'), 30)
  const gateway = await run.start()
  assert.match(gateway.log(), /settings\.json/)
  await finished(run, gateway)
})

function segments(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.seg'))
    .sort()
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] as number) ^ 0x10
  writeFileSync(`${path}.tmp`, bytes)
  renameSync(`${path}.tmp`, path)
}
