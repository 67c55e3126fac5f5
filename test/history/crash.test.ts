/**
 * A model: readings come, blocks are cut, the power goes at any moment, and the journal is replayed from the last
 * checkpoint. In the end each level must say what a plain count over the journal says.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { deviceOwner, ownerId, seriesId } from '../../gateway/history/block.ts'
import { type History, openHistory } from '../../gateway/history/history.ts'
import { answer } from '../../gateway/history/query.ts'
import { createReading, createShapes, NUMBER, type Reading, TEXT } from '../../gateway/reading.ts'
import { FakeClock } from '../support/clock.ts'
import { createFaultyDisk } from '../support/faulty-files.ts'
import { createRandom, type Random } from '../support/random.ts'

interface Entry {
  readonly device: string
  readonly stream: string | undefined
  readonly time: number
  readonly value: number
  readonly state: string
}

const NOW = Date.UTC(2026, 10, 23, 12)
const HOUR = 3_600_000
const DEVICES = ['a', 'b', 'c', 'd']
const SHAPE = createShapes().with('t', NUMBER).with('state', TEXT)

/** Mostly now, sometimes hours or days late. */
function createEntry(random: Random, n: number): Entry {
  const late = random.chance(0.1) ? random.below(40) * HOUR : 0
  return {
    device: random.pick(DEVICES),
    stream: random.chance(0.3) ? 's' : undefined,
    time: NOW + n * 4000 - late - random.below(120_000),
    value: Math.round(random.next() * 1000) / 10,
    state: random.pick(['up', 'down']),
  }
}

/** The gateway around the history: a journal of which only a part is durable, and devices that a crash forgets. */
class Machine {
  readonly random: Random
  readonly clock = new FakeClock(NOW)
  readonly disk
  readonly entries: Entry[] = []
  durable = 0
  checkpoint = 0
  history!: History
  #devices = new Map<string, Reading['device']>()
  #listeners: ((durable: number) => void)[] = []

  constructor(seed: number) {
    this.random = createRandom(seed)
    this.disk = createFaultyDisk(this.random.next)
  }

  async open(): Promise<void> {
    this.history = await openHistory({
      directory: '/history',
      files: this.disk.mount(),
      clock: this.clock,
      maxBytes: 1 << 30,
      blockBytes: 400,
      // A row or two at a time: answers and power cuts come in the middle of a block.
      slice: 4,
      onTrouble: () => undefined,
      onDamage: () => assert.fail('damage'),
    })
    this.#devices = new Map()
    this.#listeners = []
    for (let n = this.checkpoint + 1; n <= this.entries.length; n++) this.#process(n)
    const machine = this
    this.history.start({
      get durable() {
        return machine.durable
      },
      onDurable: (listener) => void this.#listeners.push(listener),
    })
  }

  add(): void {
    this.entries.push(createEntry(this.random, this.entries.length))
    this.#process(this.entries.length)
  }

  /** The journal commits some of what it has. */
  async commit(): Promise<void> {
    this.durable += this.random.below(this.entries.length - this.durable + 1)
    for (const listener of this.#listeners) listener(this.durable)
    await this.clock.advance(this.random.below(2) * 1100)
  }

  async makeCheckpoint(): Promise<void> {
    const entry = this.entries.length
    this.history.cut(entry)
    this.durable = entry
    await this.history.flush(this.durable)
    this.checkpoint = entry
  }

  async crash(): Promise<void> {
    if (this.random.chance(0.5)) this.disk.kill()
    else this.disk.powerCut()
    // What was not durable nobody was told of: other readings get its numbers.
    this.entries.length = this.durable
    assert.ok(this.history.entry <= this.durable, 'the history is never ahead of the journal')
    await turn()
    await this.open()
  }

  #process(n: number): void {
    const { device: id, stream, time, value, state } = this.entries[n - 1] as Entry
    const device = this.#devices.get(id) ?? { id, slots: [] }
    this.#devices.set(id, device)
    const reading = createReading(device, SHAPE)
    Object.assign(reading, { stream, time })
    reading.numbers[0] = value
    reading.texts[1] = state
    this.history.reading(reading, n)
  }
}

/** Per bucket: count, least, greatest, sum. */
function naive(entries: readonly Entry[], device: string, stream: string | undefined, step: number) {
  const buckets = new Map<number, { count: number; min: number; max: number; sum: number }>()
  for (const entry of entries) {
    if (entry.device !== device || (stream !== undefined && entry.stream !== stream)) continue
    const time = Math.floor(entry.time / step) * step
    const one = buckets.get(time) ?? { count: 0, min: Infinity, max: -Infinity, sum: 0 }
    buckets.set(time, {
      count: one.count + 1,
      min: Math.min(one.min, entry.value),
      max: Math.max(one.max, entry.value),
      sum: one.sum + entry.value,
    })
  }
  return [...buckets].sort(([a], [b]) => a - b)
}

async function compare({ history, entries }: Machine): Promise<void> {
  for (const { step } of history.levels) {
    for (const [device, stream] of [
      ['a', undefined],
      ['b', 's'],
      ['d', undefined],
    ] as const) {
      const from = Math.floor((NOW - 50 * HOUR) / step) * step
      const to = from + step * Math.ceil((80 * HOUR) / step)
      const owner = deviceOwner(device)
      const id = stream === undefined ? ownerId(owner) : seriesId(owner, stream)
      const { points } = await answer(history.levels, { id, field: 't', from, to, points: (to - from) / step })
      const wanted = naive(entries, device, stream, step)
      assert.deepEqual(
        points.map(({ time, count, min, max }) => [time, count, min, max]),
        wanted.map(([time, { count, min, max }]) => [time, count, min, max]),
      )
      for (const [i, { sum }] of points.entries()) assert.ok(Math.abs(sum - (wanted[i]?.[1].sum ?? 0)) < 1e-6)
    }
  }
}

for (let seed = 1; seed <= 6; seed++) {
  test(`every reading is counted once, in its own minute, hour and day, whenever the power goes (seed ${seed})`, async () => {
    const machine = new Machine(seed)
    await machine.open()
    for (let i = 0; i < 1500; i++) {
      machine.add()
      if (machine.random.chance(0.05)) await machine.commit()
      if (machine.random.chance(0.005)) await machine.makeCheckpoint()
      if (machine.random.chance(0.004)) await machine.crash()
      if (machine.random.chance(0.002)) await compare(machine)
    }
    await compare(machine)
    await machine.crash()
    await compare(machine)
    await machine.makeCheckpoint()
    await machine.crash()
    await compare(machine)
    await machine.history.close()
  })
}
