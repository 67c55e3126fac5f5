/**
 * The state machine: one journal entry in, its effects out.
 *
 *   message ─▶ decode ─▶ ledger ─▶ device ─▶ windows ─▶ rules ─▶ outbox
 *   control ──────────────┴──────────────────────┴─────────┘
 *
 * Processing is synchronous, in the order of the journal, and depends on nothing but the state and the entry. The same
 * code serves live traffic and replay after a crash; whoever must not act twice (local publication, events shown to
 * people) looks at `live`.
 */

import type { DeadLetters } from './decode/dead-letters.ts'
import { createDecoder, type Decoder, type Route } from './decode/decoder.ts'
import type { Devices } from './decode/devices.ts'
import type { FieldInfo } from './decode/field-types.ts'
import { type LookupTable, type TableState, Tables } from './decode/tables.ts'
import { rememberReading } from './devices/devices.ts'
import { DecodeError } from './errors.ts'
import type { Flow } from './flow.ts'
import type { Control, ShownTime } from './journal/entry.ts'
import { HeldReadings, type HeldState } from './journal/held.ts'
import { addLoss, type SourceLedger } from './journal/ledger.ts'
import { SourceTable } from './journal/source-table.ts'
import type { Reading, Shape } from './reading.ts'
import { gapRecord, type Outgoing, type RecordClass, readingRecord, type WindowRecord } from './record.ts'
import { StageTimes } from './stage-times.ts'
import type { Onlooker, RecordOutput, Watcher } from './watcher.ts'
import { addRow } from './window/ledger.ts'
import {
  createWindowStage,
  type Tick,
  type WindowDefinition,
  type WindowLedgerRow,
  type WindowStage,
} from './window/stage.ts'

export interface PipelineParts {
  readonly devices: Devices
  readonly shapes: Shape
  readonly deadLetters: DeadLetters
  readonly output: RecordOutput
  readonly watchers: readonly Watcher[]
  readonly onlooker: Onlooker
  /** Monotonic ms, to time some messages (`stage-times.ts`); never looked at to decide anything. */
  readonly monotonic?: () => number
  readonly typeChanged?: (info: FieldInfo) => void
  /** The windows of a new flow are there: open state of those that left was emitted. */
  readonly displaced?: (window: string, reason: string, results: number) => void
}

/** What a checkpoint keeps of the pipeline itself, beside the windows. */
export interface PipelineState {
  readonly sources: readonly string[]
  readonly ledgers: readonly SourceLedger[]
  readonly flow: Flow
  /** Ledgers of windows that left the config, or were changed. */
  readonly displaced?: readonly WindowLedgerRow[]
  /** Readings that wait for the clock to be right. */
  readonly held?: HeldState | undefined
  readonly tables?: readonly TableState[]
}

export const DEAD_LETTER = -1
const MAX_ROUTES = 200_000

export class Pipeline {
  readonly parts: PipelineParts
  readonly tables = new Tables()
  readonly sources = new SourceTable()
  readonly windows: WindowStage
  decoder: Decoder
  flow: Flow
  /** False while the journal is replayed. */
  live = false
  /** Number of the last entry that was processed. */
  entry = 0
  /** Set while messages are processed that are not journaled: collects the times that closed windows. */
  unjournaled: ShownTime[] | undefined
  /** Why the last message became a dead letter; undefined when it did not. */
  refusal: DecodeError | undefined
  readonly #times: StageTimes
  #emitted = 0
  readonly #results = new Map<string, number>()
  readonly #routes = new Map<string, Route | null>()
  readonly #displaced = new Map<string, WindowLedgerRow>()
  readonly #held = new HeldReadings()
  /** The message that is being processed was stamped by a clock that may be wrong. */
  #unsynced = false
  readonly #flowListeners: (() => void)[] = []
  readonly #onReading: (reading: Reading) => void

  constructor(parts: PipelineParts, flow: Flow) {
    this.parts = parts
    this.flow = flow
    this.#times = new StageTimes(parts.monotonic)
    this.decoder = this.#createDecoder(flow)
    this.windows = createWindowStage(flow.windows, this)
    this.#onReading = (reading) => this.#reading(reading)
    for (const watcher of parts.watchers) watcher.attach?.(this)
  }

  /** What a message or a reading took in each stage. */
  get latencies(): StageTimes['latencies'] {
    return this.#times.latencies
  }

  /** What a topic means; kept for the topics of a replay. */
  route(topic: string): Route | null {
    let route = this.#routes.get(topic)
    if (route === undefined) {
      if (this.#routes.size >= MAX_ROUTES) this.#routes.clear()
      route = this.decoder.route(topic)
      this.#routes.set(topic, route)
    }
    return route
  }

  /** Results of a window since the process started. */
  resultsOf(window: string): number {
    return this.#results.get(window) ?? 0
  }

  /** Called when topics may mean something else than before. */
  onFlow(listener: () => void): void {
    this.#flowListeners.push(listener)
  }

  /**
   * One message.
   *
   * @returns how many readings it held, or DEAD_LETTER
   */
  message(
    entry: number,
    route: Route | null,
    ledger: SourceLedger,
    topic: string,
    bytes: Buffer,
    start: number,
    end: number,
    contentType: string | undefined,
    received: number,
    synced: boolean,
  ): number {
    this.entry = entry
    this.refusal = undefined
    this.#unsynced = !synced
    ledger.messages++
    ledger.bytes += end - start
    if (this.live) this.#times.begin()
    try {
      if (route === null) throw new DecodeError('topic', `no decode rule matches topic ${topic}`)
      const count = this.decoder.decode(
        route,
        ledger.name,
        bytes,
        start,
        end,
        contentType,
        received,
        synced,
        this.#onReading,
      )
      ledger.in += count
      ledger.decoded += count
      return count
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.refusal = error
      ledger.in++
      addLoss(ledger.dead, error.reason, 1, received, received)
      this.parts.deadLetters.add(ledger.name, topic, error, bytes, start, end, received)
      if (this.live) this.parts.onlooker.deadLetter(ledger.name, error.reason)
      return DEAD_LETTER
    } finally {
      if (this.#times.timed) this.#times.end()
    }
  }

  /** The message that was processed last had a mark. */
  marked(mark: Buffer): void {
    for (const watcher of this.parts.watchers) watcher.marked?.(mark)
  }

  /** One control entry. */
  control(entry: number, control: Control): void {
    this.entry = entry
    switch (control.type) {
      case 'source':
        this.sources.set(control.index, control.name)
        return
      case 'tick': {
        const tick = control.tick as Tick
        this.windows.tick(tick)
        for (const watcher of this.parts.watchers) watcher.tick?.(tick.now, entry, this.live)
        return
      }
      case 'advance':
        for (const { source, device, time, received, stamped } of control.shown)
          this.windows.advance(source, device, time, received, stamped)
        return
      case 'table':
        this.tables.take(control.table)
        return
      case 'flow':
        this.#changeFlow(control.flow as Flow)
        return
      case 'gap':
        this.#gap(entry, control)
        return
      case 'fact':
        for (const watcher of this.parts.watchers) watcher.fact?.(control.stage, control.fact, entry, this.live)
        return
      case 'synced':
        this.#synced(control.offset)
        return
    }
  }

  /** Appends a record that another stage made of the entry that is being processed. */
  append(recordClass: RecordClass, record: Outgoing): void {
    this.#emitted++
    this.parts.output.append(recordClass, this.entry, record)
    if (this.live) this.parts.onlooker.record(recordClass, record)
  }

  /** A window closed, or a late reading corrected it; called by the window stage. */
  result(record: WindowRecord, definition: WindowDefinition): void {
    this.#results.set(record.window, (this.#results.get(record.window) ?? 0) + 1)
    this.append('result', record)
    for (const watcher of this.parts.watchers) watcher.result?.(record, definition, this.entry, this.live)
    if (this.live) this.parts.onlooker.result(record, definition)
  }

  /** Readings too late even for a correction; called by the window stage. */
  late(source: string, window: string, count: number, from: number, to: number): void {
    this.append('event', gapRecord('late', count, from, to, { source, window }))
  }

  state(): PipelineState {
    const held = this.#held.state()
    return {
      sources: [...this.sources.names],
      ledgers: this.sources.ledgers(),
      flow: this.flow,
      displaced: [...this.#displaced.values()],
      tables: this.tables.state(),
      ...(held ? { held } : {}),
    }
  }

  /** Only on a pipeline that has seen nothing yet, made with the flow of that state. */
  restore(state: PipelineState, windows: Uint8Array, entry: number): void {
    this.entry = entry
    this.sources.restore(state.sources, state.ledgers)
    this.#keepLedgers(state.displaced ?? [])
    this.#held.restore(state.held)
    this.tables.restore(state.tables ?? [])
    this.windows.restore(windows)
  }

  /** Readings that wait for the clock to be right. */
  get held(): Pick<HeldReadings, 'size' | 'last'> {
    return this.#held
  }

  /** Per window and source where every reading went, windows that left the config included. */
  windowLedger(): readonly WindowLedgerRow[] {
    const rows = new Map(this.#displaced)
    for (const row of this.windows.ledger()) addRow(rows, row)
    return [...rows.values()]
  }

  #createDecoder(flow: Flow): Decoder {
    const { devices, shapes, typeChanged } = this.parts
    const lookups: Record<string, LookupTable> = {}
    for (const rule of flow.decode) for (const { table } of rule.lookup ?? []) lookups[table] = this.tables.get(table)
    return createDecoder({ rules: flow.decode, lookups, devices, shapes, typeChanged })
  }

  /** Windows that stay keep their state; those that left are closed early. */
  #changeFlow(flow: Flow): void {
    this.flow = flow
    this.decoder = this.#createDecoder(flow)
    this.#routes.clear()
    for (const device of this.parts.devices.all()) device.slots.fill(undefined)
    for (const { definition, reason, results, ledger } of this.windows.redefine(flow.windows)) {
      this.#keepLedgers(ledger)
      this.parts.displaced?.(definition.name, reason, results)
    }
    for (const listener of this.#flowListeners) listener()
  }

  #keepLedgers(ledger: readonly WindowLedgerRow[]): void {
    for (const row of ledger) addRow(this.#displaced, row)
  }

  /** The clock was `offset` ms behind: what it stamped is counted now, with its true time. */
  #synced(offset: number): void {
    const { devices, shapes } = this.parts
    this.#unsynced = false
    const lost = this.#held.release(offset, devices, shapes, this.#onReading)
    for (const { source, count, from, to } of lost)
      this.append('event', gapRecord('unsynced', count, from, to, { source }))
  }

  /** What is not journaled cannot be held back: a replay would not know of it. */
  #hold(reading: Reading): void {
    if (this.#held.add(reading, this.unjournaled === undefined)) return
    const ledger = this.sources.ledger(reading.source)
    // The message it came in counts it as decoded.
    ledger.decoded--
    addLoss(ledger.dropped, 'unsynced', 1, reading.received, reading.received)
  }

  #reading(reading: Reading): void {
    if (this.#unsynced && reading.stamped) {
      this.#hold(reading)
      return
    }
    rememberReading(reading)
    const { output } = this.parts
    const emitted = this.#emitted
    if (this.#times.timed) {
      this.#times.reading(
        () => this.windows.add(reading, this.entry),
        () => this.#watch(reading),
      )
    } else {
      this.windows.add(reading, this.entry)
      this.#watch(reading)
    }
    if (this.unjournaled !== undefined && this.#emitted !== emitted) this.unjournaled.push(shownBy(reading))
    if (output.wants('reading'))
      output.append('reading', this.entry, readingRecord(reading, this.windows.attached(reading)))
    if (this.live) this.parts.onlooker.reading(reading)
  }

  #watch(reading: Reading): void {
    const { watchers } = this.parts
    for (let i = 0; i < watchers.length; i++) watchers[i]?.reading?.(reading, this.entry, this.live)
  }

  #gap(entry: number, gap: Extract<Control, { type: 'gap' }>): void {
    this.entry = entry
    const ledger = this.sources.ledger(gap.source)
    if (gap.count === 'unknown') {
      addLoss(ledger.dropped, gap.reason, 0, gap.from, gap.to)
      const loss = ledger.dropped[gap.reason]
      if (loss) loss.unknown = (loss.unknown ?? 0) + 1
    } else {
      ledger.in += gap.count
      addLoss(ledger.dropped, gap.reason, gap.count, gap.from, gap.to)
    }
    this.append('event', gapRecord(gap.reason, gap.count, gap.from, gap.to, { source: gap.source }))
  }
}

function shownBy({ source, device, time, received, stamped }: Reading): ShownTime {
  return { source, device: device.id, time, received, stamped }
}
