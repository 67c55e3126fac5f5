import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createLive, type LiveEvent, READINGS_PER_SECOND, RESULTS_PER_SECOND } from '../../gateway/http/live.ts'
import { createReading, createShapes, NUMBER, type Reading } from '../../gateway/reading.ts'
import { FakeClock } from '../support/clock.ts'
import { type Served, serve } from './serve.ts'

describe('the event stream', () => {
  let served: Served
  const open: Reader[] = []
  beforeEach(async () => {
    served = await serve()
  })
  afterEach(async () => {
    for (const reader of open.splice(0)) reader.socket.destroy()
    await served.server.stop()
  })

  const read = async (path: string) => {
    const reader = openReader(served.port, path)
    open.push(reader)
    await reader.until('\r\n\r\n')
    return reader
  }

  test('begins with ready and the status, then shows what happens', async () => {
    const reader = await read('/api/events')
    await reader.until('event: status')
    served.api.live.window(windowOf('dvc3001'))
    await served.clock.advance(100)
    const text = await reader.until('event: window')
    assert.match(text, /content-type: text\/event-stream/)
    assert.match(text, /event: ready\ndata: \{"gateway":"site-7"/)
    assert.match(text, /x-content-type-options: nosniff/)
  })

  test('only has the types that were asked for', async () => {
    const reader = await read('/api/events?types=command')
    served.api.live.window(windowOf('dvc3001'))
    served.api.live.command(commandOf('c1'))
    const text = await reader.until('event: command')
    assert.doesNotMatch(text, /event: (window|ready|status)/)
  })

  test('refuses unknown types', async () => {
    const answer = await served.ask('GET', '/api/events?types=window,cats')
    assert.deepEqual([answer.status, answer.json.code], [400, 'SLUICE_BAD_REQUEST'])
  })

  test('only has the devices that match', async () => {
    const reader = await read('/api/events?types=window&match=dvc30*')
    served.api.live.window(windowOf('other'))
    served.api.live.window(windowOf('dvc3001'))
    await served.clock.advance(100)
    assert.doesNotMatch(await reader.until('dvc3001'), /other/)
  })

  test('keeps the connection warm and repeats the status each second', async () => {
    const reader = await read('/api/events?types=status')
    await served.clock.advance(15_000)
    const text = await reader.until(': still here')
    assert.ok(text.split('event: status').length > 10)
  })

  test('a reader that does not read loses events by the count, and the gateway no memory', async () => {
    const reader = openReader(served.port, '/api/events?types=command')
    open.push(reader)
    await reader.until('\r\n\r\n')
    reader.socket.pause()
    const sent = 4000
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    for (let i = 0; i < sent; i++) {
      served.api.live.command(commandOf('x'.repeat(10_000)))
      if (i % 100 === 0) await turn()
    }
    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before
    assert.ok(grown < 30_000_000, `grew by ${grown} bytes for 40 MB of events`)
    reader.socket.resume()
    const text = await reader.until((text) => seenIn(text) + droppedIn(text) >= sent)
    assert.equal(seenIn(text) + droppedIn(text), sent)
    assert.ok(droppedIn(text) > sent / 2)
    served.api.live.command(commandOf('after'))
    await reader.until('after')
  })

  test('readers that leave are forgotten, and there are only so many', async () => {
    const readers: Reader[] = []
    for (let i = 0; i < 64; i++) readers.push(await read('/api/events?types=alert'))
    const answer = await served.ask('GET', '/api/events')
    assert.deepEqual([answer.status, answer.json.code], [503, 'SLUICE_TOO_MANY_READERS'])
    readers[0]?.socket.destroy()
    for (let i = 0; i < 200; i++) {
      await turn()
      const reader = openReader(served.port, '/api/events?types=ready')
      open.push(reader)
      if (/200 OK/.test(await reader.until('\r\n\r\n'))) return
    }
    assert.fail('the place was not given free')
  })

  test('stopping the server ends the streams', async () => {
    const reader = await read('/api/events')
    await served.server.stop()
    await reader.ended
  })
})

describe('what people watch', () => {
  test('costs nothing while nobody watches, and shows copies', () => {
    const live = createLive(new FakeClock())
    const reading = readingOf('a', 1)
    live.reading(reading)
    const events: LiveEvent[] = []
    const stop = live.subscribe({ types: new Set(['reading']) }, (event) => events.push(event))
    live.reading(reading)
    reading.numbers[0] = 2
    stop()
    live.reading(reading)
    assert.equal(JSON.stringify(events.map((event) => event.data)).match(/"value":1/g)?.length, 1)
    assert.equal(events.length, 1)
  })

  test('is sampled, and the next reading says how many were spared', async () => {
    const clock = new FakeClock()
    const live = createLive(clock)
    const events: { spared?: number }[] = []
    live.subscribe({ types: new Set(['reading']) }, (event) => events.push(event.data as { spared?: number }))
    for (let i = 0; i < 1000; i++) live.reading(readingOf('a', i))
    assert.equal(events.length, READINGS_PER_SECOND)
    await clock.advance(1000)
    live.reading(readingOf('a', 1))
    assert.equal(events.at(-1)?.spared, 1000 - READINGS_PER_SECOND)
    live.reading(readingOf('a', 2))
    assert.equal(events.at(-1)?.spared, undefined)
  })

  test('results are sampled as readings are, however many windows close at once', async () => {
    const clock = new FakeClock()
    const live = createLive(clock)
    const events: { spared?: number }[] = []
    live.subscribe({ types: new Set(['window']) }, (event) => events.push(event.data as { spared?: number }))
    for (let i = 0; i < 5000; i++) live.window(windowOf(`d${i}`))
    assert.equal(events.length, RESULTS_PER_SECOND)
    await clock.advance(1000)
    live.window(windowOf('next'))
    assert.equal(events.at(-1)?.spared, 5000 - RESULTS_PER_SECOND)
  })

  test('a pattern is applied before sampling, so that a rare device is seen among many', () => {
    const live = createLive(new FakeClock())
    const seen: string[] = []
    const interest = { types: new Set(['reading'] as const), match: 'telemetry/+/temp' }
    live.subscribe(interest, (event) => seen.push((event.data as { device: string }).device))
    for (let i = 0; i < 1000; i++) live.reading(readingOf('many', i))
    const rare = readingOf('rare', 1)
    rare.stream = 'temp'
    live.reading(rare)
    assert.deepEqual(seen, ['rare'])
  })
})

function seenIn(text: string): number {
  return text.split('event: command').length - 1
}

function droppedIn(text: string): number {
  let sum = 0
  for (const [, count] of text.matchAll(/event: dropped\ndata: \{"count":(\d+)\}\n\n/g)) sum += Number(count)
  return sum
}

function windowOf(device: string) {
  const time = '2026-11-23T00:00:00.000Z'
  return { kind: 'window' as const, window: 'w', key: { device }, start: time, end: time, count: 1, fields: {} }
}

function commandOf(id: string) {
  return { kind: 'command' as const, id, device: 'd', command: 'x', state: 'sent' as const, time: '', by: 'api' }
}

const SHAPE = createShapes().with('value', NUMBER)

function readingOf(id: string, value: number): Reading {
  const reading = createReading({ id, slots: [] }, SHAPE)
  reading.numbers[0] = value
  return reading
}

interface Reader {
  readonly socket: Socket
  readonly ended: Promise<void>
  /** All that came so far, as soon as it holds or fulfils `mark`. */
  until(mark: string | ((text: string) => boolean)): Promise<string>
}

function openReader(port: number, path: string): Reader {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  let text = ''
  let wake: () => void = () => undefined
  socket.setEncoding('utf8')
  socket.on('data', (piece) => {
    text += piece
    wake()
  })
  socket.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const until: Reader['until'] = (mark) =>
    new Promise((resolve, reject) => {
      wake = () => {
        if (typeof mark === 'string' ? text.includes(mark) : mark(text)) resolve(text)
      }
      ended.then(() => reject(new Error(`ended before ${mark}`)))
      wake()
    })
  return { socket, ended, until }
}
