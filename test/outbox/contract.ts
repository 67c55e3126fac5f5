/** What every outbox does, whatever its stores are. Each implementation's test calls this. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { WhenFull } from '../../gateway/outbox/budget.ts'
import type { Outbox, OutboxOptions, SinkCursor, Taken } from '../../gateway/outbox/outbox.ts'
import type { AlertRecord, ReadingRecord, RecordClass, WindowRecord } from '../../gateway/record.ts'
import { FakeClock } from '../support/clock.ts'

export interface Opened {
  readonly outbox: Outbox
  /** Closes it and removes what it left. */
  done(): Promise<void>
}

export type Open = (options: OutboxOptions, clock: FakeClock) => Promise<Opened>

export function options(more: Partial<OutboxOptions> = {}, whenFull: WhenFull = 'drop_oldest'): OutboxOptions {
  return {
    gateway: 'site-7',
    maxBytes: 100_000_000,
    whenFull: { event: whenFull, result: whenFull, reading: whenFull },
    journal: 'j1',
    ...more,
  }
}

export function result(n: number, padding = 0): WindowRecord {
  return {
    kind: 'window',
    window: 'per-device',
    key: { device: `d${n}`, ...(padding > 0 ? { pad: noise(n, padding) } : {}) },
    start: '2026-11-23T07:44:00.000Z',
    end: '2026-11-23T07:44:10.000Z',
    count: n,
    fields: {},
  }
}

/** Text that no compression shrinks much. */
function noise(seed: number, length: number): string {
  let text = ''
  let state = seed * 2654435761 + 1
  while (text.length < length) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    text += state.toString(36)
  }
  return text.slice(0, length)
}

export function alert(n: number): AlertRecord {
  return { kind: 'alert', rule: `r${n}`, key: {}, state: 'raised', severity: 'high', time: '2026-11-23T07:44:00.000Z' }
}

export function reading(n: number): ReadingRecord {
  const time = '2026-11-23T07:44:00.000Z'
  return {
    kind: 'reading',
    device: `d${n}`,
    time,
    received: time,
    source: 'mqtt',
    tags: {},
    fields: { pad: noise(n, 400) },
  }
}

interface Parsed {
  readonly seq: number
  readonly kind: string
  readonly first?: number
  readonly count?: number
  readonly reason?: string
  readonly class?: string
  readonly from?: string
  readonly to?: string
}

export function parse(record: Buffer): Parsed {
  return JSON.parse(record.toString()) as Parsed
}

/** Reads and acknowledges everything; every number must be there or within a gap. */
export async function drain(cursor: SinkCursor, recordClass: RecordClass, count = 100): Promise<Parsed[]> {
  const found: Parsed[] = []
  for (;;) {
    const taken = await cursor.next(recordClass, count, 1_000_000)
    if (!taken) return found
    found.push(...taken.batch.records.map(parse))
    cursor.ack(taken)
  }
}

export function assertNoHole(records: readonly Parsed[], from: number): void {
  let next = from
  for (const { seq, first, kind, count } of records) {
    assert.equal(first !== undefined && kind === 'gap' ? first : seq, next, `a hole before ${seq}`)
    if (kind === 'gap' && first !== undefined) assert.equal(count, seq - first + 1)
    next = seq + 1
  }
}

async function take(cursor: SinkCursor, recordClass: RecordClass, count = 100, bytes = 1_000_000): Promise<Taken> {
  const taken = await cursor.next(recordClass, count, bytes)
  assert.ok(taken, 'something waits')
  return taken
}

export function outboxContract(name: string, open: Open): void {
  describe(`outbox, ${name}`, () => {
    let clock: FakeClock
    let opened: Opened
    let outbox: Outbox

    const start = async (given: OutboxOptions) => {
      opened = await open(given, clock)
      outbox = opened.outbox
    }
    const append = async (recordClass: RecordClass, from: number, to: number, padding = 0) => {
      for (let n = from; n <= to; n++) {
        const record = recordClass === 'event' ? alert(n) : recordClass === 'reading' ? reading(n) : result(n, padding)
        outbox.append(recordClass, n, record)
        // Commits as they come live: a budget can only drop what has reached the store.
        if (n % 10 === 0) await outbox.commit(n, true)
      }
      await outbox.commit(to, true)
    }

    beforeEach(() => {
      clock = new FakeClock()
    })
    afterEach(() => opened.done())

    it('numbers the records of each class from 1 without holes', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['event', 'result'])
      await append('result', 1, 5)
      await append('event', 6, 7)
      const { batch } = await take(cursor, 'result')
      assert.deepEqual([batch.first, batch.last, batch.count, batch.class], [1, 5, 5, 'result'])
      assert.deepEqual(
        batch.records.map((record) => parse(record).seq),
        [1, 2, 3, 4, 5],
      )
      assert.equal((await take(cursor, 'event')).batch.last, 2)
    })

    it('gives a sink nothing before it is committed', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      outbox.append('result', 1, result(1))
      assert.equal(await cursor.next('result', 10, 1000), null)
      await outbox.commit(1, true)
      assert.equal((await take(cursor, 'result')).batch.count, 1)
    })

    it('commits only records whose entry is covered by the journal', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      outbox.append('result', 1, result(1))
      outbox.append('result', 2, result(2))
      await outbox.commit(1, true)
      assert.equal((await take(cursor, 'result')).batch.last, 1)
      assert.equal(outbox.covered('result'), 1)
      await outbox.commit(2, true)
      assert.equal(outbox.covered('result'), 2)
      assert.equal(outbox.durable('result'), 2)
    })

    it('writes what is not urgent within a tenth of a second', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      const woken = new Promise<void>((resolve) => cursor.onWake(resolve))
      outbox.append('result', 1, result(1))
      assert.equal(outbox.commit(1, false), undefined)
      await clock.advance(100)
      await woken
      assert.equal(cursor.depth('result'), 1)
    })

    it('covers entries that cause no record', async () => {
      await start(options())
      outbox.sink('cloud', ['result'])
      outbox.commit(7, false)
      assert.equal(outbox.covered('result'), 7)
      assert.equal(outbox.coveredByAll, 7)
    })

    it('ignores records of entries that are covered already', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      await append('result', 1, 3)
      outbox.append('result', 2, result(2))
      await outbox.commit(3, true)
      assert.equal((await drain(cursor, 'result')).length, 3)
    })

    it('gives the same bytes again until they are acknowledged', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      await append('result', 1, 4)
      const first = await take(cursor, 'result', 2)
      const again = await take(cursor, 'result', 2)
      assert.deepEqual(again.batch.body(), first.batch.body())
      cursor.ack(first)
      const { batch } = await take(cursor, 'result', 2)
      assert.deepEqual([batch.first, batch.last], [3, 4])
    })

    it('goes on after the part of a batch that was acknowledged', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      await append('result', 1, 5)
      cursor.ack(await take(cursor, 'result'), 3)
      assert.equal((await take(cursor, 'result')).batch.first, 4)
      assert.equal(cursor.depth('result'), 2)
    })

    it('cuts a batch by bytes, and sends at least one record', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      await append('result', 1, 10, 1000)
      assert.equal((await take(cursor, 'result', 100, 10)).batch.count, 1)
      const { count } = (await take(cursor, 'result', 100, 4000)).batch
      assert.ok(count >= 2 && count <= 4, `${count} records`)
    })

    it('keeps the place of each sink apart', async () => {
      await start(options())
      const cloud = outbox.sink('cloud', ['result'])
      const lake = outbox.sink('lake', ['result', 'reading'])
      await append('result', 1, 10)
      assert.equal((await drain(cloud, 'result')).length, 10)
      assert.equal(cloud.depth('result'), 0)
      assert.equal(lake.depth('result'), 10)
      assertNoHole(await drain(lake, 'result'), 1)
    })

    it('keeps nothing of a class that no sink wants', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['event', 'result'])
      assert.equal(outbox.wants('reading'), false)
      await append('reading', 1, 100)
      assert.equal(outbox.status().bytes, 0)
      assert.throws(() => cursor.depth('reading'), RangeError)
    })

    it('trims what every sink has acknowledged', async () => {
      await start(options({ maxBytes: 4_000_000 }))
      const cloud = outbox.sink('cloud', ['result'])
      const lake = outbox.sink('lake', ['result'])
      for (let n = 0; n < 2000; n += 100) await append('result', n + 1, n + 100, 1000)
      await drain(cloud, 'result')
      await clock.advance(1000)
      const before = outbox.status().bytes
      await drain(lake, 'result')
      await clock.advance(1000)
      await outbox.save()
      assert.ok(outbox.status().bytes < before / 2, `${outbox.status().bytes} of ${before}`)
      assert.equal(outbox.status().classes[1]?.next, 2001)
    })

    it('drops the oldest when the budget is full and sends one gap in their place', async () => {
      await start(options({ maxBytes: 2_000_000 }))
      const cursor = outbox.sink('cloud', ['result'])
      for (let n = 0; n < 5000; n += 100) await append('result', n + 1, n + 100, 1000)
      assert.ok(outbox.status().bytes <= 2_000_000)
      const records = await drain(cursor, 'result')
      const [gap] = records
      assert.deepEqual([gap?.kind, gap?.reason, gap?.first, gap?.class], ['gap', 'outbox_full', 1, 'result'])
      assert.equal(records.filter(({ kind }) => kind === 'gap').length, 1)
      assertNoHole(records, 1)
      assert.equal(records.at(-1)?.seq, 5000)
      assert.equal(outbox.status().classes[1]?.lost.outbox_full, gap?.count)
    })

    it('never changes a gap that a sink was sent, and begins another for what is lost later', async () => {
      await start(options({ maxBytes: 2_000_000 }))
      const cursor = outbox.sink('cloud', ['result'])
      for (let n = 0; n < 4000; n += 100) await append('result', n + 1, n + 100, 1000)
      const sent = await take(cursor, 'result', 1)
      for (let n = 4000; n < 8000; n += 100) await append('result', n + 1, n + 100, 1000)
      const again = await take(cursor, 'result', 1)
      assert.deepEqual(again.batch.records, sent.batch.records)
      const records = await drain(cursor, 'result')
      assertNoHole(records, 1)
      assert.equal(records.filter(({ kind }) => kind === 'gap').length, 2)
    })

    it('counts no gap for what the slowest sink has acknowledged', async () => {
      await start(options({ maxBytes: 2_000_000 }))
      const cursor = outbox.sink('cloud', ['result'])
      let records: Parsed[] = []
      for (let n = 0; n < 5000; n += 100) {
        await append('result', n + 1, n + 100, 1000)
        records = [...records, ...(await drain(cursor, 'result'))]
      }
      assert.equal(records.length, 5000)
      assert.deepEqual(outbox.status().classes[1]?.lost, {})
    })

    it('uses up the numbers of new records that it drops, and says so in a gap', async () => {
      await start(options({ maxBytes: 1_000_000 }, 'drop_newest'))
      const cursor = outbox.sink('cloud', ['result'])
      for (let n = 0; n < 3000; n += 100) await append('result', n + 1, n + 100, 1000)
      const kept = await drain(cursor, 'result')
      assert.ok(kept.length > 100 && kept.length < 2000, `${kept.length} kept`)
      await clock.advance(1000)
      await outbox.save()
      await append('result', 3001, 3010, 1000)
      const records = [...kept, ...(await drain(cursor, 'result'))]
      assertNoHole(records, 1)
      assert.equal(records.at(-1)?.seq, 3010)
      assert.ok(records.filter(({ kind }) => kind === 'gap').length <= 2)
    })

    it('lets no mark pass records that were dropped and not yet told of', async () => {
      await start(options({ maxBytes: 1_000_000 }, 'drop_newest'))
      outbox.sink('cloud', ['result'])
      for (let n = 0; n < 2000; n += 100) await append('result', n + 1, n + 100, 1000)
      assert.ok(outbox.covered('result') < 2000)
      outbox.closeGaps()
      await outbox.commit(2000, true)
      assert.equal(outbox.covered('result'), 2000)
    })

    it('drops what is older than it may be, and says so in a gap', async () => {
      await start(options({ maxBytes: 2_000_000, maxAge: 3_600_000 }))
      const cursor = outbox.sink('cloud', ['result'])
      for (let n = 0; n < 1000; n += 100) await append('result', n + 1, n + 100, 500)
      await clock.advance(3_000_000)
      for (let n = 1000; n < 2000; n += 100) await append('result', n + 1, n + 100, 500)
      await clock.advance(1_200_000)
      await outbox.expire()
      const records = await drain(cursor, 'result')
      assertNoHole(records, 1)
      const { reason, seq = 0 } = records[0] ?? {}
      assert.equal(reason, 'outbox_age')
      // On disk whole segments go.
      assert.ok(seq > 900 && seq <= 1000, `up to ${seq}`)
    })

    it('says that it is full instead of dropping when told to block', async () => {
      await start(options({ maxBytes: 1_000_000 }, 'block'))
      const cursor = outbox.sink('cloud', ['result'])
      let n = 0
      while (!outbox.full('result')) {
        assert.ok(n < 5000, 'never full')
        await append('result', n + 1, n + 10, 1000)
        n += 10
      }
      let room = false
      outbox.onRoom(() => {
        room = true
      })
      const records = await drain(cursor, 'result')
      assertNoHole(records, 1)
      assert.equal(records.length, n)
      await clock.advance(1000)
      await outbox.save()
      assert.equal(outbox.full('result'), false)
      assert.ok(room)
    })

    it('drops readings first and never an alert for them', async () => {
      await start(options({ maxBytes: 2_000_000 }))
      const cursor = outbox.sink('cloud', ['event', 'result', 'reading'])
      await append('event', 1, 50)
      for (let n = 100; n < 10_000; n += 100) await append('reading', n + 1, n + 100)
      for (let n = 10_000; n < 11_000; n += 100) await append('result', n + 1, n + 100, 500)
      assert.ok(outbox.status().bytes <= 2_000_000)
      assert.equal((await drain(cursor, 'event')).length, 50)
      assert.equal((await drain(cursor, 'result')).length, 1000)
      const readings = await drain(cursor, 'reading')
      assert.equal(readings[0]?.kind, 'gap')
      assertNoHole(readings, 1)
    })

    it('records what was skipped for one sink as a gap, for that sink alone', async () => {
      await start(options())
      const cloud = outbox.sink('cloud', ['result'])
      const lake = outbox.sink('lake', ['result'])
      await append('result', 1, 20)
      assert.equal(await outbox.skip('cloud', 'result', 12), 12)
      const records = await drain(cloud, 'result')
      assert.deepEqual(
        [records[0]?.kind, records[0]?.reason, records[0]?.first, records[0]?.seq],
        ['gap', 'skipped', 1, 12],
      )
      assertNoHole(records, 1)
      assert.equal((await drain(lake, 'result')).length, 20)
      assert.equal(await outbox.skip('nobody', 'result'), undefined)
    })

    it('sends a gap for a batch that was refused, and goes on when that is refused too', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      await append('result', 1, 5)
      cursor.refuse(await take(cursor, 'result', 2))
      const gap = await take(cursor, 'result', 1)
      assert.deepEqual(parse(gap.batch.records[0] as Buffer).reason, 'refused')
      assert.deepEqual([gap.batch.first, gap.batch.last], [1, 2])
      cursor.refuse(gap)
      assert.equal((await take(cursor, 'result')).batch.first, 3)
    })

    it('keeps what waits for a removed sink until it is forgotten', async () => {
      await start(options())
      outbox.sink('old', ['result'])
      await append('result', 1, 10)
      outbox.detach('old')
      const cloud = outbox.sink('cloud', ['result'])
      await append('result', 11, 20)
      await drain(cloud, 'result')
      assert.equal(outbox.status().sinks.find(({ name }) => name === 'old')?.removed, true)
      assertNoHole(await drain(outbox.sink('old', ['result']), 'result'), 1)
      outbox.detach('old')
      assert.equal(await outbox.forget('old'), true)
      assert.equal(await outbox.forget('cloud'), false)
      assert.equal(outbox.status().sinks.length, 1)
    })

    it('exports what waits without acknowledging it', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['event', 'result'])
      await append('result', 1, 3)
      await append('event', 4, 5)
      const found: string[] = []
      for await (const record of outbox.export('cloud') ?? []) found.push(parse(record).kind)
      assert.deepEqual(found, ['alert', 'alert', 'window', 'window', 'window'])
      assert.equal(cursor.depth('result'), 3)
      assert.equal(outbox.export('nobody'), undefined)
    })

    it('shows depth, age and how long draining will take', async () => {
      await start(options())
      const cursor = outbox.sink('cloud', ['result'])
      await append('result', 1, 100)
      await clock.advance(5000)
      cursor.ack(await take(cursor, 'result', 60))
      const backlog = outbox.status().sinks[0]?.backlog[0]
      assert.deepEqual([backlog?.records, backlog?.acked], [40, 60])
      assert.equal(backlog?.oldest, clock.now() - 5000)
      assert.ok((backlog?.drainSeconds ?? 0) > 0)
      assert.equal(cursor.age('result'), 5000)
    })
  })
}
