import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Batch, type Log, type LogOptions, openLog } from '../../gateway/log/log.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk, type FaultyDisk } from '../support/faulty-files.ts'

const DIRECTORY = '/log'

interface Setup {
  readonly disk: FaultyDisk
  readonly clock: FakeClock
  readonly log: Log
}

async function setUp(more: Partial<LogOptions> = {}, disk: FaultyDisk = createFaultyDisk()): Promise<Setup> {
  const clock = new FakeClock()
  const onDamage = (damage: unknown) => assert.fail(`no damage expected: ${JSON.stringify(damage)}`)
  return { disk, clock, log: await openLog({ directory: DIRECTORY, files: disk.mount(), clock, onDamage, ...more }) }
}

async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function textsOf({ count, body, bounds }: Batch): string[] {
  return Array.from({ length: count }, (_, i) => body.toString('utf8', bounds[2 * i], bounds[2 * i + 1]))
}

async function texts(log: Log, from = 1): Promise<string[]> {
  const found: string[] = []
  for await (const batch of log.read(from)) found.push(...textsOf(batch))
  return found
}

test('records come back as they were written, whatever their length', async () => {
  const { disk, log } = await setUp({ compress: true })
  const lengths = [0, 1, 127, 128, 16_383, 16_384, 300_000, 2_097_152, 5]
  const records = lengths.map((length, i) => 'abcdefghi'.charAt(i).repeat(length))
  for (const record of records) {
    const at = log.reserve(record.length)
    log.buffer.write(record, at, 'latin1')
  }
  await log.flush()
  assert.deepEqual(await texts(log), records)
  await log.close()
  const again = await setUp({}, disk)
  assert.equal(again.log.next, 10)
  assert.deepEqual(await texts(again.log, 9), ['a'.repeat(0) + 'i'.repeat(5)])
})

test('a record waits for its commit no longer than the interval', async () => {
  const { clock, log } = await setUp({ commit: { interval: 20 } })
  log.append(Buffer.from('a'))
  await clock.advance(19)
  await turns()
  assert.equal(log.written, 0)
  await clock.advance(1)
  await turns()
  assert.equal(log.durable, 1)
})

test('an eager log commits in the same turn, and many records of one turn with one write', async () => {
  const { log } = await setUp({ commit: { eager: true } })
  for (let i = 0; i < 100; i++) log.append(Buffer.from('a'))
  await turns()
  assert.deepEqual([log.durable, log.syncs], [100, 1])
})

test('nobody waits for a lazy record: it is written with the next commit and synced within a second', async () => {
  const { clock, log } = await setUp({ commit: { eager: true, interval: 20 } })
  const written: number[] = []
  log.onWritten((number) => written.push(number))
  log.append(Buffer.from('lazy'), true)
  await clock.advance(20)
  await turns()
  assert.deepEqual([log.written, log.durable, written], [1, 0, [1]])
  await clock.advance(1000)
  await turns()
  assert.equal(log.durable, 1)
})

test('who waits for the kernel waits 2 ms, and a disk that then fails is given the record again', async () => {
  const { clock, disk, log } = await setUp({ commit: { eager: true, interval: 20 } })
  log.append(Buffer.from('a'), true)
  log.append(Buffer.from('b'), true)
  log.writeSoon()
  log.writeSoon()
  await clock.advance(2)
  await turns()
  assert.deepEqual([log.written, log.durable], [2, 0])
  disk.fault = (operation) => (operation === 'sync' ? 'EIO' : null)
  await clock.advance(1000)
  await turns()
  assert.deepEqual([log.durable, log.trouble?.code], [0, 'EIO'])
  disk.fault = () => null
  await clock.advance(1000)
  await turns()
  assert.equal(log.durable, 2)
  assert.deepEqual(await texts(log), ['a', 'b'])
})

test('where commits are not eager, who waits for the kernel waits for the interval', async () => {
  const { clock, log } = await setUp({ commit: { interval: 1000 } })
  log.append(Buffer.from('a'), true)
  log.writeSoon()
  await clock.advance(999)
  await turns()
  assert.equal(log.written, 0)
})

test('urgent commits what the interval would leave waiting', async () => {
  const { log } = await setUp({ commit: { interval: 60_000 } })
  log.append(Buffer.from('alert'))
  log.urgent()
  await turns()
  assert.equal(log.durable, 1)
})

test('a record may be finished after more was reserved in the same turn', async () => {
  const { log } = await setUp({ commit: { bytes: 200, eager: true } })
  const at = log.reserve(100)
  const { buffer } = log
  for (let i = 0; i < 5; i++) log.append(Buffer.alloc(100, 'b'))
  buffer.fill('a', at, at + 100)
  await log.flush()
  assert.equal((await texts(log))[0], 'a'.repeat(100))
})

test('a mark covers the records before it, also when it is committed without any', async () => {
  const { disk, log } = await setUp()
  log.append(Buffer.from('covered'))
  log.mark(7)
  log.append(Buffer.from('not covered'))
  await log.flush()
  assert.deepEqual([log.marked, log.unmarked], [7, 2])
  disk.powerCut()
  const again = await setUp({}, disk)
  assert.deepEqual([again.log.marked, again.log.unmarked, again.log.next], [7, 2, 3])
  again.log.mark(9)
  await again.log.flush()
  disk.powerCut()
  const last = await setUp({}, disk)
  assert.deepEqual([last.log.marked, last.log.unmarked, last.log.next], [9, 3, 3])
})

test('deflating makes a log of text small, and leaves what does not shrink as it is', async () => {
  const plain = await setUp()
  const deflated = await setUp({ compress: true })
  const noise = await setUp({ compress: true })
  for (let i = 0; i < 1000; i++) {
    const record = Buffer.from(JSON.stringify({ device: `dvc${i % 40}`, temperature: 20 + (i % 17), state: 'NSW' }))
    plain.log.append(record)
    deflated.log.append(record)
  }
  const random = Buffer.from(Array.from({ length: 5000 }, (_, i) => (Math.imul(i + 1, 2_654_435_761) >>> 13) & 0xff))
  noise.log.append(random)
  for (const { log } of [plain, deflated, noise]) await log.flush()
  assert.ok(deflated.log.bytes < plain.log.bytes / 5, `${deflated.log.bytes} of ${plain.log.bytes}`)
  assert.ok(noise.log.bytes < 5200)
  assert.deepEqual(await texts(deflated.log), await texts(plain.log))
})

test('opening a backlog of 1 GB reads one segment', async () => {
  const disk = createFaultyDisk()
  const first = await setUp({ floor: 1 + 127 * 40_000 }, disk)
  for (let i = 0; i < 50; i++) first.log.append(Buffer.alloc(1000))
  await first.log.close()
  const [path = ''] = disk.paths()
  const content = disk.content(path)
  // 128 segments of 8 MB, as far as names and sizes say.
  const files = disk.mount()
  const names = Array.from({ length: 128 }, (_, i) => `${String(1 + i * 40_000).padStart(16, '0')}.seg`)
  const newest = names.at(-1) ?? ''
  assert.ok(path.endsWith(newest))
  const before = disk.bytesRead
  const log = await openLog({
    directory: DIRECTORY,
    clock: new FakeClock(),
    files: {
      ...files,
      list: async () => ['epoch', ...names],
      size: async (name) => (name.endsWith(newest) ? files.size(name) : 8 * 1024 * 1024),
    },
  })
  assert.deepEqual([log.first, log.next], [1, 127 * 40_000 + 51])
  assert.ok(log.bytes > 1_000_000_000)
  assert.ok(disk.bytesRead - before < content.length + 1000, `${disk.bytesRead - before} bytes read`)
})

test('a reader beside trimming skips to the oldest that is kept and says how many it missed', async () => {
  const { log } = await setUp({ segmentBytes: 300 })
  for (let i = 1; i <= 20; i++) {
    log.append(Buffer.from(`record ${i} `.padEnd(100, '.')))
    await log.flush()
  }
  const seen: [first: number, skipped: number][] = []
  for await (const { first, skipped } of log.read(1)) {
    seen.push([first, skipped])
    if (first === 3) await log.trimTo(12)
  }
  const next = seen.find(([, skipped]) => skipped > 0)
  assert.ok(next)
  assert.equal(next[0], log.first)
  assert.equal(next[1], log.first - (seen[seen.indexOf(next) - 1]?.[0] ?? 0) - 1)
  assert.equal(seen.at(-1)?.[0], 20)
})

test('a reader follows what becomes durable, until it is told to stop', async () => {
  const { log } = await setUp({ segmentBytes: 300 })
  const stop = new AbortController()
  const found: string[] = []
  const reading = (async () => {
    for await (const batch of log.read(1, { follow: stop.signal })) found.push(...textsOf(batch))
  })()
  for (let i = 1; i <= 10; i++) {
    log.append(Buffer.from(`record ${i} `.padEnd(90, '.')))
    assert.equal(found.length, i - 1)
    await log.flush()
    await turns(5)
  }
  stop.abort()
  await reading
  assert.equal(found.length, 10)
})

test('retention drops the oldest segments by bytes and by age, never what must be kept, and says what', async () => {
  const { clock, log } = await setUp({ segmentBytes: 1000 })
  const start = clock.now()
  for (let i = 0; i < 30; i++) {
    log.append(Buffer.alloc(300))
    await log.flush()
    await clock.advance(1000)
  }
  assert.equal(log.oldestTime, start)
  assert.equal(await log.retain({ maxBytes: 5000, keepFrom: 1 }), null)
  const { bytes } = log
  const byBytes = await log.retain({ maxBytes: 5000 })
  assert.ok(byBytes && log.bytes <= 5000)
  assert.deepEqual(
    [byBytes.first, byBytes.last, byBytes.count, byBytes.bytes],
    [1, log.first - 1, log.first - 1, bytes - log.bytes],
  )
  assert.deepEqual([byBytes.from, byBytes.to], [start, start + byBytes.count * 1000])
  const byAge = await log.retain({ maxAge: 6000 })
  assert.ok(byAge && clock.now() - (log.oldestTime ?? 0) <= 6000 + 3000)
  await log.retain({ maxBytes: 0 })
  assert.ok(log.first < log.next, 'the newest segment stays')
})

test('memory: the buffer is bounded, and a record longer than it passes alone', async () => {
  const { log } = await setUp({ maxBuffer: 1000 })
  assert.ok(log.reserve(5000) > 0)
  assert.equal(log.reserve(10), -1)
  await log.flush()
  assert.ok(log.reserve(10) > 0)
  assert.throws(() => log.reserve(65 * 1024 * 1024), RangeError)
})

test('a closed log takes nothing more', async () => {
  const { log } = await setUp()
  log.append(Buffer.from('a'))
  await log.close()
  assert.deepEqual([log.append(Buffer.from('b')), log.durable], [-1, 1])
})

test('opening and closing without a record leaves the files alone', async () => {
  const { disk, log } = await setUp()
  log.append(Buffer.from('a'))
  await log.close()
  const before = disk.paths().map((path) => disk.content(path).length)
  for (let i = 0; i < 3; i++) await (await setUp({}, disk)).log.close()
  assert.deepEqual(
    disk.paths().map((path) => disk.content(path).length),
    before,
  )
})

test('a trim leaves the segment that holds the mark until the next one is durable', async () => {
  const more = { segmentBytes: 100, sync: 'interval' } as const
  const { disk, log } = await setUp(more)
  log.append(Buffer.alloc(200))
  log.mark(7)
  await log.flush()
  log.append(Buffer.from('b'))
  log.urgent()
  await turns()
  assert.deepEqual([log.written, log.durable], [2, 1])
  await log.trimTo(2)
  assert.equal(log.first, 1, 'the second segment may be gone after a power cut')
  disk.powerCut()
  const again = await setUp(more, disk)
  assert.equal(again.log.marked, 7)
  again.log.append(Buffer.from('b'))
  await again.log.flush()
  await again.log.trimTo(2)
  assert.equal(again.log.first, 2)
})
