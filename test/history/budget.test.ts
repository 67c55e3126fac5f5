import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceOwner, seriesId } from '../../gateway/history/block.ts'
import { openHistory } from '../../gateway/history/history.ts'
import { answer } from '../../gateway/history/query.ts'
import { createReading, createShapes, NUMBER } from '../../gateway/reading.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk } from '../support/faulty-files.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const START = Date.UTC(2026, 10, 1)

test('old minutes go when the budget is full, and the hours answer for them', async () => {
  const clock = new FakeClock(START)
  const history = await openHistory({
    directory: '/history',
    files: createFaultyDisk().mount(),
    clock,
    maxBytes: 6_000_000,
    blockBytes: 4000,
    onTrouble: assert.ifError,
    onDamage: () => assert.fail('damage'),
  })
  history.start({ durable: Number.POSITIVE_INFINITY, onDurable: () => undefined })
  const devices = Array.from({ length: 40 }, (_, i) => ({ id: `d${i}`, slots: [] }))
  const shape = createShapes().with('t', NUMBER).with('u', NUMBER)
  const days = 7
  let entry = 0
  for (let minute = 0; minute < days * 24 * 60; minute++) {
    for (const [i, device] of devices.entries()) {
      const reading = createReading(device, shape)
      reading.time = START + minute * MINUTE
      // Numbers that take all their bytes.
      reading.numbers[0] = minute + i / 7
      reading.numbers[1] = Math.sin(minute)
      history.reading(reading, ++entry)
    }
    if (minute % 60 !== 59) continue
    history.cut(entry)
    await history.flush(entry)
    await clock.advance(HOUR)
    history.trim()
    await clock.advance(0)
  }
  const [minutes] = history.levels
  assert.ok((minutes?.log.bytes ?? 0) < 3_200_000, `${minutes?.log.bytes} bytes of minutes`)
  assert.ok((minutes?.log.first ?? 0) > 1, 'the oldest are gone')
  const id = seriesId(deviceOwner('d7'), undefined)
  const from = START
  const to = START + days * 24 * HOUR
  const { points } = await answer(history.levels, { id, field: 't', from, to, points: days * 24 * 60 })
  assert.equal(
    points.reduce((sum, { count }) => sum + count, 0),
    days * 24 * 60,
  )
  assert.deepEqual([points[0]?.count, points[0]?.min, points[0]?.max], [60, 1, 60])
  assert.deepEqual([points.at(-1)?.count, points.at(-1)?.min], [1, days * 24 * 60])
  await history.close()
})
