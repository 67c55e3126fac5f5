/**
 * The window stage: readings in, statistics per key and stretch of time out.
 *
 * It is a deterministic machine. What it emits depends on the sequence of `add`, `advance` and `tick` and on nothing
 * else; so a tick is written to the journal before it acts, and replay gives the same records. `due` decides when a
 * tick is needed and is only asked live.
 *
 *   snapshot   json: version, clock, sources, definitions | per definition: its state
 */
import { newerData } from '../errors.ts'
import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import { WindowBook, type WindowOutput } from './book.ts'
import { DeviceClosing } from './by-device.ts'
import { SourceClosing } from './by-source.ts'
import type { Closing } from './closing.ts'
import { closesByDevice, signatureOf, type WindowDefinition } from './definition.ts'
import type { WindowLedgerRow } from './ledger.ts'
import { createMoment, NOW, TIME } from './moment.ts'
import { nextSlice, type Slice } from './slices.ts'
import { type Pieces, SnapshotReader, SnapshotWriter } from './snapshot.ts'
import { move, type SourceState, stampedTime, WindowSources } from './sources.ts'
import { SteadyClock, type SteadyClockState } from './steady-clock.ts'
import { type Tick, Ticks } from './ticks.ts'

export type { WindowOutput } from './book.ts'
export type { WindowDefinition, WindowKind } from './definition.ts'
export type { WindowLedgerRow } from './ledger.ts'
export type { Tick } from './ticks.ts'

export interface WindowStageOptions {
  /** How long corrections wait for each other, ms of monotonic time. */
  readonly coalesce?: number
}

export interface WindowStatus {
  readonly window: string
  readonly keys: number
  /** Bytes of state, all in all; partly an estimate. */
  readonly bytes: number
  readonly evictedKeys: number
  /** Values not counted because a result has at most 1,024 fields. */
  readonly skippedValues: number
  /** How far the closing clock is behind the gateway's, ms; the furthest device's where each has its own. */
  readonly lag?: number
}

/** What became of a definition that a snapshot holds and the config no longer has, or has changed. */
export interface Displaced {
  readonly definition: WindowDefinition
  readonly reason: 'removed' | 'changed'
  /** Its windows that were open, now emitted early. */
  readonly results: number
  /** Its last ledger, in which nothing is open any more. */
  readonly ledger: readonly WindowLedgerRow[]
}

/** Per window with `attach`: the latest result of the reading's key, and of its type. */
export type Attached = Record<string, { readonly key?: WindowRecord; readonly type?: WindowRecord }>

const VERSION = 4
const COALESCE = 1000

export class WindowStage {
  readonly #output: WindowOutput
  readonly #coalesce: number
  readonly #clock = new SteadyClock()
  readonly #moment = createMoment()
  readonly #sources = new WindowSources()
  #closings: readonly Closing[]
  #attaching: readonly Closing[]
  #ticks: Ticks

  constructor(definitions: readonly WindowDefinition[], output: WindowOutput, options: WindowStageOptions) {
    this.#output = output
    this.#coalesce = options.coalesce ?? COALESCE
    this.#closings = definitions.map((definition, slot) => this.#open(definition, slot))
    this.#attaching = this.#closings.filter(({ book }) => book.definition.attach)
    this.#ticks = new Ticks(this.#closings, this.#coalesce)
  }

  /** Counts a reading in all windows. The hot path: in a steady state it allocates nothing. */
  add(reading: Reading, entry: number): void {
    this.#clock.see(reading.received)
    const time = stampedTime(reading, this.#clock)
    const source = this.#sources.see(reading, time, entry)
    const closings = this.#closings
    this.#moment[TIME] = time
    this.#moment[NOW] = this.#clock.time
    for (let i = 0; i < closings.length; i++) (closings[i] as Closing).add(reading, entry, source)
  }

  /** A reading that is not counted here has shown a time: clocks move as if it had been. Times in ms since the epoch. */
  advance(source: string, device: string, time: number, received: number, stamped: boolean): void {
    this.#clock.see(received)
    const shown = stamped ? this.#clock.stamp(time) : time
    move(this.#sources.named(source), shown, received, stamped)
    for (const closing of this.#closings) closing.advance(device, shown, stamped, this.#clock.time)
  }

  /**
   * The tick that must be journaled and then given to `tick`, or null when it would do nothing. Changes nothing itself.
   *
   * @param now wall clock, ms since the epoch
   * @param monotonic ms
   * @param lastEntry the last entry that was processed
   */
  due(now: number, monotonic: number, lastEntry: number): Tick | null {
    return this.#ticks.due(now, this.#clock.at(now), monotonic, lastEntry)
  }

  /** A tick was cut into slices and some are still to be given: sooner than by the clock. */
  get ticking(): boolean {
    return this.#ticks.unfinished
  }

  /** Closes what the tick says; live and on replay. */
  tick(tick: Tick): void {
    this.#clock.see(tick.now)
    const now = this.#clock.time
    const { idle, flush, slice, times } = tick
    this.#sources.tick(now)
    for (const closing of this.#closings) {
      const { name } = closing.book.definition
      closing.tick(now, idle[name], slice, times?.[name])
    }
    if (flush !== undefined) this.#flush(flush === true ? undefined : slice)
    this.#ticks.done(tick)
  }

  #flush(slice: Slice | undefined): void {
    const last = slice === undefined || nextSlice(slice) === undefined
    for (const closing of this.#closings) {
      closing.correct(slice)
      if (last) closing.book.reportLost()
    }
  }

  /** The whole state as it is now; `restore` of a new stage continues exactly there. */
  snapshot(): Pieces {
    const writer = new SnapshotWriter()
    writer.json({
      version: VERSION,
      clock: this.#clock.state(),
      sources: this.#sources.state(),
      definitions: this.definitions,
    })
    for (const closing of this.#closings) closing.save(writer)
    return writer.pieces()
  }

  /**
   * Continues from a snapshot; only on a stage that has seen nothing yet. A definition that the stage no longer has,
   * or has with another meaning (`signatureOf`), is displaced: its open windows are emitted early, under its old
   * name, so that nothing that was counted is lost. Definitions new to the snapshot start empty.
   *
   * @throws DamageError when the bytes are not a snapshot, StartError when they are of a newer version
   */
  restore(bytes: Uint8Array): readonly Displaced[] {
    const reader = new SnapshotReader(bytes)
    const head = headOf(reader)
    this.#clock.restore(head.clock)
    this.#sources.restore(head.sources)
    const displaced: Displaced[] = []
    for (const saved of head.definitions) {
      const state = reader.definition()
      const heir = heirOf(saved, this.#closings)
      if (heir) heir.load(state)
      else {
        const left = this.#open(saved, 0)
        left.load(state)
        displaced.push(this.#displace(left))
      }
    }
    return displaced
  }

  /**
   * Other definitions from now on. Those with the same meaning (`signatureOf`) keep their state, the others are displaced
   * as in `restore`. Whoever keeps places in `Device.slots` must forget them.
   */
  redefine(definitions: readonly WindowDefinition[]): readonly Displaced[] {
    const before = this.#closings
    this.#closings = definitions.map((definition, slot) => {
      const known = heirOf(definition, before)
      known?.redefine(definition, slot)
      return known ?? this.#open(definition, slot)
    })
    this.#attaching = this.#closings.filter(({ book }) => book.definition.attach)
    this.#ticks = new Ticks(this.#closings, this.#coalesce)
    return before.filter((closing) => !this.#closings.includes(closing)).map((closing) => this.#displace(closing))
  }

  /** Per window and source where every reading went: `decoded = windowed + open + late + filtered`, at any moment. */
  ledger(): readonly WindowLedgerRow[] {
    return this.#closings.flatMap(({ book }) => book.ledger())
  }

  /** As `ledger`, but `open` is what is left of the others: it is asked each second, and does not walk all keys. */
  tally(): readonly WindowLedgerRow[] {
    return this.#closings.flatMap(({ book }) => book.tally())
  }

  /** The latest result of a key, or the latest results of all keys that are kept (at most 1,000 without `attach`). */
  latest(window: string, key?: Readonly<Record<string, string>>): readonly WindowRecord[] {
    const book = this.#closings.find((closing) => closing.book.definition.name === window)?.book
    if (!book) return []
    const all = book.results.latest.all()
    if (!key) return all
    return all.filter((record) => book.definition.by.every((part) => record.key[part] === key[part]))
  }

  /** Undefined when no window has `attach`, or none has a result for this reading. */
  attached(reading: Reading): Attached | undefined {
    let attached: Attached | undefined
    for (const closing of this.#attaching) {
      const key = closing.latest(reading)
      const type = closing.book.results.latestOfType(reading)
      if (!key && !type) continue
      attached ??= {}
      attached[closing.book.definition.name] = { ...(key ? { key } : {}), ...(type ? { type } : {}) }
    }
    return attached
  }

  stats(): readonly WindowStatus[] {
    return this.#closings.map((closing) => {
      const lag = closing.lag(this.#clock.time)
      return {
        window: closing.book.definition.name,
        keys: closing.book.keys.count,
        bytes: closing.bytes(),
        evictedKeys: closing.book.evictedKeys,
        skippedValues: closing.book.panes.skipped,
        ...(lag === undefined ? {} : { lag }),
      }
    })
  }

  get definitions(): readonly WindowDefinition[] {
    return this.#closings.map(({ book }) => book.definition)
  }

  #open(definition: WindowDefinition, slot: number): Closing {
    const book = new WindowBook(definition, this.#output, this.#sources, this.#moment)
    if (closesByDevice(definition)) return new DeviceClosing(book, slot, this.#moment)
    return new SourceClosing(book, slot, this.#sources, this.#moment)
  }

  #displace(closing: Closing): Displaced {
    const { definition } = closing.book
    const before = closing.book.results.count
    closing.correct(undefined)
    closing.book.reportLost()
    closing.flush()
    const results = closing.book.results.count - before
    const changed = this.#closings.some(({ book }) => book.definition.name === definition.name)
    return { definition, reason: changed ? 'changed' : 'removed', results, ledger: closing.book.ledger() }
  }
}

/** @throws RangeError for a definition that makes no sense (the config layer says it better, and earlier) */
export function createWindowStage(
  definitions: readonly WindowDefinition[],
  output: WindowOutput,
  options: WindowStageOptions = {},
): WindowStage {
  return new WindowStage(definitions, output, options)
}

/** The one that goes on with the state of a definition. */
function heirOf(definition: WindowDefinition, closings: readonly Closing[]): Closing | undefined {
  return closings.find(({ book }) => signatureOf(book.definition) === signatureOf(definition))
}

interface Head {
  readonly version: number
  readonly clock: SteadyClockState
  readonly sources: readonly SourceState[]
  readonly definitions: readonly WindowDefinition[]
}

function headOf(reader: SnapshotReader): Head {
  const head = reader.json() as Head
  reader.version = head.version
  if (head.version > VERSION) throw newerData('the snapshot of the windows', head.version, VERSION)
  return head
}
