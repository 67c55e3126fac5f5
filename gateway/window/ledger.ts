/** Where every reading of a source went, in one window definition. */

/** Readings offered. `decoded = windowed + open + late + filtered` holds after each of them. */
export const DECODED = 0
/** In a result of each of their windows. */
export const WINDOWED = 1
/** Came when all their windows were closed. */
export const LATE = 2
/** Those of the late that a correction counted. */
export const CORRECTED = 3
/** Did not match `where`, lacked a part of the key, or found no room for their key. */
export const FILTERED = 4
/** Keys evicted to make room for one of this source. */
export const EVICTED = 5
const COLUMNS = 6

export interface WindowLedgerRow {
  readonly window: string
  readonly source: string
  readonly decoded: number
  readonly windowed: number
  /** Readings in panes that some open window still waits for, counted from the panes. */
  readonly open: number
  readonly late: number
  readonly corrected: number
  readonly filtered: number
  readonly evictedKeys: number
}

/** Readings too late for a correction since the last report. Times are event time, ms since the epoch. */
export interface LateReport {
  readonly source: number
  count: number
  from: number
  to: number
}

export interface WindowLedgerState {
  readonly counts: readonly (readonly number[])[]
  readonly late: readonly LateReport[]
}

export class WindowLedger {
  /** By source id. */
  #counts: Float64Array[] = []
  #late: LateReport[] = []

  add(source: number, column: number, by: number): void {
    const counts = this.#counts[source] ?? this.#open(source)
    counts[column] = (counts[column] as number) + by
  }

  /** Notes a reading that no correction can count any more. */
  noteLost(source: number, time: number): void {
    const report = this.#late.find((known) => known.source === source)
    if (report) {
      report.count++
      report.from = Math.min(report.from, time)
      report.to = Math.max(report.to, time)
    } else this.#late.push({ source, count: 1, from: time, to: time })
  }

  get hasLost(): boolean {
    return this.#late.length > 0
  }

  takeLost(): readonly LateReport[] {
    const late = this.#late
    this.#late = []
    return late
  }

  /** @param open by source id; without it, what is left of the decoded */
  rows(window: string, sources: readonly { readonly name: string }[], open?: readonly number[]): WindowLedgerRow[] {
    return this.#counts.map((counts, id) => ({
      window,
      source: sources[id]?.name ?? '',
      decoded: counts[DECODED] as number,
      windowed: counts[WINDOWED] as number,
      open: open ? (open[id] ?? 0) : leftOf(counts),
      late: counts[LATE] as number,
      corrected: counts[CORRECTED] as number,
      filtered: counts[FILTERED] as number,
      evictedKeys: counts[EVICTED] as number,
    }))
  }

  state(): WindowLedgerState {
    return { counts: this.#counts.map((counts) => [...counts]), late: this.#late }
  }

  restore(state: WindowLedgerState): void {
    this.#counts = state.counts.map((counts) => Float64Array.from(counts))
    this.#late = state.late.map((report) => ({ ...report }))
  }

  #open(source: number): Float64Array {
    for (let id = this.#counts.length; id <= source; id++) this.#counts.push(new Float64Array(COLUMNS))
    return this.#counts[source] as Float64Array
  }
}

function leftOf(counts: Float64Array): number {
  const at = (column: number) => counts[column] as number
  return at(DECODED) - at(WINDOWED) - at(LATE) - at(FILTERED)
}

/** Adds a row to those known, by source and window. */
export function addRow(rows: Map<string, WindowLedgerRow>, row: WindowLedgerRow): void {
  const key = JSON.stringify([row.source, row.window])
  const known = rows.get(key)
  if (!known) {
    rows.set(key, row)
    return
  }
  rows.set(key, {
    window: row.window,
    source: row.source,
    decoded: known.decoded + row.decoded,
    windowed: known.windowed + row.windowed,
    open: known.open + row.open,
    late: known.late + row.late,
    corrected: known.corrected + row.corrected,
    filtered: known.filtered + row.filtered,
    evictedKeys: known.evictedKeys + row.evictedKeys,
  })
}
