import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDelayQueue } from '../../../plugins/coap/delay-queue.ts'
import { FakeClock } from '../../support/clock.ts'

test('calls back for each item after the same delay, in order', async () => {
  const clock = new FakeClock()
  const due: string[] = []
  const queue = createDelayQueue<number>(clock, 100, (item) => void due.push(`${item}@${clock.monotonic()}`))
  for (let i = 0; i < 5; i++) {
    queue.push(i)
    await clock.advance(30)
  }
  await clock.advance(1000)
  assert.deepEqual(due, ['0@100', '1@130', '2@160', '3@190', '4@220'])
  assert.equal(queue.size, 0)
})

test('holds what is under way, not what is over', () => {
  const queue = createDelayQueue<{ over: boolean }>(
    new FakeClock(),
    100,
    () => {},
    (item) => item.over,
  )
  for (let i = 0; i < 100_000; i++) {
    const item = { over: false }
    queue.push(item)
    item.over = true
  }
  assert.ok(queue.size <= 1)
})

test('gives out the oldest early, and nothing after it was cleared', async () => {
  const clock = new FakeClock()
  const due: number[] = []
  const queue = createDelayQueue<number>(clock, 100, (item) => void due.push(item))
  for (let i = 0; i < 3000; i++) queue.push(i)
  for (let i = 0; i < 2000; i++) assert.equal(queue.shift(), i)
  await clock.advance(100)
  assert.deepEqual([due.length, due[0]], [1000, 2000])
  queue.push(1)
  queue.clear()
  await clock.advance(1000)
  assert.equal(due.length, 1000)
})
