import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32, createTableCrc32 } from '../../gateway/log/crc32.ts'
import { createRandom } from '../support/random.ts'

test('both forms give the check value of CRC-32, and continue where they stopped', () => {
  const check = Buffer.from('123456789')
  for (const form of [crc32, createTableCrc32()]) {
    assert.equal(form(check, 0), 0xcbf43926)
    assert.equal(form(check.subarray(4), form(check.subarray(0, 4), 0)), 0xcbf43926)
    assert.equal(form(Buffer.alloc(0), 17), 17)
  }
})

test('the table form agrees with the native one at every length and alignment', () => {
  const table = createTableCrc32()
  const random = createRandom(1)
  const bytes = Buffer.from(Array.from({ length: 300 }, () => random.below(256)))
  for (let from = 0; from < 9; from++) {
    for (let to = from; to < 300; to += 3) {
      const part = bytes.subarray(from, to)
      const seed = random.below(0x1_0000_0000)
      assert.equal(table(part, seed), crc32(part, seed))
    }
  }
})
