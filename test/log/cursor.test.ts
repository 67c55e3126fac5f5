import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cursor, type CursorOptions, openCursor, readCursor } from '../../gateway/log/cursor.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk, type FaultyDisk } from '../support/faulty-files.ts'
import { createRandom } from '../support/random.ts'

const PATH = '/data/cursors/cloud'
const EPOCH = '00112233445566aa'

function open(disk: FaultyDisk, more: Partial<CursorOptions> = {}): Promise<Cursor> {
  return openCursor({ path: PATH, epoch: EPOCH, files: disk.mount(), clock: new FakeClock(), ...more })
}

test('a cursor is where it was, rises only, and begins anew with a new epoch', async () => {
  const disk = createFaultyDisk()
  const cursor = await open(disk)
  assert.deepEqual([cursor.value, cursor.damaged], [0, false])
  for (const value of [5, 3, 9_007_199_254_740_991]) cursor.advance(value)
  await cursor.flush()
  assert.equal(cursor.durable, 9_007_199_254_740_991)
  disk.powerCut()
  assert.equal((await open(disk)).value, 9_007_199_254_740_991)
  assert.equal((await open(disk, { epoch: 'ffffffffffffffff' })).value, 0)
})

test('a change is written within the interval, many changes with one write', async () => {
  const disk = createFaultyDisk()
  const clock = new FakeClock()
  const cursor = await open(disk, { clock })
  for (let i = 1; i <= 100; i++) cursor.advance(i)
  await clock.advance(1000)
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(cursor.durable, 100)
  assert.ok(disk.operations < 8)
})

test('no crash takes a cursor back, or further than it went', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = createRandom(seed)
    const disk = createFaultyDisk(random.next)
    let durable = 0
    let highest = 0
    for (let life = 0; life < 10; life++) {
      const cursor = await open(disk)
      assert.ok(
        cursor.value >= durable && cursor.value <= highest,
        `seed ${seed}: ${durable} ≤ ${cursor.value} ≤ ${highest}`,
      )
      assert.equal(cursor.damaged, false)
      durable = cursor.value
      for (let step = random.below(6); step > 0; step--) {
        highest = Math.max(highest, cursor.value + random.below(100))
        cursor.advance(highest)
        if (random.chance(0.2)) disk.fault = (operation) => (['write', 'sync'].includes(operation) ? 'EIO' : null)
        await cursor.flush()
        disk.fault = () => null
        durable = cursor.durable
      }
      cursor.advance(++highest)
      void cursor.flush()
      for (let turn = random.below(6); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve))
      durable = cursor.durable
      if (random.chance(0.7)) disk.powerCut()
      else disk.kill()
    }
  }
})

test('one flipped bit costs at most the last change, and two damaged slots are noticed', async () => {
  const disk = createFaultyDisk()
  const cursor = await open(disk)
  for (const value of [10, 20, 30]) {
    cursor.advance(value)
    await cursor.flush()
  }
  const whole = disk.content(PATH)
  for (let at = 0; at < whole.length; at++) {
    const content = Buffer.from(whole)
    content[at] = (content[at] as number) ^ (1 << (at % 8))
    disk.put(PATH, content)
    const { value, damaged } = await readCursor(disk.mount(), PATH)
    assert.ok(!damaged && (value === 30 || value === 20))
  }
  disk.put(PATH, Buffer.alloc(5000, 'garbage'))
  const bad = await open(disk)
  assert.deepEqual([bad.value, bad.damaged], [0, true])
})

test('a cursor whose directory was deleted comes back', async () => {
  const disk = createFaultyDisk()
  const troubles: unknown[] = []
  const cursor = await open(disk, { onTrouble: (error) => troubles.push(error === null ? null : 'trouble') })
  cursor.advance(1)
  await cursor.flush()
  disk.removeDirectory('/data')
  cursor.advance(2)
  await cursor.flush()
  await cursor.flush()
  assert.equal(cursor.durable, 2)
  assert.deepEqual(troubles, ['trouble', null])
  assert.equal((await open(disk)).value, 2)
})
