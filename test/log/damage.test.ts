import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { SluiceError } from '../../gateway/errors.ts'
import { crc32 } from '../../gateway/log/crc32.ts'
import { FRAME_HEAD, SEGMENT_HEAD } from '../../gateway/log/format.ts'
import { type Damage, type Log, type LogOptions, openLog } from '../../gateway/log/log.ts'
import { openStored, verifyLog } from '../../gateway/log/verify.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk, type FaultyDisk } from '../support/faulty-files.ts'

const DIRECTORY = '/log'

function open(disk: FaultyDisk, more: Partial<LogOptions> = {}): Promise<Log> {
  return openLog({ directory: DIRECTORY, files: disk.mount(), clock: new FakeClock(), ...more })
}

async function fill(log: Log, records: readonly string[]): Promise<void> {
  for (const record of records) log.append(Buffer.from(record))
  await log.flush()
}

interface Found {
  readonly number: number
  readonly text: string
}

async function texts(log: Pick<Log, 'read'>, from = 1): Promise<Found[]> {
  const found: Found[] = []
  for await (const { first, count, body, bounds } of log.read(from)) {
    for (let i = 0; i < count; i++) {
      found.push({ number: first + i, text: body.toString('utf8', bounds[2 * i], bounds[2 * i + 1]) })
    }
  }
  return found
}

/** A disk with one segment, closed in order, of `frames` frames of three records. */
async function written(frames: number, size: number, compress = false): Promise<{ disk: FaultyDisk; path: string }> {
  const disk = createFaultyDisk()
  const log = await open(disk, { compress })
  for (let frame = 0; frame < frames; frame++) {
    await fill(
      log,
      [1, 2, 3].map((n) => `${frame}.${n} `.padEnd(size, compress ? 'x' : `${frame}${n}`)),
    )
  }
  await log.close()
  disk.kill()
  const path = disk.paths().find((name) => name.endsWith('.seg')) ?? ''
  return { disk, path }
}

function flip(content: Buffer, at: number): void {
  content[at] = (content[at] as number) ^ (1 << (at % 8))
}

function copyOf(disk: FaultyDisk, change?: { path: string; content: Buffer }): FaultyDisk {
  const copy = createFaultyDisk()
  for (const path of disk.paths()) copy.put(path, change?.path === path ? change.content : disk.content(path))
  return copy
}

test('a tail torn at any byte of its last frame is cut off, and everything before it is kept', async () => {
  const { disk, path } = await written(4, 30)
  const whole = disk.content(path)
  const sealed = whole.length - FRAME_HEAD
  const lastFrame = whole.lastIndexOf(whole.subarray(SEGMENT_HEAD, SEGMENT_HEAD + 4), sealed - 1)
  for (let length = lastFrame; length < sealed; length++) {
    const torn = copyOf(disk, { path, content: whole.subarray(0, length) })
    const damage: Damage[] = []
    const log = await open(torn, { onDamage: (found) => damage.push(found) })
    assert.deepEqual([log.next, log.durable, damage.length], [10, 9, 0])
    assert.equal(log.torn === null, length === lastFrame)
    await fill(log, ['after'])
    const kept = await texts(log)
    assert.equal(kept.length, 10)
    assert.deepEqual(kept.at(-1), { number: 10, text: 'after' })
    await log.close()
    torn.kill()
    assert.deepEqual((await verifyLog({ directory: DIRECTORY, files: torn.mount() })).damage, [])
  }
})

test('one flipped bit anywhere in a segment of 64 KB is detected and costs at most its frame', {
  timeout: process.env.LOG_TEST_EVERY_BIT ? 3_600_000 : 60_000,
}, async () => {
  const { disk, path } = await written(40, 540)
  const whole = disk.content(path)
  assert.ok(whole.length > 64 * 1024)
  const original = await texts(await open(copyOf(disk)))
  const stride = process.env.LOG_TEST_EVERY_BIT ? 1 : 59
  // Every position of the heads; of the bodies, strides that meet every bit of a byte.
  for (let at = 0; at < whole.length; at += at < 100 || at % 1677 < 104 || at > whole.length - 120 ? 1 : stride) {
    const content = Buffer.from(whole)
    flip(content, at)
    const bad = copyOf(disk, { path, content })
    const report = await verifyLog({ directory: DIRECTORY, files: bad.mount() })
    const stored = await openStored({ directory: DIRECTORY, files: bad.mount() })
    const left = new Map((await texts(stored)).map(({ number, text }) => [number, text]))
    const lost = original.filter(({ number, text }) => left.get(number) !== text)
    assert.equal(report.damage.length, 1, `bit at ${at} is detected`)
    assert.ok(lost.length === 0 || lost.length === 3, `bit at ${at} costs ${lost.length} records`)
    assert.equal(left.size, original.length - lost.length, 'nothing is made up')
    const [damage] = report.damage
    if (lost.length > 0) assert.deepEqual([damage?.firstLost, damage?.lastLost], [lost[0]?.number, lost[2]?.number])
    assert.equal(report.next, original.length + 1, 'no number is given again')
    assert.equal(report.records, left.size)
  }
})

test('zeros written ahead are no damage after a crash; what is no longer zero among them is', async () => {
  const disk = createFaultyDisk()
  const log = await open(disk)
  await fill(log, ['a', 'b', 'c'])
  disk.kill()
  const path = disk.paths().find((name) => name.endsWith('.seg')) ?? ''
  const content = disk.content(path)
  const used = content.findLastIndex((byte) => byte !== 0) + 1
  assert.ok(content.length >= 65_536 && used < 200, `${used} bytes of ${content.length}`)

  const crashed = await verifyLog({ directory: DIRECTORY, files: copyOf(disk).mount() })
  assert.deepEqual([crashed.damage, crashed.torn, crashed.records], [[], null, 3])
  // Right behind the last frame, in the middle, at the beginning of a sector.
  for (const at of [used + 1, 40_000, 40_960, 40_961]) {
    const rotten = Buffer.from(content)
    flip(rotten, at)
    const report = await verifyLog({ directory: DIRECTORY, files: copyOf(disk, { path, content: rotten }).mount() })
    assert.deepEqual([report.damage.length, report.torn, report.records], [1, null, 3], `byte ${at}`)
  }

  const again = await open(disk)
  assert.deepEqual(
    (await texts(again)).map(({ text }) => text),
    ['a', 'b', 'c'],
  )
  await again.close()
  const closed = await verifyLog({ directory: DIRECTORY, files: disk.mount() })
  const bytes = disk.paths().reduce((sum, name) => sum + (name.endsWith('.seg') ? disk.content(name).length : 0), 0)
  assert.ok(bytes < 500, `${bytes} bytes once it is closed`)
  assert.deepEqual([closed.damage, closed.records], [[], 3])
})

test('a flipped bit costs a deflated frame no more than any other', async () => {
  const { disk, path } = await written(6, 400, true)
  const whole = disk.content(path)
  for (let at = SEGMENT_HEAD; at < whole.length - FRAME_HEAD; at += 3) {
    const content = Buffer.from(whole)
    flip(content, at)
    const stored = await openStored({ directory: DIRECTORY, files: copyOf(disk, { path, content }).mount() })
    assert.equal((await texts(stored)).length, 15)
  }
})

test('a reader says which numbers a damaged frame cost, and goes on', async () => {
  const { disk, path } = await written(5, 50)
  const content = disk.content(path)
  flip(content, SEGMENT_HEAD + FRAME_HEAD + 170 + FRAME_HEAD)
  const damage: Damage[] = []
  const log = await open(copyOf(disk, { path, content }), { onDamage: (found) => damage.push(found) })
  const skipped: number[] = []
  for await (const batch of log.read(1)) skipped.push(batch.skipped)
  await texts(log)
  assert.deepEqual(skipped, [0, 3, 0, 0])
  assert.deepEqual(
    damage.map((d) => [d.file, d.firstLost, d.lastLost]),
    [[path, 4, 6]],
    'reported once',
  )
})

test('damage in an older segment is found when it is read, and loses nothing else', async () => {
  const disk = createFaultyDisk()
  const log = await open(disk, { segmentBytes: 400 })
  for (let i = 0; i < 12; i++) await fill(log, [`record ${i} `.padEnd(150, '.')])
  await log.close()
  disk.kill()
  const [, second] = disk.paths().filter((path) => path.endsWith('.seg'))
  const content = disk.content(second ?? '')
  content.fill(0, content.length - 60)
  disk.put(second ?? '', content)
  const report = await verifyLog({ directory: DIRECTORY, files: disk.mount() })
  assert.equal(report.damage.length, 1)
  const left = await texts(await open(disk))
  assert.equal(left.length, 11)
  assert.equal(report.damage[0]?.firstLost, report.damage[0]?.lastLost)
})

test('a segment of garbage is moved away and never a reason not to start', async () => {
  const { disk, path } = await written(3, 50)
  const garbage = Buffer.alloc(5000, 'garbage ')
  const bad = copyOf(disk, { path, content: garbage })
  const damage: Damage[] = []
  const log = await open(bad, { onDamage: (found) => damage.push(found), floor: 8 })
  assert.equal(damage.length, 1)
  assert.equal(log.next, 8)
  await fill(log, ['goes on'])
  assert.deepEqual(await texts(log), [{ number: 8, text: 'goes on' }])
  assert.deepEqual(bad.content(`${path}.corrupt`), garbage)
  assert.deepEqual((await verifyLog({ directory: DIRECTORY, files: bad.mount() })).quarantined, [
    `${path.slice(5)}.corrupt`,
  ])
})

test('a log whose identity file is damaged keeps its epoch', async () => {
  const { disk } = await written(2, 20)
  const { epoch } = await open(copyOf(disk))
  const log = await open(copyOf(disk, { path: `${DIRECTORY}/epoch`, content: Buffer.from('nonsense') }))
  assert.equal(log.epoch, epoch)
  assert.equal((await texts(log)).length, 6)
})

test('frames that a sender put into a record are not taken for frames when the record is damaged', async () => {
  const { disk: other, path: foreign } = await written(3, 40)
  const disk = createFaultyDisk()
  const log = await open(disk)
  const smuggled = other.content(foreign)
  log.append(smuggled)
  await log.flush()
  await fill(log, ['honest'])
  await log.close()
  disk.kill()
  const [path = ''] = disk.paths().filter((name) => name.endsWith('.seg'))
  const content = disk.content(path)
  flip(content, SEGMENT_HEAD + 4)
  disk.put(path, content)
  assert.deepEqual(await texts(await open(disk)), [{ number: 2, text: 'honest' }])
})

test('numbers that others were told of are not given again', async () => {
  const { disk } = await written(2, 20)
  const damage: Damage[] = []
  const log = await open(disk, { floor: 11, onDamage: (found) => damage.push(found) })
  assert.equal(log.next, 11)
  assert.deepEqual([damage[0]?.firstLost, damage[0]?.lastLost], [7, 10])
})

test('a log of a newer version is refused by name', async () => {
  const { disk, path } = await written(1, 20)
  const content = disk.content(path)
  content[8] = 3
  content.writeUInt32BE(crc32(content.subarray(0, 44), 0), 44)
  await assert.rejects(
    open(copyOf(disk, { path, content })),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_NEWER_DATA',
  )
})

test('a log of version 1 is read', async () => {
  const disk = createFaultyDisk()
  const fixture = new URL('fixture-v1/', import.meta.url)
  for (const name of ['epoch', '0000000000000001.seg', '0000000000000006.seg']) {
    disk.put(`${DIRECTORY}/${name}`, readFileSync(new URL(name, fixture)))
  }
  const report = await verifyLog({ directory: DIRECTORY, files: disk.mount() })
  assert.deepEqual(report.damage, [])
  assert.deepEqual(
    [report.epoch, report.first, report.next, report.marked, report.unmarked],
    ['b8e7de2485eee63e', 1, 9, 42, 7],
  )
  const expected = ['one', 'two', '', 'four', 'x'.repeat(300), 'six', 'seven', 'eight']
  assert.deepEqual(
    (await texts(await open(disk))).map(({ text }) => text),
    expected,
  )
})
