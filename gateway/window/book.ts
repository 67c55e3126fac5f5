/**
 * One definition's keys, panes, results and accounts. When windows close is decided by its owner: `by-device.ts` or
 * `by-source.ts`. What a window is made of is decided by its form: `aligned.ts` or `sessions.ts`.
 */
import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import { AlignedForm, type FormParts } from './aligned.ts'
import { Corrections, type CorrectionsState } from './corrections.ts'
import { closesByDevice, type Geometry, geometryOf, type WindowDefinition } from './definition.ts'
import { type EmitWindow, type Form, LATE, OPENED } from './form.ts'
import { Condition, KeyParts } from './key-parts.ts'
import { HEAD, Keys, NEXT_CLOSE } from './keys.ts'
import { Latest, type LatestState } from './latest.ts'
import {
  CORRECTED,
  DECODED,
  EVICTED,
  FILTERED,
  LATE as LATE_COUNT,
  WINDOWED,
  WindowLedger,
  type WindowLedgerRow,
  type WindowLedgerState,
} from './ledger.ts'
import { ENDS, type Moment, TIME } from './moment.ts'
import { CLOSED, NEXT_PANE, START } from './pane-header.ts'
import { PaneLists } from './pane-lists.ts'
import { Panes } from './panes.ts'
import { Results } from './results.ts'
import { SessionForm } from './sessions.ts'
import { NONE } from './slab.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
import type { WindowSource, WindowSources } from './sources.ts'
import { planStatistics } from './statistics.ts'

interface State {
  readonly ledger: WindowLedgerState
  readonly evictedKeys: number
}

/** Until version 3 of the snapshot it had these too. */
interface FirstState {
  readonly corrections: CorrectionsState
  readonly latest: LatestState
}

/** Takes results. Called synchronously, in an order that depends on nothing but the readings and ticks. */
export interface WindowOutput {
  result(record: WindowRecord, definition: WindowDefinition): void
  /** Readings that came too late even for a correction. `from` and `to` are event times, ms since the epoch. */
  late?(source: string, window: string, count: number, from: number, to: number): void
}

export class WindowBook {
  definition: WindowDefinition
  readonly geometry: Geometry
  readonly keys: Keys
  readonly panes: Panes
  readonly form: Form
  readonly results: Results
  readonly parts: KeyParts
  readonly #lists: PaneLists
  readonly #corrections = new Corrections()
  readonly #ledger = new WindowLedger()
  readonly #condition: Condition | undefined
  readonly #output: WindowOutput
  readonly #sources: WindowSources
  readonly #formParts: FormParts
  readonly #moment: Moment
  readonly #emitResult: EmitWindow
  readonly #emitCorrection: EmitWindow
  evictedKeys = 0

  constructor(definition: WindowDefinition, output: WindowOutput, sources: WindowSources, moment: Moment) {
    this.definition = definition
    this.geometry = geometryOf(definition)
    this.keys = new Keys(!(closesByDevice(definition) && definition.by.length === 1))
    this.panes = new Panes(
      planStatistics(definition.statistics),
      definition.textValues,
      wantedFields(definition),
      moment,
    )
    this.results = new Results(definition, this.keys, this.panes, (record, of) => output.result(record, of))
    this.parts = new KeyParts(definition.by)
    this.#lists = new PaneLists(this.keys, this.panes)
    this.#condition = definition.where ? new Condition(definition.where) : undefined
    this.#output = output
    this.#moment = moment
    this.#sources = sources
    const { results } = this
    this.#emitResult = (row, start, end, pane) => results.emit(row, start, end, pane, undefined)
    this.#emitCorrection = (row, start, end, pane) =>
      results.emit(row, start, end, pane, this.#corrections.revise(row, start))
    const closed = this.#closer()
    const { keys, panes, geometry } = this
    const parts = { keys, panes, geometry, closed, moment, lists: this.#lists, corrections: this.#corrections }
    this.#formParts = { ...parts, retain: retainOf(definition) }
    this.form = geometry.session ? new SessionForm(this.#formParts) : new AlignedForm(this.#formParts)
  }

  /** Another definition with the same signature; what is kept stays. */
  redefine(definition: WindowDefinition): void {
    this.definition = definition
    this.results.redefine(definition)
    this.panes.textLimit = definition.textValues
    this.#formParts.retain = retainOf(definition)
  }

  /** Counts the reading as offered; true when it matches and has all parts of the key, then in `parts`. */
  admits(reading: Reading, source: WindowSource): boolean {
    this.#ledger.add(source.id, DECODED, 1)
    if ((this.#condition === undefined || this.#condition.holds(reading)) && this.parts.read(reading)) return true
    this.#ledger.add(source.id, FILTERED, 1)
    return false
  }

  /** The reading found no room for its key. */
  refuse(source: WindowSource): void {
    this.#ledger.add(source.id, FILTERED, 1)
  }

  /**
   * Counts a reading in its key, with time and clock from the moment. True when the key's `NEXT_CLOSE` is now earlier.
   */
  place(row: number, reading: Reading, source: WindowSource): boolean {
    this.results.noteType(row, reading)
    const answer = this.form.place(row, reading, source.id)
    if (answer === LATE) this.#late(row, reading, source)
    if (answer !== OPENED) return false
    const ends = this.#moment[ENDS] as number
    if (ends >= this.keys.get(row, NEXT_CLOSE)) return false
    this.keys.set(row, NEXT_CLOSE, ends)
    return true
  }

  /** Emits a key's windows that end at or before `to`, earliest first; returns the last one's end, or `clock`. */
  closeUpTo(row: number, clock: number, to: number): number {
    let last = clock
    for (let end = this.form.nextEnd(row, last); end <= to; end = this.form.nextEnd(row, last)) {
      if (end === Number.POSITIVE_INFINITY) break
      this.form.close(row, end, this.#emitResult)
      last = end
    }
    this.keys.set(row, NEXT_CLOSE, this.form.nextEnd(row, last))
    return last
  }

  /** Emits the one window of a key that ends at `end`. */
  closeAt(row: number, end: number): void {
    this.form.close(row, end, this.#emitResult)
    this.keys.set(row, NEXT_CLOSE, this.form.nextEnd(row, end))
  }

  /** Lets go of closed panes that can no longer be corrected. Their corrections, if any wait, are sent first. */
  expire(row: number, clock: number): void {
    const { keys, panes, form } = this
    const { retain } = this.#formParts
    const horizon = retain < 0 ? clock : clock - retain
    for (let pane = keys.get(row, HEAD); pane !== NONE; ) {
      const next = panes.get(pane, NEXT_PANE)
      if (panes.get(pane, CLOSED) === 0) {
        if (!this.geometry.session) break
      } else if (form.expired(pane, horizon)) {
        if (this.#corrections.waitsFor(row)) this.#sendCorrections(row)
        if (this.geometry.session) this.#corrections.expire(row, panes.get(pane, START), panes.get(pane, START))
        this.#lists.remove(row, pane)
      } else if (!this.geometry.session) break
      pane = next
    }
    if (!this.geometry.session) this.#corrections.expire(row, Number.NEGATIVE_INFINITY, horizon - this.geometry.size)
  }

  /** Makes room for one more key, if the definition says so. False when the new key must be refused. */
  makeRoom(entry: number, source: WindowSource, remove: (row: number) => void): boolean {
    while (this.keys.count >= this.definition.maxKeys) {
      const row = this.keys.longestSilent(entry)
      if (row === NONE) return false
      if (this.definition.whenFull === 'refuse' && this.#lists.firstOpen(row) !== NONE) return false
      remove(row)
      this.evictedKeys++
      this.#ledger.add(source.id, EVICTED, 1)
    }
    return true
  }

  /** Forgets a key; its open windows are emitted early, and corrections that wait are sent. */
  evict(row: number, clock: number): void {
    this.#sendCorrections(row)
    this.closeUpTo(row, clock, Number.POSITIVE_INFINITY)
    for (let pane = this.keys.get(row, HEAD); pane !== NONE; pane = this.keys.get(row, HEAD)) {
      this.#lists.remove(row, pane)
    }
    this.#corrections.forget(row)
    this.results.latest.forget(row)
    this.keys.remove(row)
  }

  /** Keys with corrections that wait for a tick that flushes; one more when losses do. */
  get waiting(): number {
    return this.#corrections.waiting + (this.#ledger.hasLost ? 1 : 0)
  }

  /** Sends what late readings have changed. @param isMeant of these keys */
  correct(isMeant: (row: number) => boolean): void {
    for (const row of this.#corrections.rows()) if (isMeant(row)) this.#sendCorrections(row)
  }

  /** Reports the late readings that changed nothing. */
  reportLost(): void {
    for (const { source, count, from, to } of this.#ledger.takeLost()) {
      this.#output.late?.(this.#sources.list[source]?.name ?? '', this.definition.name, count, from, to)
    }
  }

  ledger(): WindowLedgerRow[] {
    const open: number[] = []
    for (const row of this.keys.live()) this.#countOpen(row, open)
    return this.#ledger.rows(this.definition.name, this.#sources.list, open)
  }

  /** As `ledger`, without looking at the panes. */
  tally(): WindowLedgerRow[] {
    return this.#ledger.rows(this.definition.name, this.#sources.list)
  }

  bytes(): number {
    return this.keys.bytes() + this.panes.bytes() + this.results.latest.bytes()
  }

  save(writer: SnapshotWriter): void {
    this.keys.save(writer)
    this.panes.save(writer)
    writer.json({ ledger: this.#ledger.state(), evictedKeys: this.evictedKeys })
    this.#corrections.save(writer)
    this.results.latest.save(writer)
  }

  load(reader: SnapshotReader): void {
    this.keys.load(reader)
    this.panes.load(reader)
    for (const row of this.keys.live()) {
      for (let pane = this.keys.get(row, HEAD); pane !== NONE; pane = this.panes.get(pane, NEXT_PANE)) {
        this.panes.recount(pane)
      }
    }
    const state = reader.json() as State & Partial<FirstState>
    this.#ledger.restore(state.ledger)
    this.evictedKeys = state.evictedKeys
    this.#corrections.restore(state.corrections ?? Corrections.read(reader))
    this.results.latest.restore(state.latest ?? Latest.read(reader))
  }

  #late(row: number, reading: Reading, source: WindowSource): void {
    this.#ledger.add(source.id, LATE_COUNT, 1)
    if (this.form.amend(row, reading, source.id)) this.#ledger.add(source.id, CORRECTED, 1)
    else this.#ledger.noteLost(source.id, this.#moment[TIME] as number)
  }

  #sendCorrections(row: number): void {
    for (const start of this.#corrections.take(row)) this.form.repeat(row, start, this.#emitCorrection)
  }

  #closer(): (pane: number) => void {
    const count = (source: number, readings: number) => this.#ledger.add(source, WINDOWED, readings)
    return (pane) => this.panes.eachSource(pane, count)
  }

  #countOpen(row: number, open: number[]): void {
    for (let pane = this.keys.get(row, HEAD); pane !== NONE; pane = this.panes.get(pane, NEXT_PANE)) {
      if (this.panes.get(pane, CLOSED) === 1) continue
      this.panes.eachSource(pane, (source, readings) => {
        open[source] = (open[source] ?? 0) + readings
      })
    }
  }
}

/** How long closed windows can be corrected, ms; negative when they cannot. */
function retainOf({ late, time, retain }: WindowDefinition): number {
  return late === 'correct' && time === 'event' ? retain : -1
}

function wantedFields({ fields, exclude }: WindowDefinition): (name: string) => boolean {
  const only = fields ? new Set(fields) : undefined
  const never = new Set(exclude)
  return (name) => !never.has(name) && (only === undefined || only.has(name))
}
