import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMarks, readSentBefore } from '../../gateway/ingest/sent-before.ts'
import { messageLength, writeHead } from '../../gateway/journal/entry.ts'
import { createJournal } from '../../gateway/journal/journal.ts'
import { openLog } from '../../gateway/log/log.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk } from '../support/faulty-files.ts'

const TOPIC = Buffer.from('telemetry/d')
const MINUTE = 60_000
const markOf = createMarks()
const copyOf = (own: string) => Buffer.from(markOf(Buffer.from(own)))

async function setUp() {
  const clock = new FakeClock()
  const log = await openLog({ directory: '/journal', files: createFaultyDisk().mount(), clock })
  const journal = createJournal(log, clock)
  const put = async (source: number, mark: Buffer) => {
    const at = journal.reserve(messageLength(TOPIC.length, 0, undefined, mark), false)
    writeHead(journal.log.buffer, at, 0, source, clock.now(), TOPIC, 0, undefined, mark)
    await journal.log.flush()
  }
  return { clock, journal, put }
}

test('a mark is known for four minutes, to its own source', async () => {
  const { clock, journal, put } = await setUp()
  await put(1, copyOf('old'))
  await clock.advance(4 * MINUTE)
  await put(1, copyOf('young'))
  await clock.advance(MINUTE)
  const before = await readSentBefore(journal, clock)
  assert.equal(before.has(1, copyOf('old')), false)
  assert.equal(before.has(1, copyOf('young')), true)
  assert.equal(before.has(2, copyOf('young')), false)
  await clock.advance(5 * MINUTE)
  assert.equal(before.has(1, copyOf('young')), false)
})

test('a mark of the broker is nobody else’s, and one of a clock that was ahead is believed to be old', async () => {
  const { clock, journal, put } = await setUp()
  await put(1, Buffer.from('\x00\x09client'))
  clock.step(10 * MINUTE)
  await put(1, copyOf('ahead'))
  clock.step(-10 * MINUTE)
  const before = await readSentBefore(journal, clock)
  assert.equal(before.has(1, Buffer.from('\x00\x09client')), false)
  assert.equal(before.has(1, copyOf('ahead')), false)
})
