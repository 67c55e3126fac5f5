/**
 * The panes of one definition: a block in the slab each (`pane-header.ts`, `statistics.ts`), and an extra object only
 * for what numbers cannot hold. Adding a reading to a pane that has seen its fields allocates nothing.
 */
import type { Reading } from '../reading.ts'
import { TEXT } from '../reading.ts'
import { addNumbers, addOrder } from './add-numbers.ts'
import type { Extra } from './extra.ts'
import { Extras } from './extras.ts'
import type { FirstExtras } from './extras-snapshot.ts'
import { type Layout, type LayoutState, Layouts, type Plan } from './layout.ts'
import type { Moment } from './moment.ts'
import { EXTRA, HEADER, LAST_READING, LAYOUT, MIXED, NEXT_PANE, READINGS, SOURCE, START } from './pane-header.ts'
import { reportOf } from './report.ts'
import { CHUNK_BITS, capacityFor, NONE, OFFSET_MASK, Slab } from './slab.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
import { mergeRow, type StatisticsPlan } from './statistics.ts'
import type { TextCounts } from './text-counts.ts'

export class Panes {
  readonly slab = new Slab()
  readonly statistics: StatisticsPlan
  readonly #layouts: Layouts
  /** Distinct values counted per text field. */
  textLimit: number
  readonly #moment: Moment
  readonly #sidecars: boolean
  readonly #extras: Extras
  /** Values left out because their pane had no room for another field. */
  skipped = 0

  constructor(statistics: StatisticsPlan, textLimit: number, wanted: (name: string) => boolean, moment: Moment) {
    this.#moment = moment
    this.statistics = statistics
    this.#layouts = new Layouts(statistics.stride, wanted)
    this.textLimit = textLimit
    this.#sidecars = statistics.sketch || statistics.distinct
    this.#extras = new Extras(statistics.sketch, statistics.distinct)
  }

  get(pane: number, word: number): number {
    return (this.slab.chunks[pane >>> CHUNK_BITS] as Float64Array)[(pane & OFFSET_MASK) + word] as number
  }

  set(pane: number, word: number, value: number): void {
    this.slab.writable(pane)[(pane & OFFSET_MASK) + word] = value
  }

  /** An empty pane with room for the reading's fields. @param start event time, ms */
  create(start: number, source: number, reading: Reading): number {
    return this.#create(start, source, this.#planFor(this.#layouts.byId[0] as Layout, reading).layout)
  }

  /** An empty pane with room for what this one holds. */
  createLike(pane: number): number {
    const source = this.get(pane, SOURCE)
    return this.#create(this.get(pane, START), source === MIXED ? 0 : source, this.#layoutOf(pane))
  }

  #create(start: number, source: number, layout: Layout): number {
    const pane = this.slab.allocate(this.#sizeOf(layout))
    layout.panes++
    this.set(pane, START, start)
    this.set(pane, NEXT_PANE, NONE)
    this.set(pane, LAYOUT, layout.id)
    this.set(pane, SOURCE, source)
    this.set(pane, EXTRA, NONE)
    return pane
  }

  free(pane: number): void {
    const extra = this.get(pane, EXTRA)
    if (extra !== NONE) this.#extras.free(extra)
    const layout = this.#layoutOf(pane)
    layout.panes--
    this.slab.free(pane, this.#sizeOf(layout))
  }

  /**
   * Counts a reading. Returns the pane, which is another one when it had to move to hold a new field: the caller mends
   * its links.
   */
  add(pane: number, reading: Reading, source: number): number {
    let at = pane
    let chunk = this.slab.writable(at)
    let base = at & OFFSET_MASK
    let layout = this.#layouts.byId[chunk[base + LAYOUT] as number] as Layout
    let plan = this.#planFor(layout, reading)
    if (plan.layout !== layout) {
      at = this.#move(at, plan.layout)
      chunk = this.slab.writable(at)
      base = at & OFFSET_MASK
      layout = plan.layout
      plan = this.#planFor(layout, reading)
    }
    chunk[base + READINGS] = (chunk[base + READINGS] as number) + 1
    if (chunk[base + SOURCE] !== source) this.#addSource(at, source)
    if (this.statistics.ordered) addOrder(chunk, base, plan, reading, this.#moment, this.statistics.rate)
    addNumbers(chunk, base, plan, reading.numbers)
    if (this.#sidecars) this.#addSidecars(at, layout, plan, reading)
    if (plan.textFrom.length > 0) this.#addTexts(at, layout, plan, reading)
    this.skipped += plan.skipped
    return at
  }

  /** Adds what `from` holds to `into`, which may move (see `add`). `from` stays as it is. */
  merge(into: number, from: number): number {
    const theirs = this.#layoutOf(from)
    const union = this.#layouts.union(this.#layoutOf(into), theirs)
    const at = union === this.#layoutOf(into) ? into : this.#move(into, union)
    const a = this.slab.writable(at)
    const b = this.slab.chunks[from >>> CHUNK_BITS] as Float64Array
    const { stride } = this.statistics
    this.#mergeSources(at, from)
    this.set(at, READINGS, this.get(at, READINGS) + this.get(from, READINGS))
    this.set(at, LAST_READING, Math.max(this.get(at, LAST_READING), this.get(from, LAST_READING)))
    const extra = this.get(from, EXTRA) === NONE ? undefined : this.#extraOf(from)
    const ours = extra ? this.#extraFor(at, union) : undefined
    for (const [key, column] of theirs.columns) {
      const target = union.columns.get(key)
      if (target === undefined) continue
      if (key.startsWith('n')) {
        const row = (from & OFFSET_MASK) + HEADER + column * stride
        mergeRow(a, (at & OFFSET_MASK) + HEADER + target * stride, b, row, this.statistics)
        if (ours && this.#sidecars) {
          mergeInto(ours.sketches[target], extra?.sketches[column])
          mergeInto(ours.distinct[target], extra?.distinct[column])
        }
      } else if (ours && extra) {
        ours.texts[target]?.merge(extra.texts[column] as TextCounts, this.textLimit)
        mergeInto(ours.textDistinct[target], extra.textDistinct[column])
      }
    }
    return at
  }

  /** What a record says of the pane's fields, in the order in which they first appeared. */
  report(pane: number): ReturnType<typeof reportOf> {
    const chunk = this.slab.chunks[pane >>> CHUNK_BITS] as Float64Array
    const index = this.get(pane, EXTRA)
    const extra = index === NONE ? undefined : this.#extras.at(index)
    return reportOf(this.#layoutOf(pane), this.statistics, chunk, (pane & OFFSET_MASK) + HEADER, extra)
  }

  /** Calls back with each source's id and number of readings in the pane. */
  eachSource(pane: number, callback: (source: number, readings: number) => void): void {
    const source = this.get(pane, SOURCE)
    if (source !== MIXED) {
      callback(source, this.get(pane, READINGS))
      return
    }
    const counts = this.#extraOf(pane).sources as number[]
    for (let id = 0; id < counts.length; id++) if (counts[id]) callback(id, counts[id] as number)
  }

  bytes(): number {
    return this.slab.bytes() + this.#extras.bytes()
  }

  save(writer: SnapshotWriter): void {
    this.slab.save(writer)
    writer.json({ layouts: this.#layouts.state(), skipped: this.skipped })
    this.#extras.save(writer)
  }

  /** The panes in use must then be told to `recount`. */
  load(reader: SnapshotReader): void {
    this.slab.load(reader)
    const state = reader.json() as { layouts: LayoutState[]; skipped: number } & Partial<FirstExtras>
    this.#layouts.restore(state.layouts)
    this.skipped = state.skipped
    if (state.extras) this.#extras.restoreFirst({ extras: state.extras, freeExtras: state.freeExtras ?? [] })
    else this.#extras.load(reader)
  }

  /** After `load`: this pane is in use. */
  recount(pane: number): void {
    this.#layoutOf(pane).panes++
  }

  #planFor(layout: Layout, reading: Reading): Plan {
    const last = layout.lastPlan
    return last !== undefined && layout.lastShape === reading.shape
      ? last
      : this.#layouts.planFor(layout, reading.shape)
  }

  #layoutOf(pane: number): Layout {
    return this.#layouts.byId[this.get(pane, LAYOUT)] as Layout
  }

  #sizeOf(layout: Layout): number {
    return HEADER + capacityFor(layout.numbers) * this.statistics.stride
  }

  /** Gives the pane a larger layout; its columns stay where they are in the block. */
  #move(pane: number, layout: Layout): number {
    const old = this.#layoutOf(pane)
    const size = this.#sizeOf(old)
    const larger = this.#sizeOf(layout)
    let at = pane
    if (larger !== size) {
      at = this.slab.allocate(larger)
      const from = this.slab.chunks[pane >>> CHUNK_BITS] as Float64Array
      const to = this.slab.writable(at)
      for (let i = 0; i < size; i++) to[(at & OFFSET_MASK) + i] = from[(pane & OFFSET_MASK) + i] as number
      this.slab.free(pane, size)
    }
    old.panes--
    layout.panes++
    this.set(at, LAYOUT, layout.id)
    return at
  }

  #extraOf(pane: number): Extra {
    return this.#extras.at(this.get(pane, EXTRA)) as Extra
  }

  /** The pane's extra, made to fit its layout. */
  #extraFor(pane: number, layout: Layout): Extra {
    let index = this.get(pane, EXTRA)
    if (index === NONE) {
      index = this.#extras.create()
      this.set(pane, EXTRA, index)
    }
    const extra = this.#extras.writable(index)
    const sidecars = Math.max(extra.sketches.length, extra.distinct.length)
    if (extra.texts.length < layout.texts || (this.#sidecars && sidecars < layout.numbers)) {
      this.#extras.fit(extra, layout)
    }
    return extra
  }

  #addSidecars(pane: number, layout: Layout, plan: Plan, reading: Reading): void {
    const extra = this.#extraFor(pane, layout)
    const { stride } = this.statistics
    for (let i = 0; i < plan.from.length; i++) {
      const value = reading.numbers[plan.from[i] as number] as number
      const column = ((plan.to[i] as number) - HEADER) / stride
      extra.sketches[column]?.add(value)
      extra.distinct[column]?.add(value)
    }
  }

  #addTexts(pane: number, layout: Layout, plan: Plan, reading: Reading): void {
    const extra = this.#extraFor(pane, layout)
    const { kinds } = reading.shape
    for (let i = 0; i < plan.textFrom.length; i++) {
      const from = plan.textFrom[i] as number
      const value =
        kinds[from] === TEXT ? (reading.texts[from] as string) : reading.numbers[from] === 1 ? 'true' : 'false'
      extra.texts[plan.textTo[i] as number]?.add(value, this.textLimit)
      extra.textDistinct[plan.textTo[i] as number]?.add(value)
    }
  }

  /** Called after READINGS was raised, for a reading of another source than the pane's. */
  #addSource(pane: number, source: number): void {
    const sources = this.#mixed(pane, 1)
    for (let id = sources.length; id <= source; id++) sources[id] = 0
    sources[source] = (sources[source] as number) + 1
  }

  /** The pane's readings per source. @param uncounted readings that READINGS has and the one source does not */
  #mixed(pane: number, uncounted: number): number[] {
    const extra = this.#extraFor(pane, this.#layoutOf(pane))
    const source = this.get(pane, SOURCE)
    if (source === MIXED) return extra.sources as number[]
    const sources: number[] = new Array(source + 1).fill(0)
    sources[source] = this.get(pane, READINGS) - uncounted
    extra.sources = sources
    this.set(pane, SOURCE, MIXED)
    return sources
  }

  #mergeSources(into: number, from: number): void {
    if (this.get(into, READINGS) === 0 && this.get(from, SOURCE) !== MIXED) {
      this.set(into, SOURCE, this.get(from, SOURCE))
      return
    }
    const source = this.get(into, SOURCE)
    if (source !== MIXED && source === this.get(from, SOURCE)) return
    const sources = this.#mixed(into, 0)
    this.eachSource(from, (id, readings) => {
      for (let i = sources.length; i <= id; i++) sources[i] = 0
      sources[id] = (sources[id] as number) + readings
    })
  }
}

function mergeInto<T extends { merge(other: T): void }>(into: T | undefined, from: T | undefined): void {
  if (into && from) into.merge(from)
}
