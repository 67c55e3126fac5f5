import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeadLetters } from '../../gateway/decode/dead-letters.ts'
import { DecodeError } from '../../gateway/errors.ts'

const AT = Date.UTC(2026, 10, 23)

function add(
  letters: ReturnType<typeof createDeadLetters>,
  payload: Buffer | string,
  reason = 'json',
  at = AT,
  source = 'mqtt',
) {
  const bytes = Buffer.from(payload)
  letters.add(source, 'telemetry/d1', new DecodeError(reason, 'not JSON'), bytes, 0, bytes.length, at)
}

test('dead letters are counted by source and reason, with first and last time', () => {
  const letters = createDeadLetters()
  add(letters, 'a')
  add(letters, 'b', 'json', AT + 1000)
  add(letters, 'c', 'future', AT, 'http')
  const { total, reasons, sources } = letters.report()
  assert.equal(total, 3)
  assert.deepEqual(reasons, { json: 2, future: 1 })
  assert.deepEqual(sources.mqtt, {
    json: { count: 2, first: '2026-11-23T00:00:00.000Z', last: '2026-11-23T00:00:01.000Z' },
  })
})

test('the last ones are kept, newest first, cut at 4 KB', () => {
  const letters = createDeadLetters(3)
  for (let i = 0; i < 10; i++) add(letters, `payload ${i}`)
  add(letters, 'é'.repeat(5000))
  const { total, last } = letters.report()
  assert.equal(total, 11)
  assert.equal(last.length, 3)
  assert.equal(last[0]?.size, 10_000)
  assert.equal(last[0]?.payload, 'é'.repeat(2048))
  assert.deepEqual(last[1], {
    time: '2026-11-23T00:00:00.000Z',
    source: 'mqtt',
    topic: 'telemetry/d1',
    reason: 'json',
    message: 'not JSON',
    size: 9,
    payload: 'payload 9',
    encoding: 'utf8',
  })
})

test('a text cut within a character is still text, and bytes are shown in base64', () => {
  const letters = createDeadLetters()
  add(letters, `x${'é'.repeat(5000)}`)
  assert.equal(letters.report().last[0]?.encoding, 'utf8')
  add(letters, Buffer.from([0xff, 0x00]))
  assert.deepEqual([letters.report().last[0]?.payload, letters.report().last[0]?.encoding], ['/wA=', 'base64'])
})

test('only the message is copied, not the packet around it, and later changes do not show', () => {
  const letters = createDeadLetters()
  const packet = Buffer.from('head{bad}tail')
  letters.add('s', 't', new DecodeError('json', 'x'), packet, 4, 9, Number.NaN)
  packet.fill(0)
  assert.equal(letters.report().last[0]?.payload, '{bad}')
})

test('a report can be restored after a restart, and what is none is ignored', () => {
  const before = createDeadLetters()
  for (let i = 0; i < 5; i++) add(before, `p${i}`, i % 2 ? 'json' : 'type', AT + i)
  const restored = createDeadLetters()
  restored.restore(JSON.parse(JSON.stringify(before.report())))
  assert.deepEqual(restored.report(), before.report())
  for (const odd of [null, undefined, 7, {}, { total: 'x' }, [], { total: 1, sources: { a: 5, b: { c: 6 } } }]) {
    createDeadLetters().restore(odd)
  }
})
