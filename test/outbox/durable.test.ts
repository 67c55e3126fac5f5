import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openDurableOutbox } from '../../gateway/outbox/durable.ts'
import type { Outbox, OutboxOptions } from '../../gateway/outbox/outbox.ts'
import { FakeClock } from '../support/clock.ts'
import { createFailingFiles } from '../support/failing-files.ts'
import { alert, assertNoHole, drain, options, outboxContract, parse, result } from './contract.ts'

outboxContract('on disk', async (given, clock) => {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-outbox-'))
  const outbox = await openDurableOutbox({ ...given, directory }, { clock })
  return {
    outbox,
    async done() {
      await outbox.close()
      await rm(directory, { recursive: true })
    },
  }
})

describe('outbox on disk, over a restart', () => {
  let root: string
  let directory: string
  let clock: FakeClock
  let opened: Outbox[]
  let damage: string[]

  const open = async (more: Partial<OutboxOptions> = {}): Promise<Outbox> => {
    const outbox = await openDurableOutbox(
      { ...options(more), directory },
      { clock, onDamage: (what) => damage.push(what) },
    )
    opened.push(outbox)
    return outbox
  }
  /** What a crash at this moment would leave, opened. */
  const crash = async (more: Partial<OutboxOptions> = {}): Promise<Outbox> => {
    const left = join(root, `after-${opened.length}`)
    // Segments may be deleted while they are copied.
    for (let tries = 0; ; tries++) {
      await rm(left, { recursive: true, force: true })
      const copied = await cp(directory, left, { recursive: true }).then(
        () => true,
        () => tries > 20,
      )
      if (copied) break
    }
    directory = left
    return open(more)
  }
  const append = async (outbox: Outbox, from: number, to: number, padding = 0) => {
    for (let n = from; n <= to; n++) {
      outbox.append('result', n, result(n, padding))
      if (n % 10 === 0) await outbox.commit(n, true)
    }
    await outbox.commit(to, true)
  }

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sluice-outbox-'))
    directory = join(root, 'outbox')
    clock = new FakeClock()
    opened = []
    damage = []
  })
  afterEach(async () => {
    for (const outbox of opened) await outbox.close()
    await rm(root, { recursive: true })
  })

  it('keeps epoch, numbers, records and the places of sinks', async () => {
    const before = await open()
    const cursor = before.sink('cloud', ['result'])
    await append(before, 1, 20)
    const taken = await cursor.next('result', 8, 1e6)
    assert.ok(taken)
    cursor.ack(taken)
    const { batch } = (await cursor.next('result', 5, 1e6)) ?? assert.fail()
    await before.close()

    const after = await open()
    const again = (await after.sink('cloud', ['result']).next('result', 5, 1e6)) ?? assert.fail()
    assert.deepEqual(again.batch.body(), batch.body())
    assert.equal(after.covered('result'), 20)
    await append(after, 21, 21)
    assert.equal(after.status().classes[1]?.next, 22)
  })

  it('what sinks acknowledged is sent again, not lost, when the disk did not take that they had', async () => {
    const files = createFailingFiles()
    const before = await openDurableOutbox(
      { ...options({ maxBytes: 1_000_000 }), directory, compress: false },
      { clock, files },
    )
    opened.push(before)
    const cursor = before.sink('cloud', ['result'])
    await before.save()
    await append(before, 1, 200, 500)
    files.fault = (operation, path) => (operation === 'write' && path.includes('state') ? 'EIO' : null)
    assert.equal((await drain(cursor, 'result')).length, 200)
    await before.save()
    const records = await drain((await crash()).sink('cloud', ['result']), 'result')
    assert.deepEqual(
      records.map(({ kind }) => kind),
      Array.from({ length: 200 }, () => 'window'),
    )
  })

  it('takes replayed records once', async () => {
    const before = await open()
    before.sink('cloud', ['result'])
    await append(before, 1, 15)
    before.append('result', 16, result(16))
    const after = await crash()
    const cursor = after.sink('cloud', ['result'])
    for (let n = 10; n <= 18; n++) after.append('result', n, result(n))
    await after.commit(18, true)
    const records = await drain(cursor, 'result')
    assertNoHole(records, 1)
    assert.equal(records.length, 18)
  })

  it('passes over what a commit wrote that lost its mark', async () => {
    const before = await open({ whenFull: { event: 'drop_newest', result: 'drop_newest', reading: 'drop_newest' } })
    before.sink('cloud', ['result'])
    await append(before, 1, 10)
    // Three records of one entry; the budget ends after the first: the mark must stay below the entry.
    const budget = { maxBytes: before.status().bytes + 300 }
    const full = await crash({
      ...budget,
      whenFull: before.options.whenFull,
      reserve: { event: 0, result: 0, reading: 0 },
    })
    full.sink('cloud', ['result'])
    for (let i = 0; i < 3; i++) full.append('result', 11, result(11 + i))
    await full.commit(11, true)
    assert.equal(full.covered('result'), 10)

    const after = await crash()
    const cursor = after.sink('cloud', ['result'])
    for (let i = 0; i < 3; i++) after.append('result', 11, result(11 + i))
    await after.commit(11, true)
    const records = await drain(cursor, 'result')
    assertNoHole(records, 1)
    assert.equal(records.length, 13)
  })

  it('sends again what was acknowledged after the last save, and never loses what was not', async () => {
    const before = await open()
    const cursor = before.sink('cloud', ['result'])
    await append(before, 1, 30)
    const first = (await cursor.next('result', 10, 1e6)) ?? assert.fail()
    cursor.ack(first)
    await clock.advance(1000)
    await before.save()
    cursor.ack((await cursor.next('result', 10, 1e6)) ?? assert.fail())
    const records = await drain((await crash()).sink('cloud', ['result']), 'result')
    assertNoHole(records, 11)
    assert.equal(records.at(-1)?.seq, 30)
  })

  it('sends a gap byte-identical after a restart, and begins another for what is lost later', async () => {
    const before = await open({ maxBytes: 1_000_000 })
    const cursor = before.sink('cloud', ['result'])
    for (let n = 0; n < 3000; n += 100) await append(before, n + 1, n + 100, 1000)
    const gap = (await cursor.next('result', 1, 1e6)) ?? assert.fail()
    assert.equal(parse(gap.batch.records[0] as Buffer).kind, 'gap')
    const after = await crash({ maxBytes: 1_000_000 })
    const again = after.sink('cloud', ['result'])
    for (let n = 3000; n < 5000; n += 100) await append(after, n + 1, n + 100, 1000)
    const same = (await again.next('result', 1, 1e6)) ?? assert.fail()
    assert.deepEqual(same.batch.records, gap.batch.records)
    const records = await drain(again, 'result')
    assertNoHole(records, 1)
    assert.equal(records.filter(({ kind }) => kind === 'gap').length, 2)
  })

  it('keeps numbers and gaps right when new records were dropped', async () => {
    const whenFull = { event: 'drop_newest', result: 'drop_newest', reading: 'drop_newest' } as const
    const before = await open({ maxBytes: 1_000_000, whenFull })
    const cursor = before.sink('cloud', ['result'])
    for (let n = 0; n < 2000; n += 100) await append(before, n + 1, n + 100, 1000)
    const kept = await drain(cursor, 'result')
    await clock.advance(1000)
    await before.save()
    await append(before, 2001, 2010)
    const after = await crash({ whenFull })
    await append(after, 2011, 2020)
    const again = after.sink('cloud', ['result'])
    await append(after, 2021, 2030)
    const records = [...kept, ...(await drain(again, 'result'))]
    assertNoHole(records, 1)
    // 2011 to 2020 came while no sink was known: nobody wanted them.
    assert.equal(records.at(-1)?.seq, 2020)
  })

  it('survives a crash after its state was saved and before the logs followed', async () => {
    const whenFull = { event: 'drop_newest', result: 'drop_newest', reading: 'drop_newest' } as const
    const more = { maxBytes: 1_000_000, whenFull }
    const before = await open(more)
    before.sink('cloud', ['result'])
    for (let n = 0; n < 2000; n += 100) await append(before, n + 1, n + 100, 1000)
    const covered = before.covered('result')
    assert.ok(covered < 2000)
    await before.save()
    const logs = join(root, 'logs-before')
    await cp(directory, logs, { recursive: true })
    // The gap becomes a record: numbers jump, and the state says so before the record is on disk.
    await clock.advance(1000)
    await before.commit(2000, true)
    await cp(join(directory, 'state'), join(logs, 'state'))
    directory = logs
    const after = await open({ whenFull })
    const cursor = after.sink('cloud', ['result'])
    for (let n = covered + 1; n <= 2000; n++) after.append('result', n, result(n, 1000))
    await after.commit(2000, true)
    const records = await drain(cursor, 'result')
    assertNoHole(records, 1)
    assert.equal(records.at(-1)?.seq, 2000)
  })

  it('drops what it said it dropped, also when a crash came before the segments were deleted', async () => {
    const before = await open({ maxBytes: 2_000_000 })
    before.sink('cloud', ['result'])
    for (let n = 0; n < 1000; n += 100) await append(before, n + 1, n + 100, 1000)
    await before.close()
    const logs = join(root, 'logs-before')
    await cp(directory, logs, { recursive: true })
    const small = await open({ maxBytes: 600_000 })
    const cursor = small.sink('cloud', ['result'])
    await append(small, 1001, 1010, 1000)
    await small.save()
    const [gap] = ((await cursor.next('result', 1, 1e6)) ?? assert.fail()).batch.records
    await cp(join(directory, 'state'), join(logs, 'state'))
    directory = logs
    const after = await open()
    const records = await drain(after.sink('cloud', ['result']), 'result')
    assertNoHole(records, 1)
    assert.deepEqual(records[0], parse(gap as Buffer))
    assert.equal(records.filter(({ kind }) => kind === 'gap').length, 1)
    assert.equal(after.status().classes[1]?.first, (records[0]?.seq ?? 0) + 1)
  })

  it('keeps the places of sinks that left the config', async () => {
    const before = await open()
    before.sink('old', ['result'])
    await append(before, 1, 10)
    await before.close()
    const between = await open()
    const cloud = between.sink('cloud', ['result'])
    between.detach('old')
    await append(between, 11, 20)
    await drain(cloud, 'result')
    await between.close()
    const after = await open()
    assert.deepEqual(
      after.status().sinks.map(({ name, removed }) => [name, removed]),
      [
        ['old', true],
        ['cloud', true],
      ],
    )
    assertNoHole(await drain(after.sink('old', ['result']), 'result'), 1)
  })

  it('starts with a damaged state and sends everything kept once more', async () => {
    const before = await open()
    const cursor = before.sink('cloud', ['result'])
    await append(before, 1, 20)
    await drain(cursor, 'result')
    await before.close()
    const path = join(directory, 'state')
    const bytes = await readFile(path)
    bytes[40] = (bytes[40] as number) ^ 1
    await writeFile(path, bytes)
    const after = await open()
    assert.deepEqual(damage, ['state'])
    const records = await drain(after.sink('cloud', ['result']), 'result')
    assertNoHole(records, 1)
    assert.equal(records.length, 20)
    assert.deepEqual(await readFile(`${path}.corrupt`), bytes)
  })

  it('finds how numbers run in the records when its state is gone', async () => {
    const whenFull = { event: 'drop_newest', result: 'drop_newest', reading: 'drop_newest' } as const
    const before = await open({ maxBytes: 1_000_000, whenFull })
    before.sink('cloud', ['result'])
    for (let n = 0; n < 2000; n += 100) await append(before, n + 1, n + 100, 1000)
    await clock.advance(1000)
    await before.commit(2000, true)
    await before.close()
    await rm(join(directory, 'state'))
    const after = await open({ whenFull })
    const cursor = after.sink('cloud', ['result'])
    await append(after, 2001, 2001)
    const records = await drain(cursor, 'result')
    assertNoHole(records, 1)
    assert.equal(records.at(-1)?.seq, 2001)
  })

  it('replaces records on a damaged stretch of the disk by a gap', async () => {
    const before = await open()
    before.sink('cloud', ['result'])
    await append(before, 1, 200, 100)
    await before.close()
    const file = join(directory, 'result', '0000000000000001.seg')
    const bytes = await readFile(file)
    const middle = bytes.length >> 1
    bytes[middle] = (bytes[middle] as number) ^ 1
    await writeFile(file, bytes)
    const after = await open()
    const records = await drain(after.sink('cloud', ['result']), 'result')
    assertNoHole(records, 1)
    const gaps = records.filter(({ kind }) => kind === 'gap')
    assert.deepEqual(
      gaps.map(({ reason }) => reason),
      ['damage'],
    )
    assert.deepEqual([...new Set(damage)], ['result'])
  })

  it('takes the entries of a journal that was made anew', async () => {
    const before = await open()
    before.sink('cloud', ['result'])
    await append(before, 1, 1000)
    await before.close()
    const after = await open({ journal: 'j2' })
    const cursor = after.sink('cloud', ['result'])
    assert.equal(after.covered('result'), 0)
    await append(after, 1, 10)
    assert.equal(after.covered('result'), 10)
    await after.close()
    const last = await open({ journal: 'j2' })
    assert.equal(last.covered('result'), 10)
    void cursor
    const records = await drain(last.sink('cloud', ['result']), 'result')
    assert.equal(records.length, 1010)
    assertNoHole(records, 1)
  })

  it('keeps classes apart over a restart', async () => {
    const before = await open()
    before.sink('cloud', ['event', 'result'])
    before.append('event', 1, alert(1))
    before.append('result', 2, result(2))
    await before.commit(2, true)
    await before.close()
    const after = await open()
    const cursor = after.sink('cloud', ['event', 'result'])
    assert.equal((await drain(cursor, 'event')).length, 1)
    assert.equal((await drain(cursor, 'result')).length, 1)
    const [event, results] = after.status().classes
    assert.notEqual(event?.epoch, results?.epoch)
  })
})
