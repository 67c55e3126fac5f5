/** Readings, definitions and random input for the tests of windows. */
import {
  createReading,
  createShapes,
  type Device,
  NUMBER,
  type Reading,
  type Shape,
  type Tags,
  TEXT,
} from '../../gateway/reading.ts'
import type { WindowRecord } from '../../gateway/record.ts'
import { createWindowStage, type WindowDefinition, type WindowStage } from '../../gateway/window/stage.ts'

export const START = Date.UTC(2026, 10, 23, 7, 44)

export function define(overrides: Partial<WindowDefinition> = {}): WindowDefinition {
  return {
    name: 'w',
    kind: { tumbling: 10_000 },
    by: ['device'],
    delay: 2_000,
    idle: 60_000,
    time: 'event',
    exclude: [],
    statistics: [],
    textValues: 10,
    maxKeys: 100_000,
    whenFull: 'evict_oldest',
    late: 'correct',
    retain: 60_000,
    attach: false,
    ...overrides,
  }
}

/** One observation as a test writes it. */
export interface Sample {
  readonly device: string
  /** ms since the epoch */
  readonly time: number
  readonly received?: number
  readonly stamped?: boolean
  readonly source?: string
  readonly stream?: string
  readonly tags?: Tags
  readonly fields: Readonly<Record<string, number | string>>
}

/** Turns samples into readings, with one object per device and shape as the decoder does. */
export class Readings {
  readonly #devices = new Map<string, Device>()
  readonly #root = createShapes()
  readonly #reading: Reading

  constructor() {
    this.#reading = createReading({ id: '', slots: [] }, this.#root)
  }

  of(sample: Sample): Reading {
    const reading = this.#reading
    reading.source = sample.source ?? 'mqtt'
    reading.device = this.device(sample.device)
    reading.stream = sample.stream
    reading.tags = sample.tags ?? {}
    reading.time = sample.time
    reading.received = sample.received ?? sample.time
    reading.stamped = sample.stamped ?? false
    let shape: Shape = this.#root
    for (const [name, value] of Object.entries(sample.fields)) {
      if (typeof value === 'number') reading.numbers[shape.size] = value
      else reading.texts[shape.size] = value
      shape = shape.with(name, typeof value === 'number' ? NUMBER : TEXT)
    }
    reading.shape = shape
    return reading
  }

  /** Stages keep nothing with the devices any more. */
  forget(): void {
    for (const device of this.#devices.values()) device.slots.length = 0
  }

  device(id: string): Device {
    let device = this.#devices.get(id)
    if (!device) {
      device = { id, slots: [] }
      this.#devices.set(id, device)
    }
    return device
  }
}

export interface Loss {
  readonly source: string
  readonly window: string
  readonly count: number
  readonly from: number
  readonly to: number
}

/** A stage, what it emitted, and the count of entries. */
export class Bench {
  stage: WindowStage
  readonly records: WindowRecord[] = []
  readonly losses: Loss[] = []
  readonly readings = new Readings()
  readonly definitions: readonly WindowDefinition[]
  entry = 0

  constructor(...definitions: WindowDefinition[]) {
    this.definitions = definitions
    this.stage = this.create()
  }

  create(definitions = this.definitions): WindowStage {
    return createWindowStage(definitions, {
      result: (record) => this.records.push(record),
      late: (source, window, count, from, to) => this.losses.push({ source, window, count, from, to }),
    })
  }

  add(sample: Sample): void {
    this.stage.add(this.readings.of(sample), ++this.entry)
  }

  /** What the gateway does ten times a second. True when there was a tick. */
  pass(now: number, monotonic: number): boolean {
    const tick = this.stage.due(now, monotonic, this.entry)
    if (!tick) return false
    this.entry++
    this.stage.tick(tick)
    return true
  }

  /** Everything so far is idle, and corrections are due. */
  finish(now: number): void {
    const idle = Object.fromEntries(this.definitions.map(({ name }) => [name, this.entry]))
    this.entry++
    this.stage.tick({ now, idle, flush: true })
  }

  snapshot(): Buffer {
    return Buffer.concat([...this.stage.snapshot()])
  }

  reload(definitions = this.definitions): void {
    const bytes = this.snapshot()
    this.stage = this.create(definitions)
    this.stage.restore(bytes)
  }
}

/** The last word on each window: corrections replace what came before. Throws when a window is emitted twice. */
export function finalResults(records: readonly WindowRecord[]): Map<string, WindowRecord> {
  const results = new Map<string, WindowRecord>()
  for (const record of records) {
    const id = `${record.window} ${JSON.stringify(record.key)} ${record.start}`
    const known = results.get(id)
    if (record.kind === 'window' && known) throw new Error(`${id} was emitted twice`)
    if (record.kind === 'correction' && record.rev !== (known?.rev ?? 1) + 1) throw new Error(`${id} skips a revision`)
    results.set(id, record)
  }
  return results
}

/** Mulberry32: a small seeded generator of numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
