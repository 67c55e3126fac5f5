/**
 * The log against a model: random operations, trouble and crashes on a disk that loses what was not synced, compared
 * with an oracle that holds every number reported durable as an obligation.
 *
 * LOG_TEST_SEEDS=2000 runs more histories, LOG_TEST_SEED=4711 one again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Log, type LogOptions, openLog } from '../../gateway/log/log.ts'
import { verifyLog } from '../../gateway/log/verify.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk, type FaultyDisk, type Operation } from '../support/faulty-files.ts'
import { createRandom, type Random } from '../support/random.ts'

const DIRECTORY = '/data/log'
const only = process.env.LOG_TEST_SEED
const seeds = only ? [Number(only)] : Array.from({ length: Number(process.env.LOG_TEST_SEEDS ?? 60) }, (_, i) => i + 1)

/** What must hold, whatever happens. */
interface Oracle {
  /** Record number n at index n - 1. */
  records: string[]
  /** Highest number that somebody was told is durable, or that the kernel has. */
  durable: number
  written: number
  /** Highest mark that must survive. */
  mark: number
  /** Every mark with the number after the last record that it covers. */
  marks: { value: number; next: number }[]
  /** Nothing at or above was ever deleted. */
  trimmed: number
}

interface Run {
  readonly random: Random
  readonly disk: FaultyDisk
  readonly clock: FakeClock
  readonly oracle: Oracle
  readonly log: Log
  /** How often nobody waits for what is appended. */
  readonly laziness: number
}

test('every number reported durable survives random crashes, and what survives is a prefix', {
  timeout: 600_000,
}, async () => {
  for (const seed of seeds) {
    try {
      await history(seed)
    } catch (error) {
      throw new Error(`LOG_TEST_SEED=${seed}: ${(error as Error).stack}`, { cause: error })
    }
  }
})

async function history(seed: number): Promise<void> {
  const random = createRandom(seed)
  const disk = createFaultyDisk(random.next)
  const oracle: Oracle = { records: [], durable: 0, written: 0, mark: 0, marks: [], trimmed: 1 }
  for (let life = 0; life < 6; life++) {
    const run = await live(random, disk, oracle)
    for (let step = random.below(60); step > 0; step--) await act(run)
    await end(run)
  }
  const report = await verifyLog({ directory: DIRECTORY, files: disk.mount() })
  const lost = report.damage.filter(({ firstLost }) => firstLost !== undefined)
  assert.deepEqual(lost, [])
  assert.deepEqual(report.quarantined, [])
}

function optionsOf(random: Random, disk: FaultyDisk, clock: FakeClock): LogOptions {
  return {
    directory: DIRECTORY,
    files: disk.mount(),
    clock,
    segmentBytes: 1000 + random.below(20_000),
    compress: random.chance(0.5),
    commit: { interval: 20, bytes: 300 + random.below(8000), eager: random.chance(0.5) },
    sync: random.chance(0.8) ? 'fsync' : 'interval',
    maxBuffer: 4000 + random.below(random.pick([40_000, 400_000])),
    onDamage: (damage) => {
      // What one power cut in very many leaves of a commit looks like changed zeros (`survey.ts`); nothing is lost then.
      assert.equal(damage.firstLost, undefined, `damage where there is none: ${JSON.stringify(damage)}`)
    },
  }
}

async function live(random: Random, disk: FaultyDisk, oracle: Oracle): Promise<Run> {
  disk.fault = () => null
  const clock = new FakeClock()
  const log = await openLog(optionsOf(random, disk, clock))
  // Of half the runs nobody waits for the disk: only the sync of each second makes anything durable.
  const run = { random, disk, clock, oracle, log, laziness: random.pick([0.3, 1]) }
  assert.ok(log.next > oracle.durable, `next is ${log.next}, but ${oracle.durable} was durable`)
  assert.ok(log.next <= oracle.records.length + 1, 'no number that was never given')
  oracle.records.length = log.next - 1
  oracle.durable = log.next - 1
  oracle.written = log.next - 1
  assert.ok(log.marked >= oracle.mark, `mark ${oracle.mark} was durable, ${log.marked} is left`)
  if (log.marked > 0)
    assert.ok(
      oracle.marks.some((m) => m.value === log.marked && m.next === log.unmarked),
      'a mark with what it covers',
    )
  oracle.mark = log.marked
  oracle.marks = oracle.marks.filter((m) => m.value < log.marked || (m.value === log.marked && m.next <= log.unmarked))
  assert.ok(log.first <= oracle.trimmed, 'nothing was deleted that nobody trimmed')
  await readAll(run, log.first)
  log.onDurable((number) => {
    oracle.durable = number
    oracle.mark = Math.max(oracle.mark, log.marked)
  })
  log.onWritten((number) => {
    oracle.written = number
  })
  return run
}

async function readAll({ log, oracle }: Run, from: number): Promise<void> {
  const { durable } = log
  let expected = from
  for await (const { first, count, skipped, body, bounds } of log.read(from)) {
    // Trimmed while it was read.
    if (skipped > 0) assert.ok(expected < log.first)
    assert.equal(first, expected + skipped)
    for (let i = 0; i < count; i++) {
      const text = body.toString('latin1', bounds[2 * i], bounds[2 * i + 1])
      assert.equal(text, oracle.records[first + i - 1], `record ${first + i}`)
    }
    expected = first + count
  }
  assert.ok(expected > durable || durable < from, `read up to ${expected - 1} of ${durable}`)
}

function append({ random, log, oracle, laziness }: Run): void {
  const length = random.chance(0.1) ? random.below(3000) : random.below(120)
  const text = `${log.next}:`.padEnd(length, random.chance(0.5) ? 'abc' : String(random.next()))
  const number = log.append(Buffer.from(text, 'latin1'), random.chance(laziness))
  if (number > 0) assert.equal(oracle.records.push(text), number)
}

function mark({ log, oracle }: Run): void {
  const value = (oracle.marks.at(-1)?.value ?? 0) + 1
  log.mark(value)
  oracle.marks.push({ value, next: log.next })
}

async function act(run: Run): Promise<void> {
  const { random, log, clock, oracle } = run
  const dice = random.below(run.laziness === 1 ? 140 : 100)
  if (dice < 55) for (let n = random.below(20); n >= 0; n--) append(run)
  else if (dice < 65) mark(run)
  else if (dice < 75) await turns(random.below(8))
  else if (dice < 82) await clock.advance(random.pick([5, 20, 1000]))
  else if (dice < 87) await flush(run)
  else if (dice < 90) log.urgent()
  else if (dice < 94) await trim(run)
  else if (dice < 97) await readAll(run, Math.max(log.first, 1 + random.below(log.next)))
  else if (dice < 100) breakDisk(run)
  else await clock.advance(random.pick([20, 1000]))
  assert.ok(log.durable <= log.written && log.written < log.next)
  assert.equal(oracle.records.length, log.next - 1)
}

async function flush(run: Run): Promise<void> {
  const { log, oracle, disk, clock } = run
  const upTo = log.next - 1
  disk.fault = () => null
  disk.capacity = Infinity
  let done = false
  void log.flush().then(() => {
    done = true
  })
  for (let round = 0; !done && round < 60; round++) await clock.advance(1000)
  assert.ok(done, 'a flush ends when the disk works')
  assert.ok(log.durable >= upTo)
  assert.equal(log.trouble, null)
  assert.ok(log.marked >= (oracle.marks.at(-1)?.value ?? 0))
}

async function trim({ random, log, oracle }: Run): Promise<void> {
  const keepFrom = 1 + random.below(log.durable + 1)
  oracle.trimmed = Math.max(oracle.trimmed, keepFrom)
  if (random.chance(0.5)) return log.trimTo(keepFrom)
  const before = log.first
  const dropped = await log.retain({ maxBytes: random.below(20_000), keepFrom })
  if (dropped) assert.deepEqual([dropped.first, dropped.last], [before, log.first - 1])
}

function breakDisk({ random, disk }: Run): void {
  const kinds = random.pick<readonly Operation[]>([
    ['write'],
    ['sync'],
    ['create', 'rename', 'mkdir'],
    ['write', 'create', 'sync'],
    ['remove', 'truncate', 'syncdir'],
  ])
  const code = random.pick(['EIO', 'ENOSPC', 'EROFS'])
  let left = random.below(6)
  disk.fault = (operation) => (kinds.includes(operation) && left-- > 0 ? code : null)
}

async function end(run: Run): Promise<void> {
  const { random, log, disk, oracle } = run
  if (random.chance(0.25)) {
    disk.fault = () => null
    await log.close()
    assert.equal(log.durable, log.next - 1, 'closing commits')
    disk.kill()
    return
  }
  // Somewhere in a commit, more often than not.
  if (random.chance(0.7)) log.urgent()
  await turns(random.below(10))
  if (random.chance(0.7)) return disk.powerCut()
  disk.kill()
  // Trouble aside, what the kernel has survives the process.
  if (log.trouble === null) oracle.durable = oracle.written
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
