import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeEntry,
  HEADER,
  MESSAGE,
  type MessageEntry,
  messageLength,
  setVerdict,
  sharedBytes,
  writeHead,
} from '../../gateway/journal/entry.ts'

const PAYLOAD = Buffer.from('{"v":1}')
const MARK = Buffer.from('client-1:7')

function encode(topic: string, shared: number, contentType?: string, mark?: Buffer): Buffer {
  const bytes = Buffer.from(topic)
  const entry = Buffer.alloc(messageLength(bytes.length - shared, PAYLOAD.length, contentType, mark))
  const at = writeHead(entry, 0, 0, 3, 1_790_000_000_123, bytes, shared, contentType, mark)
  assert.equal(at + PAYLOAD.length, entry.length)
  PAYLOAD.copy(entry, at)
  setVerdict(entry, 0, 258)
  return entry
}

function assertRead(entry: Buffer, opening: Buffer, topic: string, contentType?: string, mark?: Buffer): void {
  const read = decodeEntry(entry, opening) as MessageEntry
  assert.equal(read.kind, MESSAGE)
  assert.deepEqual([read.source, read.received, read.verdict], [3, 1_790_000_000_123, 258])
  assert.deepEqual([read.topic, read.contentType, read.mark], [topic, contentType, mark])
  assert.deepEqual(read.bytes.subarray(read.start, read.end), PAYLOAD)
}

test('a topic is read back whole, of which only the end was written: shared with none, some or all of the first one', () => {
  const first = 'telemetry/halle-süd/pumpe-1'
  const opening = encode(first, 0)
  const topics = ['other', 'telemetry', first, `${first}/long`, 'telemetry/halle-söd/pumpe-1', `x${first}`, 'té', '']
  for (const topic of topics) {
    const shared = sharedBytes(Buffer.from(topic), Buffer.from(first))
    assert.ok(Buffer.from(first).subarray(0, shared).equals(Buffer.from(topic).subarray(0, shared)))
    assertRead(encode(topic, shared), opening, topic)
    assertRead(encode(topic, shared, 'application/cbor', MARK), opening, topic, 'application/cbor', MARK)
  }
  assert.equal(
    encode('telemetry/halle-süd/pumpe-2', sharedBytes(Buffer.from('telemetry/halle-süd/pumpe-2'), Buffer.from(first)))
      .length,
    HEADER + 1 + PAYLOAD.length,
  )
})

test('topics longer than a byte can count share what it can count, or nothing', () => {
  const first = 't'.repeat(400)
  const opening = encode(first, 0)
  for (const topic of [
    first,
    't'.repeat(256),
    `${'t'.repeat(300)}x`,
    `tt${'x'.repeat(300)}`,
    `tt${'x'.repeat(60_000)}`,
  ]) {
    const shared = sharedBytes(Buffer.from(topic), Buffer.from(first))
    assertRead(encode(topic, shared), opening, topic)
  }
})
