import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockWriter, type Fields, SAME, seriesId } from '../../gateway/history/block.ts'
import { readBlock, spanOf } from '../../gateway/history/block-reader.ts'
import { Bytes, Cursor } from '../../gateway/history/numbers.ts'
import { createSeries } from '../../gateway/history/rollup.ts'
import { NUMBER, TEXT } from '../../gateway/reading.ts'
import { createRandom } from '../support/random.ts'

test('numbers come back exactly, those with few decimals from few bytes', () => {
  const random = createRandom(4711)
  const edges = [
    0,
    1,
    -1,
    21.5,
    -0.1,
    1013.25,
    1e300,
    -1e-300,
    2 ** 53,
    2 ** 49,
    2 ** 49 - 1,
    123_456_789.123456,
    0.1 + 0.2,
  ]
  const scattered = Array.from({ length: 5000 }, () => (random.next() - 0.5) * 10 ** random.below(20))
  const measured = Array.from({ length: 5000 }, () => Math.round((random.next() - 0.5) * 1e5) / 10 ** random.below(5))
  for (const values of [edges, scattered, measured]) {
    const bytes = new Bytes(16)
    for (const value of values) {
      bytes.number(value)
      bytes.numberOrSame(value)
    }
    const cursor = new Cursor(bytes.buffer, 0)
    for (const value of values) assert.deepEqual([cursor.number(), cursor.number()], [value, value])
    assert.equal(cursor.at, bytes.length)
  }
  const bytes = new Bytes(16)
  bytes.number(21.5)
  assert.equal(bytes.length, 2)
})

test('a varint put in front leaves what follows as it was', () => {
  for (const length of [0, 1, 127, 128, 20_000]) {
    const bytes = new Bytes(8)
    bytes.varint(7)
    const at = bytes.length
    bytes.latin1('x'.repeat(length))
    bytes.insertVarint(at, length)
    const cursor = new Cursor(bytes.buffer, 0)
    assert.deepEqual([cursor.varint(), cursor.varint()], [7, length])
    assert.equal(bytes.buffer.toString('latin1', cursor.at, bytes.length), 'x'.repeat(length))
  }
})

test('a block gives back its rows, of the series that are wanted only', () => {
  const fields: Fields = { names: ['t', 'state'], kinds: [NUMBER, TEXT] }
  const writer = new BlockWriter()
  const [a, b] = [createSeries(seriesId('a', undefined), fields), createSeries(seriesId('b', 's'), fields)]
  writer.row(a, 100, 3, new Float64Array([1, 2.5, 5.1]), 0, ['', 'up'])
  writer.row(b, 90, 1, new Float64Array([7, 7, 7]), 0, ['', 'é'.repeat(300)])
  writer.row(a, 101, 2, new Float64Array([4, 4, 8]), 0, ['', 'down'])
  const before = writer.size
  writer.row(a, 102, 1, new Float64Array([4, 4, 4, SAME]), 0, ['', 'down'])
  assert.equal(writer.size - before, 6, 'a text that stays takes one byte')
  const block = writer.peek()
  assert.ok(block)
  assert.deepEqual(spanOf(block), { first: 90, last: 102 })
  const seen: unknown[] = []
  readBlock(
    block,
    ({ id }) => id === a.id,
    ({ bucket, count, values, texts }) => seen.push([bucket, count, ...values.subarray(0, 3), texts[1]]),
  )
  assert.deepEqual(seen, [
    [100, 3, 1, 2.5, 5.1, 'up'],
    [101, 2, 4, 4, 8, 'down'],
    [102, 1, 4, 4, 4, 'down'],
  ])
  let cut = ''
  readBlock(
    block,
    ({ id }) => id === b.id,
    ({ texts }) => {
      cut = texts[1] ?? ''
    },
  )
  assert.match(cut, /^é{127}$/)
})

test('a sum of readings with few decimals has as few, one of others is left alone', () => {
  const fields: Fields = { names: ['t'], kinds: [NUMBER] }
  const sumOf = (min: number, max: number, sum: number) => {
    const writer = new BlockWriter()
    writer.row(createSeries(seriesId('a', undefined), fields), 1, 3, new Float64Array([min, max, sum]), 0, [])
    let found = Number.NaN
    readBlock(
      writer.peek() as Buffer,
      () => true,
      ({ values }) => {
        found = values[2] as number
      },
    )
    return found
  }
  assert.equal(sumOf(0.1, 0.3, 0.1 + 0.2 + 0.3), 0.6)
  assert.equal(sumOf(20, 21, 20 + 20.123456789 + 21), 20 + 20.123456789 + 21)
})
