/** Blocks of many series are written out and merged a slice at a time: what is asked in between is whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { deviceOwner, ownerId } from '../../gateway/history/block.ts'
import { type History, openHistory } from '../../gateway/history/history.ts'
import { answer } from '../../gateway/history/query.ts'
import { createReading, createShapes, type Device, NUMBER, TEXT } from '../../gateway/reading.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk } from '../support/faulty-files.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const DAY = 86_400_000
const SHAPE = createShapes().with('t', NUMBER).with('state', TEXT)
const DEVICES: Device[] = Array.from({ length: 30 }, (_, i) => ({ id: `d${i}`, slots: [] }))
/** Three rows. */
const SLICE = 9

async function open(): Promise<History> {
  const history = await openHistory({
    directory: '/history',
    files: createFaultyDisk().mount(),
    clock: new FakeClock(NOW),
    maxBytes: 1 << 30,
    blockBytes: 50,
    slice: SLICE,
    onTrouble: assert.ifError,
    onDamage: () => assert.fail('damage'),
  })
  history.start({ durable: Number.POSITIVE_INFINITY, onDurable: () => undefined })
  return history
}

/** Each device sends its number, `times` times. */
function send(history: History, times: number, entry: number): void {
  for (let i = 0; i < times * DEVICES.length; i++) {
    const n = i % DEVICES.length
    const reading = createReading(DEVICES[n] as Device, SHAPE)
    Object.assign(reading, { time: NOW + i })
    reading.numbers[0] = n
    reading.texts[1] = n % 2 ? 'up' : 'down'
    history.reading(reading, entry)
  }
}

/** Of each device: readings, sum, first text, as one level has them at this moment. */
function seen({ levels }: History, step: number) {
  const rows = DEVICES.map(async ({ id }) => {
    const question = { id: ownerId(deviceOwner(id)), from: NOW - DAY, to: NOW + DAY, points: (2 * DAY) / step }
    const [number, text] = await Promise.all([
      answer(levels, { ...question, field: 't' }),
      answer(levels, { ...question, field: 'state' }),
    ])
    return [id, number.points.map(({ count, sum }) => [count, sum]), text.points.map((point) => point.text)]
  })
  return Promise.all(rows)
}

function expected(times: number) {
  return DEVICES.map(({ id }, n) => [id, [[times, times * n]], [n % 2 ? 'up' : 'down']])
}

test('while a block is written out, each reading is there once, also of a device that speaks meanwhile', async () => {
  const history = await open()
  send(history, 2, 1)
  history.cut(1)
  for (let slice = 0; slice < 4; slice++) {
    assert.deepEqual(await seen(history, 60_000), expected(2 + slice))
    send(history, 1, 2 + slice)
    await turn()
  }
  await history.flush(1)
  assert.deepEqual(await seen(history, 60_000), expected(6))
  await history.close()
})

test('a cut in the middle of another one loses nothing', async () => {
  const history = await open()
  for (const entry of [1, 2, 3]) {
    send(history, 1, entry)
    history.cut(entry)
  }
  assert.deepEqual(await seen(history, 60_000), expected(3))
  await history.flush(3)
  assert.equal(history.entry, 3)
  assert.deepEqual(await seen(history, 60_000), expected(3))
  await history.close()
})

test('while hours are worked out of a block of minutes, each reading is in them once', async () => {
  const history = await open()
  const [, hours] = history.levels
  assert.ok(hours)
  send(history, 3, 1)
  history.cut(1)
  await history.flush(1)
  const asked: ReturnType<typeof seen>[] = []
  while (hours.log.next === 1) {
    asked.push(seen(history, 3_600_000))
    await turn()
  }
  assert.ok(asked.length >= (2 * DEVICES.length) / 3, `asked ${asked.length} times`)
  for (const rows of await Promise.all(asked)) assert.deepEqual(rows, expected(3))
  assert.deepEqual(await seen(history, 3_600_000), expected(3))
  await history.close()
})
