/**
 * What must go upstream: three classes of records, each numbered without holes, read by any number of sinks, within a
 * budget of bytes. In memory or durable is a matter of the stores it is given.
 *
 *      append ─▶ room ─▶ lane ─▶ committer ─▶ store ─▶ readers ─▶ cursor ─▶ sink
 *                 │       one per class         │         ▲
 *                 └─ drops the oldest,          └─ trimmed when the saver has saved
 *                    or refuses: a gap             that all have it
 *
 * - Nothing reaches a store before the journal holds what it counts (`commit`), and no sink is given what is not durable.
 * - What a sink was sent is sent again byte for byte until it has acknowledged it.
 * - Every number is a record or lies in a gap; `lane.ts` says how, also after a crash.
 */
import type { Clock, Timer } from '../clock.ts'
import type { Latency } from '../http/latency.ts'
import { CLASSES, type Outgoing, type RecordClass } from '../record.ts'
import { within } from '../within.ts'
import { DEFAULT_RESERVE, type PerClass, type WhenFull } from './budget.ts'
import { Cursor, type SinkCursor } from './cursor.ts'
import { createExpiry, type Expiry } from './expiry.ts'
import { Lane } from './lane.ts'
import type { Jump } from './numbering.ts'
import { Readiness } from './readiness.ts'
import { Room } from './room.ts'
import { Saver } from './saver.ts'
import type { StateKeeper } from './state.ts'
import { classStatus, type OutboxStatus, sinkStatuses } from './status.ts'
import type { Store } from './store.ts'

export type { SinkCursor, Taken } from './cursor.ts'
export type { BacklogStatus, ClassStatus, OutboxStatus, SinkStatus } from './status.ts'

export interface OutboxOptions {
  readonly gateway: string
  /** In total, bytes. */
  readonly maxBytes: number
  readonly whenFull: PerClass<WhenFull>
  /** Shares of `maxBytes` that no other class can take. */
  readonly reserve?: PerClass<number>
  /** Results and readings become durable within this, ms; default 100. */
  readonly commit?: number
  /** Records older than this are dropped, ms; undefined is never. */
  readonly maxAge?: number | undefined
  /** Names the journal's numbering; when it changes, entries count from their beginning again. */
  readonly journal: string
  /** Its next entry, when it is not the journal that the outbox knows: numbers above all known ones just go on. Default 1. */
  readonly journalFrom?: number
}

export interface OutboxParts {
  readonly clock: Clock
  readonly stores: PerClass<Store>
  readonly state: StateKeeper
  /** How numbers run, found in the records because the state was lost. */
  readonly jumps?: Partial<PerClass<readonly Jump[]>>
}

/** Writing that failed is tried again after this, ms. */
const RETRY = 1000
/** Closing waits this long for the disk, ms. */
const CLOSE_WITHIN = 1000

export class Outbox {
  readonly options: OutboxOptions
  readonly #clock: Clock
  readonly #lanes: PerClass<Lane>
  readonly #room: Room
  readonly #saver: Saver
  /** Added to the journal's entry numbers: see `OutboxOptions.journal`. */
  readonly #base: number
  readonly #cursors = new Map<string, Cursor>()
  #commitTimer: Timer | undefined
  readonly #readiness: Readiness
  #expiry: Expiry | undefined

  /** @internal use `openOutbox` */
  constructor(options: OutboxOptions, parts: OutboxParts) {
    const { clock, stores, state: keeper } = parts
    this.options = options
    this.#clock = clock
    this.#readiness = new Readiness(clock)
    const { saved } = keeper
    const sameJournal = saved === undefined || saved.journal === options.journal
    const marked = Math.max(...CLASSES.map((name) => stores[name].marked))
    const base = saved?.base ?? 0
    this.#base = sameJournal || (options.journalFrom ?? 1) + base > marked ? base : marked
    const save = () => this.save()
    const lane = (name: RecordClass) =>
      new Lane({
        name,
        store: stores[name],
        saved: saved?.lanes[name],
        jumps: parts.jumps?.[name],
        sameJournal,
        clock,
        save,
      })
    this.#saver = new Saver({
      clock,
      keeper,
      head: { journal: options.journal, base: this.#base },
      lanes: () => this.#lanes,
      trimmed: () => this.#room.tell(),
    })
    this.#lanes = { event: lane('event'), result: lane('result'), reading: lane('reading') }
    this.#room = new Room({
      lanes: this.#lanes,
      budget: { ...options, reserve: options.reserve ?? DEFAULT_RESERVE },
      wants: (name) => this.wants(name),
      dropped: () => this.#saver.now(),
    })
  }

  /** From the closing of a window until its result may be sent. */
  get latency(): Latency {
    return this.#readiness.latency
  }

  /** False when no sink wants a class: its records need not even be made. */
  wants(recordClass: RecordClass): boolean {
    for (const cursor of this.#cursors.values()) if (cursor.classes.includes(recordClass)) return true
    return false
  }

  /**
   * Numbers a record and keeps it. Ignored when it is there already, which is so for replayed entries, and when no sink
   * wants its class.
   *
   * @param entry the journal's entry that caused it; never lower than in the call before
   */
  append(recordClass: RecordClass, entry: number, record: Outgoing): void {
    if (!this.wants(recordClass)) return
    const lane = this.#lanes[recordClass]
    const own = entry + this.#base
    if (lane.knows(own)) return
    const bytes = lane.encode(record)
    if (this.#room.make(recordClass, bytes.length)) lane.keep(own, bytes)
    else lane.refuse(own)
    if (recordClass === 'result') this.#readiness.made(lane.next - 1)
  }

  /** Highest entry whose records of a class are all durable. */
  covered(recordClass: RecordClass): number {
    return Math.max(0, this.#lanes[recordClass].covered - this.#base)
  }

  /** Highest entry whose records are all durable, in every class. */
  get coveredByAll(): number {
    return Math.min(...CLASSES.map((name) => this.covered(name)))
  }

  /** Highest number that is durable. */
  durable(recordClass: RecordClass): number {
    return this.#lanes[recordClass].shelf.durable
  }

  /** No more records should be caused: the policy is `block` and there is no room, or the disk does not keep up. */
  full(recordClass: RecordClass): boolean {
    return this.#room.full(recordClass)
  }

  /** Called when there may be room again. */
  onRoom(listener: () => void): void {
    this.#room.listeners.push(listener)
  }

  /**
   * Everything caused by entries up to `entry` was appended, and the journal is durable up to it: never call it before.
   *
   * @param urgent do not wait for more: alerts and command states
   * @returns when urgent, a promise that resolves when all of it is durable
   */
  commit(entry: number, urgent: boolean): Promise<void> | undefined {
    let waiting = false
    for (const name of CLASSES) if (this.#lanes[name].release(entry + this.#base)) waiting = true
    if (urgent) return this.flush()
    if (waiting) this.#commitTimer ??= this.#clock.after(this.#patience(), () => this.#flushLater())
    return undefined
  }

  /** Gaps that still grow end here, so that all that was caused so far can become durable. */
  closeGaps(): void {
    for (const name of CLASSES) this.#lanes[name].closeGap()
  }

  /** How long a commit may still wait for more: what a result has waited for the journal counts. */
  #patience(): number {
    return Math.max(0, (this.options.commit ?? 100) - this.#readiness.waited)
  }

  /** Writes what was released by `commit`. */
  async flush(): Promise<void> {
    this.#commitTimer?.cancel()
    this.#commitTimer = undefined
    await Promise.all(CLASSES.map((name) => this.#flushLane(name)))
  }

  /** A sink of the config. Its place is kept from earlier runs; a new one starts with the oldest that still waits for others. */
  sink(name: string, classes: readonly RecordClass[]): SinkCursor {
    for (const other of CLASSES) if (!classes.includes(other)) this.#lanes[other].detach(name)
    const known = classes.every((other) => this.#lanes[other].readers.all.has(name))
    const cursor = new Cursor(name, classes, this.options.gateway, this.#lanes, this.#clock, () => this.#saver.soon())
    this.#cursors.set(name, cursor)
    // Or nobody would know of it who looks at the files after a crash.
    if (!known) this.#saver.now()
    return cursor
  }

  /** The sink left the config. What waits for it is kept, within the budget, until it returns or is forgotten. */
  detach(name: string): void {
    this.#cursors.delete(name)
    for (const other of CLASSES) this.#lanes[other].detach(name)
    void this.save()
  }

  /** Gives up everything that a removed sink waits for, and its place. False when it is unknown or still in the config. */
  async forget(name: string): Promise<boolean> {
    if (this.#cursors.has(name)) return false
    let known = false
    for (const other of CLASSES) known = this.#lanes[other].readers.all.delete(name) || known
    await this.save()
    return known
  }

  /** Gives up what waits for one sink, up to a number or all of it; a gap is sent instead. Resolves with how many, undefined for an unknown sink. */
  async skip(name: string, recordClass: RecordClass, upTo = Number.POSITIVE_INFINITY): Promise<number | undefined> {
    const { readers } = this.#lanes[recordClass]
    const reader = readers.all.get(name)
    if (!reader) return undefined
    const skipped = readers.skip(reader, upTo, 'skipped')
    await this.save()
    this.#cursors.get(name)?.wake()
    return skipped
  }

  /** The JSON text of each record that waits for a sink, oldest first; undefined for an unknown sink. */
  export(name: string, recordClass?: RecordClass): AsyncIterable<Buffer> | undefined {
    const wanted = CLASSES.filter((other) => recordClass === undefined || other === recordClass)
      .map((other) => this.#lanes[other].readers)
      .filter((readers) => readers.all.has(name))
    if (wanted.length === 0) return undefined
    return (async function* () {
      for (const readers of wanted) yield* readers.export(readers.all.get(name))
    })()
  }

  status(): OutboxStatus {
    const { maxBytes, whenFull } = this.options
    return {
      bytes: CLASSES.reduce((sum, name) => sum + this.#lanes[name].bytes, 0),
      maxBytes,
      whenFull,
      classes: CLASSES.map((name) => classStatus(this.#lanes[name], this.full(name))),
      sinks: sinkStatuses(this.#lanes, this.#cursors, this.#clock),
    }
  }

  /** Resolves when the state, as it is now, is durable; never rejects: what could not be saved is saved later. */
  save(): Promise<void> {
    return this.#saver.save()
  }

  /** Writes what was released, saves every sink's place and closes the stores. */
  async close(): Promise<void> {
    // A disk in trouble does not take it, however long one waits.
    await within(this.#clock, CLOSE_WITHIN, this.flush())
    this.#commitTimer?.cancel()
    this.#expiry?.cancel()
    this.#saver.cancel()
    await within(this.#clock, CLOSE_WITHIN, this.save())
    await Promise.all(CLASSES.map((name) => this.#lanes[name].close()))
  }

  /** @internal */
  async open(): Promise<void> {
    await Promise.all(CLASSES.map((name) => this.#lanes[name].open()))
    this.#expiry = createExpiry(this.#lanes, this.options.maxAge, () => this.save(), this.#clock)
  }

  /** Drops what is older than `maxAge`. */
  async expire(): Promise<void> {
    await this.#expiry?.now()
  }

  #flushLater(): void {
    this.#commitTimer = undefined
    this.flush().catch(() => {
      // The store says why; what is pending is tried again.
      this.#commitTimer ??= this.#clock.after(RETRY, () => this.#flushLater())
    })
  }

  async #flushLane(name: RecordClass): Promise<void> {
    const lane = this.#lanes[name]
    const before = lane.shelf.durable
    await lane.flush()
    if (lane.shelf.durable === before) return
    if (name === 'result') this.#readiness.reached(lane.shelf.durable)
    for (const cursor of this.#cursors.values()) if (cursor.classes.includes(name)) cursor.wake()
    this.#room.tell()
  }
}

/** An outbox over three stores. */
export async function openOutbox(options: OutboxOptions, parts: OutboxParts): Promise<Outbox> {
  const outbox = new Outbox(options, parts)
  await outbox.open()
  return outbox
}
