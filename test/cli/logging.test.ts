import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { createLog } from '../../gateway/logging.ts'
import { FakeClock } from '../support/clock.ts'

function collect() {
  const lines: string[] = []
  return { lines, destination: { write: (text: string) => void lines.push(text) } }
}

test('a line is one JSON object with time, level, what the child is bound to, and the text', async () => {
  const { lines, destination } = collect()
  const log = await createLog(new FakeClock(Date.UTC(2026, 10, 23)), { destination })
  log.child({ stage: 'ingest' }).child({ source: 'mqtt' }).warn({ address: '10.0.0.5' }, 'refused')
  assert.equal(
    lines.join(''),
    '{"level":"warn","time":"2026-11-23T00:00:00.000Z","stage":"ingest","source":"mqtt","address":"10.0.0.5","msg":"refused"}\n',
  )
})

test('the level changes for every child while it runs', async () => {
  const { lines, destination } = collect()
  const log = await createLog(new FakeClock(), { destination, level: 'warn' })
  const child = log.child({ stage: 'window' })
  child.info({}, 'too quiet')
  log.setLevel('debug')
  child.debug({}, 'heard')
  child.setLevel('error')
  log.warn({}, 'too quiet again')
  child.error({}, 'heard too')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).msg),
    ['heard', 'heard too'],
  )
})

test('a pretty line is one line for a person, made in this process', async () => {
  const lines: string[] = []
  const destination = new Writable({
    write(piece, _encoding, done) {
      lines.push(String(piece))
      done()
    },
  })
  const log = await createLog(new FakeClock(), { destination, pretty: true })
  log.child({ stage: 'broker' }).info({ port: 1883 }, 'listening')
  assert.match(lines.join(''), /^\[[\d:.]+\] INFO: listening \{"stage":"broker","port":1883\}\n$/)
})

test('an error carries its code and cause', async () => {
  const { lines, destination } = collect()
  const log = await createLog(new FakeClock(), { destination })
  log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed')
  const { err } = JSON.parse(lines[0] ?? '')
  assert.match(err.message, /outer: inner/)
})
