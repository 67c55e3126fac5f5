/**
 * The history: what every field was, by the minute, the hour and the day, within a budget of bytes.
 *
 * It watches the readings as they are journaled, and the results of windows, and never decides anything. It is worked
 * out of the journal (see `level.ts`): after a crash the replay brings back what memory held, and what the first
 * level's log reaches to is left out. So each reading is counted once, in its own minute, however late it comes.
 */
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { BusyError } from '../errors.ts'
import type { Files } from '../log/files.ts'
import { type Damage, type Log, openLog, type Trouble } from '../log/log.ts'
import { type Reading, TEXT } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import type { Watcher } from '../watcher.ts'
import type { WindowDefinition } from '../window/definition.ts'
import { deviceOwner, seriesId } from './block.ts'
import { Level } from './level.ts'
import { NOWHERE, type OpenSeries, textsOf } from './rollup.ts'
import { createWindowSeries, isOfDevice, type WindowSeries } from './window-series.ts'

const MINUTE = 60_000
/** Name, length of a bucket in ms, and share of the budget. */
const LEVELS = [
  ['1m', MINUTE, 1 / 2],
  ['1h', 3_600_000, 3 / 8],
  ['1d', 86_400_000, 1 / 8],
] as const

const MB = 1 << 20
const BLOCK = MB / 2
const SEGMENTS = 32
/** Streams and shapes of one device of which the series are remembered; one forgotten begins a series anew. */
const REMEMBERED = 16

export interface HistoryOptions {
  readonly directory: string
  readonly files: Files
  readonly clock: Clock
  readonly maxBytes: number
  /** Default 512 KB. */
  readonly blockBytes?: number
  /** See `LevelParts`. */
  readonly slice?: number
  readonly onTrouble: (trouble: Trouble | null) => void
  readonly onDamage: (damage: Damage) => void
}

/** @throws StartError a newer gateway wrote it */
export async function openHistory(options: HistoryOptions): Promise<History> {
  const levels = await Promise.all(LEVELS.map(([name, step, share]) => openLevel(options, name, step, share)))
  return new History(levels)
}

async function openLevel(options: HistoryOptions, name: string, step: number, share: number): Promise<Level> {
  const { directory, files, clock, onTrouble, onDamage } = options
  const maxBytes = Math.floor(options.maxBytes * share)
  const log = await openLog({
    directory: join(directory, name),
    files,
    clock,
    segmentBytes: Math.max(65_536, Math.min(MB, Math.floor(maxBytes / SEGMENTS))),
    commit: { interval: 1000, bytes: 4 * MB },
    onTrouble,
    onDamage,
  })
  return new Level({ name, step, log, maxBytes, blockBytes: options.blockBytes ?? BLOCK, slice: options.slice })
}

/** A device's series, of one stream and shape; `next` is another of the same device. */
interface DeviceSeries extends OpenSeries {
  readonly stream: string | undefined
  next: DeviceSeries | undefined
}

export class History implements Watcher {
  /** Finest first. */
  readonly levels: readonly Level[]
  readonly #minutes: Level
  readonly #windows: WindowSeries
  readonly #stopping = new AbortController()
  #following: Promise<unknown> = Promise.resolve()
  /** Entries up to this one are on disk here since before the start. */
  readonly #known: number
  #entry = 0

  constructor(levels: readonly Level[]) {
    this.levels = levels
    this.#minutes = levels[0] as Level
    this.#known = this.#minutes.log.marked
    this.#windows = createWindowSeries(this.#minutes.rollup)
  }

  /** Highest entry of the journal that it has on disk: the journal must not give that number again. */
  get entry(): number {
    return this.#minutes.log.marked
  }

  /** On the hot path. */
  reading(reading: Reading, entry: number): void {
    if (entry <= this.#known) return
    if (entry !== this.#entry) this.#begin(entry)
    const bucket = Math.floor(reading.time / MINUTE)
    if (bucket < 0) return
    const { rollup } = this.#minutes
    const { shape, numbers } = reading
    let series = reading.device.history as DeviceSeries | undefined
    if (
      series === undefined ||
      series.fields !== shape ||
      series.stream !== reading.stream ||
      series.generation !== rollup.generation
    )
      series = this.#seriesOf(reading)
    const { page, at } = series
    if (page[at] !== bucket) rollup.turn(series, bucket, reading.texts)
    page[at + 1] = (page[at + 1] as number) + 1
    const { kinds } = shape
    for (let i = 0, field = at + 2; i < kinds.length; i++, field += 3) {
      if (kinds[i] === TEXT) continue
      const value = numbers[i] as number
      if (value < (page[field] as number)) page[field] = value
      if (value > (page[field + 1] as number)) page[field + 1] = value
      page[field + 2] = (page[field + 2] as number) + value
    }
  }

  result(record: WindowRecord, definition: WindowDefinition, entry: number): void {
    if (entry <= this.#known || isOfDevice(definition) || record.kind !== 'window') return
    if (entry !== this.#entry) this.#begin(entry)
    this.#windows.add(record, Math.floor(Date.parse(record.start) / MINUTE))
  }

  /** A block ends between two entries, so that it can say up to which one it reaches. */
  #begin(entry: number): void {
    if (this.#minutes.rollup.full) this.#minutes.cut(this.#entry)
    this.#entry = entry
  }

  #seriesOf(reading: Reading): DeviceSeries {
    const { device, stream, shape } = reading
    const first = device.history as DeviceSeries | undefined
    let before: DeviceSeries | undefined
    let found = first
    let sameStream: DeviceSeries | undefined
    for (let i = 0; found !== undefined && i < REMEMBERED; i++) {
      if (found.stream === stream) {
        sameStream = found
        if (found.fields === shape) break
      }
      before = found
      found = i + 1 < REMEMBERED ? found.next : undefined
    }
    if (found === undefined) {
      if (before) before.next = undefined
      const id = sameStream?.id ?? seriesId(deviceOwner(device.id), stream)
      // Written out: of objects made by spreading V8 makes a hidden class each, and the hot path ten times slower.
      const texts = textsOf(shape)
      found = { id, fields: shape, ref: 0, generation: 0, page: NOWHERE, at: 0, texts, stream, next: first }
    } else if (before) {
      before.next = found.next
      found.next = first
    }
    device.history = found
    if (found.generation !== this.#minutes.rollup.generation) this.#minutes.rollup.open(found)
    return found
  }

  /** The replay is over: the levels are worked out one from the other, and written once the journal holds what they count. */
  start(journal: Pick<Log, 'durable' | 'onDurable'>): void {
    journal.onDurable((durable) => this.#minutes.write(durable))
    this.#minutes.write(journal.durable)
    this.#following = Promise.all(
      this.levels.slice(1).map((level, i) => level.follow(this.levels[i] as Level, this.#stopping.signal)),
    )
  }

  /** What was processed up to `entry`, the last one, becomes a block. */
  cut(entry: number): void {
    this.#minutes.cut(entry)
  }

  /** Resolves when what was cut up to `durable` is on disk; the journal holds it. @throws BusyError the disk did not take it */
  async flush(durable: number): Promise<void> {
    if (await this.#minutes.flush(durable)) return
    throw new BusyError('SLUICE_CHECKPOINT_EARLY', 'the disk does not hold the history yet')
  }

  /** Keeps the budget; called now and then. @param full there is no room on the disk: half of what is kept goes */
  trim(full = false): void {
    this.levels.forEach((level, i) => void level.trim(this.levels[i + 1], full))
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#following.catch(() => undefined)
    for (const { log } of this.levels) await log.close()
  }
}
