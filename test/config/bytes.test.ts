import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes, parseBytes } from '../../gateway/config/bytes.ts'

test('KB counts in thousands and KiB in 1024', () => {
  const written: [unknown, number][] = [
    [512, 512],
    ['512', 512],
    ['512B', 512],
    ['64KB', 64_000],
    ['64kb', 64_000],
    ['1MiB', 1_048_576],
    ['1.5GB', 1_500_000_000],
    ['4 GB', 4_000_000_000],
    ['1TiB', 2 ** 40],
  ]
  for (const [text, bytes] of written) assert.equal(parseBytes(text), bytes, String(text))
})

test('what is no size is refused with examples', () => {
  for (const text of ['', 'GB', '1XB', '-1', -1, 1.5, Number.NaN, '1 giga', null, []]) {
    assert.throws(() => parseBytes(text), /write a number and a unit, such as 512KB/, String(text))
  }
})

test('a size is written back in its largest whole unit', () => {
  assert.deepEqual([512, 64_000, 1_048_576, 4_000_000_000].map(formatBytes), ['512', '64KB', '1MiB', '4GB'])
})
