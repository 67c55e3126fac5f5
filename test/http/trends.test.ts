import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutboxStatus } from '../../gateway/http/schemas.ts'
import { createTrends } from '../../gateway/http/trends.ts'
import { FakeClock } from '../support/clock.ts'

/** An outbox into which records come and out of which they go. */
function createOutbox() {
  const counts = { came: 0, left: 0 }
  const status = (): OutboxStatus => ({
    bytes: 0,
    maxBytes: 1e9,
    whenFull: { event: 'drop_oldest', result: 'drop_oldest', reading: 'drop_oldest' },
    classes: [{ class: 'result', epoch: 'e', first: 1, next: counts.came + 1, bytes: 0 }],
    sinks: [
      {
        name: 'cloud',
        state: 'connected',
        backlog: [
          {
            class: 'result',
            records: counts.came - counts.left,
            bytes: 0,
            acked: counts.left,
            rate: 30,
            drainSeconds: 1,
          },
        ],
      },
    ],
  })
  return { counts, status }
}

test('the outbox is remembered every ten seconds for an hour, every five minutes for a day', async () => {
  const clock = new FakeClock()
  const { counts, status } = createOutbox()
  const trends = createTrends(clock, status)
  for (let i = 0; i < 400; i++) {
    counts.came += 200
    counts.left += 150
    await clock.advance(10_000)
  }
  const hour = trends.history('1h')
  assert.equal(hour.times.length, 360)
  assert.equal(hour.times.at(-1), clock.now())
  const [series] = hour.series
  assert.deepEqual([series?.sink, series?.class], ['cloud', 'result'])
  assert.deepEqual([series?.records.at(-1), series?.in.at(-1), series?.out.at(-1)], [20_000, 20, 15])
  const day = trends.history('24h')
  assert.equal(day.times.length, 14)
  assert.equal(day.series[0]?.in.at(-1), 20)
  trends.stop()
})

test('the drain time counts what comes meanwhile, and there is none when more comes than goes', async () => {
  const clock = new FakeClock()
  const { counts, status } = createOutbox()
  const trends = createTrends(clock, status)
  counts.came = 300
  await clock.advance(10_000)
  const [slow] = trends.rated(status()).sinks[0]?.backlog ?? []
  assert.deepEqual([slow?.inRate, slow?.drainSeconds], [30, undefined])
  counts.came += 100
  await clock.advance(10_000)
  const [one] = trends.rated(status()).sinks[0]?.backlog ?? []
  assert.deepEqual([one?.inRate, one?.drainSeconds], [10, 20])
  trends.stop()
})
