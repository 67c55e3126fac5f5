import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration } from '../../gateway/config/duration.ts'

test('a duration is a number and a unit, or several', () => {
  const written: [unknown, number][] = [
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['1h30m', 5_400_000],
    ['5 m', 300_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['0s', 0],
    [0, 0],
    ['0', 0],
    ['0.1s', 100],
    ['1.005s', 1005],
  ]
  for (const [text, ms] of written) assert.equal(parseDuration(text), ms, String(text))
})

test('a duration without a unit is refused with the text that was probably meant', () => {
  assert.throws(() => parseDuration(10), { message: '10 has no unit: write 10s, or one of ms, m, h, d, w' })
  assert.throws(() => parseDuration('10'), /write 10s/)
})

test('what is no duration is refused with examples', () => {
  for (const text of ['', 's', '-5s', '1e3s', '10 seconds', '10sec', 'PT10S', '1h 30m x', null, true, [], {}]) {
    assert.throws(() => parseDuration(text), /write a number and a unit, such as 250ms/, String(text))
  }
})

test('a duration is written back in its largest whole unit', () => {
  const texts = [0, 20, 1000, 90_000, 3_600_000, 86_400_000].map(formatDuration)
  assert.deepEqual(texts, ['0s', '20ms', '1s', '90s', '1h', '1d'])
})
