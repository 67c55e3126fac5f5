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
import type { Decoder, Route } from './decode/decoder.ts'
import { rememberReading } from './devices.ts'
import { DecodeError } from './errors.ts'
import type { Control } from './journal/entry.ts'
import { addLoss, createSourceLedger, type SourceLedger } from './journal/ledger.ts'
import { fieldsOf, type Reading } from './reading.ts'
import type { GapRecord, Outgoing, ReadingRecord, RecordClass, WindowRecord } from './record.ts'
import type { Tick, WindowDefinition, WindowStage } from './window/stage.ts'

/** Where records go. The outbox; nowhere, in an audit. */
export interface RecordOutput {
  append(recordClass: RecordClass, entry: number, record: Outgoing): void
}

/** What watches the flow and may answer with records of its own: the rules and the command ledger. */
export interface Watcher {
  reading?(reading: Reading, entry: number, live: boolean): void
  result?(record: WindowRecord, definition: WindowDefinition, entry: number, live: boolean): void
  tick?(now: number, entry: number, live: boolean): void
  /** A fact of `stage`, as it was journaled. */
  fact?(stage: string, fact: unknown, entry: number, live: boolean): void
}

/** What people look at; never decides anything. */
export interface Onlooker {
  reading(reading: Reading): void
  result(record: WindowRecord, definition: WindowDefinition): void
  record(recordClass: RecordClass, record: Outgoing): void
  deadLetter(source: string, reason: string): void
}

export interface PipelineParts {
  readonly decoder: Decoder
  readonly deadLetters: DeadLetters
  readonly output: RecordOutput
  readonly watchers: readonly Watcher[]
  readonly onlooker: Onlooker
  /** Some upstream wants readings too. */
  readonly raw: boolean
}

/** What a checkpoint keeps of the pipeline itself. */
export interface PipelineState {
  readonly sources: readonly string[]
  readonly ledgers: readonly SourceLedger[]
}

export const DEAD_LETTER = -1

export class Pipeline {
  parts: PipelineParts
  windows: WindowStage
  /** False while the journal is replayed. */
  live = false
  /** Number of the last entry that was processed. */
  entry = 0
  readonly #ledgers = new Map<string, SourceLedger>()
  readonly #sources: string[] = []
  readonly #onReading: (reading: Reading) => void

  constructor(parts: PipelineParts, windows: (output: Pipeline) => WindowStage) {
    this.parts = parts
    this.windows = windows(this)
    this.#onReading = (reading) => this.#reading(reading)
  }

  /** Index of a source's name in the journal's table, or -1 when it must be journaled first. */
  sourceIndex(name: string): number {
    return this.#sources.indexOf(name)
  }

  /** How many sources the table holds. */
  get sourceCount(): number {
    return this.#sources.length
  }

  sourceName(index: number): string {
    return this.#sources[index] ?? `unknown-${index}`
  }

  ledger(source: string): SourceLedger {
    let ledger = this.#ledgers.get(source)
    if (!ledger) {
      ledger = createSourceLedger(source)
      this.#ledgers.set(source, ledger)
    }
    return ledger
  }

  ledgers(): readonly SourceLedger[] {
    return [...this.#ledgers.values()]
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
    ledger.messages++
    ledger.bytes += end - start
    try {
      if (route === null) throw new DecodeError('topic', `no decode rule matches topic ${topic}`)
      const { decoder } = this.parts
      const count = decoder.decode(route, ledger.name, bytes, start, end, contentType, received, synced, this.#onReading)
      ledger.in += count
      ledger.decoded += count
      return count
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      ledger.in++
      addLoss(ledger.dead, error.reason, 1, received, received)
      this.parts.deadLetters.add(ledger.name, topic, error, bytes, start, end, received)
      if (this.live) this.parts.onlooker.deadLetter(ledger.name, error.reason)
      return DEAD_LETTER
    }
  }

  /** One control entry. */
  control(entry: number, control: Control): void {
    this.entry = entry
    switch (control.type) {
      case 'source':
        this.#sources[control.index] = control.name
        return
      case 'tick': {
        const tick = control.tick as Tick
        this.windows.tick(tick)
        for (const watcher of this.parts.watchers) watcher.tick?.(tick.now, entry, this.live)
        return
      }
      case 'advance':
        this.windows.advance(control.source, control.device, control.time, control.received, control.stamped)
        return
      case 'gap':
        this.#gap(entry, control)
        return
      case 'fact':
        for (const watcher of this.parts.watchers) watcher.fact?.(control.stage, control.fact, entry, this.live)
        return
      case 'synced':
        return
    }
  }

  /** Appends a record that another stage made of the entry that is being processed. */
  append(recordClass: RecordClass, record: Outgoing): void {
    this.parts.output.append(recordClass, this.entry, record)
    if (this.live) this.parts.onlooker.record(recordClass, record)
  }

  /** A window closed, or a late reading corrected it; called by the window stage. */
  result(record: WindowRecord, definition: WindowDefinition): void {
    this.append('result', record)
    for (const watcher of this.parts.watchers) watcher.result?.(record, definition, this.entry, this.live)
    if (this.live) this.parts.onlooker.result(record, definition)
  }

  /** Readings too late even for a correction; called by the window stage. */
  late(source: string, window: string, count: number, from: number, to: number): void {
    this.append('event', gapRecord('late', count, from, to, { source, window }))
  }

  state(): PipelineState {
    return { sources: [...this.#sources], ledgers: this.ledgers() }
  }

  restore(state: PipelineState): void {
    this.#sources.push(...state.sources)
    for (const saved of state.ledgers) Object.assign(this.ledger(saved.name), saved)
  }

  #reading(reading: Reading): void {
    rememberReading(reading)
    const { watchers, raw, output } = this.parts
    if (raw) output.append('reading', this.entry, this.#readingRecord(reading))
    this.windows.add(reading, this.entry)
    for (let i = 0; i < watchers.length; i++) watchers[i]?.reading?.(reading, this.entry, this.live)
    if (this.live) this.parts.onlooker.reading(reading)
  }

  #readingRecord(reading: Reading): ReadingRecord {
    const analytics = this.windows.attached(reading)
    return {
      kind: 'reading',
      device: reading.device.id,
      time: new Date(reading.time).toISOString(),
      received: new Date(reading.received).toISOString(),
      source: reading.source,
      tags: reading.stream === undefined ? reading.tags : { stream: reading.stream, ...reading.tags },
      fields: fieldsOf(reading),
      ...(analytics ? { analytics } : {}),
    }
  }

  #gap(entry: number, gap: Extract<Control, { type: 'gap' }>): void {
    this.entry = entry
    const ledger = this.ledger(gap.source)
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

/** @param from @param to wall clock, ms since the epoch */
export function gapRecord(
  reason: string,
  count: number | 'unknown',
  from: number,
  to: number,
  about: { readonly source?: string; readonly window?: string },
): GapRecord {
  return { kind: 'gap', reason, ...about, count, from: new Date(from).toISOString(), to: new Date(to).toISOString() }
}
