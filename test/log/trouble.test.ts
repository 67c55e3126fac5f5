import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../gateway/clock.ts'
import { realFiles } from '../../gateway/log/files.ts'
import { type Log, type LogOptions, openLog, type Trouble } from '../../gateway/log/log.ts'
import { verifyLog } from '../../gateway/log/verify.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk, type FaultyDisk, type Operation } from '../support/faulty-files.ts'

const DIRECTORY = '/log'

interface Setup {
  readonly disk: FaultyDisk
  readonly clock: FakeClock
  readonly log: Log
  readonly troubles: (string | null)[]
}

async function setUp(more: Partial<LogOptions> = {}, disk: FaultyDisk = createFaultyDisk()): Promise<Setup> {
  const clock = new FakeClock()
  const troubles: (string | null)[] = []
  const onTrouble = (trouble: Trouble | null) => troubles.push(trouble?.code ?? null)
  const log = await openLog({
    directory: DIRECTORY,
    files: disk.mount(),
    clock,
    segmentBytes: 2000,
    onTrouble,
    ...more,
  })
  return { disk, clock, log, troubles }
}

/** Time passes, and what the disk is asked gets done. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  await clock.advance(ms)
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function settle(setup: Setup, rounds = 10): Promise<void> {
  for (let i = 0; i < rounds; i++) await pass(setup.clock, 1000)
}

async function countOf(log: Log): Promise<number> {
  let count = 0
  for await (const batch of log.read(1)) {
    assert.equal(batch.first, count + 1)
    count += batch.count
  }
  return count
}

function appendSome(log: Log, count = 5): void {
  for (let i = 0; i < count; i++) assert.ok(log.append(Buffer.from(`record ${log.next} `.padEnd(100, '.'))) > 0)
}

test('a disk that fills at any operation, and is freed, costs nothing', { timeout: 30_000 }, async () => {
  for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
    for (let site = 0; ; site++) {
      const setup = await setUp()
      const { disk, log, clock, troubles } = setup
      let operations = 0
      let failing = 0
      const counted: readonly Operation[] = [
        'mkdir',
        'create',
        'edit',
        'write',
        'sync',
        'rename',
        'syncdir',
        'truncate',
        'remove',
      ]
      // From the `site`-th change on nothing works, for five changes.
      disk.fault = (operation) => {
        if (!counted.includes(operation)) return null
        return operations++ >= site && failing++ < 5 ? code : null
      }
      for (let i = 0; i < 8; i++) {
        appendSome(log)
        log.urgent()
        await pass(clock, 30)
      }
      await settle(setup)
      assert.equal(log.trouble, null)
      assert.equal(log.durable, 40, `${code} at operation ${site}`)
      assert.equal(await countOf(log), 40)
      if (failing > 0) assert.ok(troubles.length === 0 || (troubles[0] === code && troubles.at(-1) === null))
      await log.close()
      disk.powerCut()
      disk.fault = () => null
      const again = await setUp({}, disk)
      assert.equal(await countOf(again.log), 40)
      if (failing === 0) break
    }
  }
})

test('after a failed fdatasync the records go to a new segment by a new descriptor', async () => {
  const setup = await setUp({ segmentBytes: 1_000_000 })
  const { disk, log } = setup
  appendSome(log)
  await log.flush()
  let syncs = 0
  disk.fault = (operation) => (operation === 'sync' && syncs++ === 0 ? 'EIO' : null)
  appendSome(log)
  log.urgent()
  await pass(setup.clock, 10)
  assert.equal(log.trouble?.code, 'EIO')
  assert.equal(log.durable, 5)
  const before = disk.paths()
  await settle(setup, 3)
  assert.equal(log.durable, 10)
  assert.equal(disk.paths().length, before.length + 1, 'one more segment')
  disk.powerCut()
  assert.equal((await setUp({}, disk)).log.next, 11)
})

test('a fdatasync that failed before a crash is not believed after it', async () => {
  const { disk, log, clock } = await setUp()
  disk.fault = (operation, path) => (operation === 'sync' && path.endsWith('.seg') && ++failed ? 'EIO' : null)
  let failed = 0
  appendSome(log)
  log.urgent()
  await pass(clock, 10)
  assert.ok(failed > 0)
  disk.kill()
  disk.fault = () => null
  // The kernel still shows the records; whoever reads them now must be able to rely on them.
  const again = await setUp({}, disk)
  assert.equal(again.log.durable, 5)
  disk.powerCut()
  assert.equal((await setUp({}, disk)).log.durable, 5)
})

test('while the disk is full appends go on until the buffer is, memory stays bounded, and room is announced', async () => {
  const setup = await setUp({ maxBuffer: 10_000, commit: { bytes: 1000 } })
  const { disk, log } = setup
  let room = 0
  log.onRoom(() => room++)
  disk.capacity = 0
  let taken = 0
  while (log.append(Buffer.alloc(100)) > 0) taken++
  await settle(setup, 5)
  assert.ok(taken > 80 && taken < 100)
  assert.ok(log.pendingBytes <= 10_000 && !log.roomy)
  assert.deepEqual(setup.troubles, ['ENOSPC'], 'said once')
  assert.ok((log.trouble?.attempts ?? 0) > 3)
  assert.ok(disk.paths().length < 4, 'attempts leave nothing behind')
  disk.capacity = Infinity
  await settle(setup, 2)
  assert.equal(log.durable, taken)
  assert.deepEqual([room, log.roomy, setup.troubles.at(-1)], [1, true, null])
})

test('a log opens on a read-only disk and says so when it must write', async () => {
  const disk = createFaultyDisk()
  disk.fault = (operation) => (['open', 'read', 'list', 'size'].includes(operation) ? null : 'EROFS')
  const setup = await setUp({}, disk)
  appendSome(setup.log)
  await settle(setup, 2)
  assert.equal(setup.log.trouble?.code, 'EROFS')
  disk.fault = () => null
  await settle(setup, 2)
  assert.equal(setup.log.durable, 5)
})

test('closing in trouble ends', async () => {
  const setup = await setUp()
  setup.disk.capacity = 0
  appendSome(setup.log)
  void setup.log.flush()
  await settle(setup, 2)
  await setup.log.close()
  assert.equal(setup.log.durable, 0)
})

test('a directory deleted underneath is noticed before anything more is called durable', async () => {
  const setup = await setUp()
  const { disk, log } = setup
  appendSome(log)
  await log.flush()
  disk.removeDirectory(DIRECTORY)
  appendSome(log)
  log.urgent()
  await pass(setup.clock, 20)
  assert.deepEqual([log.durable, log.trouble?.code], [5, 'ENOENT'])
  await settle(setup, 3)
  assert.equal(log.durable, 10)
  const { epoch } = log
  await log.close()
  disk.powerCut()
  const { log: again } = await setUp({}, disk)
  assert.deepEqual([again.epoch, again.first, again.next], [epoch, 6, 11])
})

test('on a real file system too: the directory is deleted, and the log goes on', { timeout: 20_000 }, async () => {
  const parent = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  const directory = join(parent, 'log')
  const alive = setInterval(() => undefined, 1000)
  try {
    const log = await openLog({ directory, files: realFiles, clock: systemClock })
    appendSome(log)
    await log.flush()
    rmSync(directory, { recursive: true })
    appendSome(log)
    await log.flush()
    assert.equal(log.trouble, null)
    assert.deepEqual(readdirSync(directory), ['0000000000000006.seg', 'epoch'])
    await log.close()
    const report = await verifyLog({ directory, files: realFiles })
    assert.deepEqual([report.first, report.next, report.damage.length], [6, 11, 0])
  } finally {
    clearInterval(alive)
    rmSync(parent, { recursive: true })
  }
})

test('what cannot be deleted now is deleted later, oldest first', async () => {
  const setup = await setUp({ segmentBytes: 500 })
  const { disk, log } = setup
  for (let i = 0; i < 6; i++) {
    appendSome(log)
    await log.flush()
  }
  let refused = 0
  disk.fault = (operation) => (operation === 'remove' && refused++ === 0 ? 'EIO' : null)
  await log.trimTo(16)
  assert.equal(log.first, 16)
  disk.fault = () => null
  assert.ok(disk.paths().includes(`${DIRECTORY}/0000000000000006.seg`), 'no hole behind the one that stayed')
  await log.trimTo(21)
  assert.deepEqual(
    disk.paths().map((path) => path.slice(-7)),
    ['021.seg', '026.seg', '/epoch'].map((name) => name.slice(-7).replace('/epoch', 'g/epoch')),
  )
})
