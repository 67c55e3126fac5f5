/**
 * Tumbling and hopping windows, half-open and aligned to the epoch. A reading is counted in one slice, and a window is
 * `size / slide` slices put together when it closes:
 *
 *     slices   |--a--|--b--|--c--|--d--|        slide each
 *     windows  [  a     b     c  )
 *                    [  b     c     d  )
 *
 * A slice is closed when the last window it is part of is. Until then its readings are open, also when earlier windows
 * were emitted; a reading that still comes for it corrects those.
 */
import type { Reading } from '../reading.ts'
import type { Corrections } from './corrections.ts'
import type { Geometry } from './definition.ts'
import { COUNTED, type EmitWindow, type Form, LATE, OPENED, type Placed } from './form.ts'
import { CURRENT, HEAD, type Keys } from './keys.ts'
import { CLOCK, ENDS, type Moment, TIME } from './moment.ts'
import { CLOSED, NEXT_PANE, START } from './pane-header.ts'
import type { PaneLists } from './pane-lists.ts'
import type { Panes } from './panes.ts'
import { NONE } from './slab.ts'

/** What a form works on. */
export interface FormParts {
  readonly keys: Keys
  readonly panes: Panes
  readonly lists: PaneLists
  readonly corrections: Corrections
  readonly geometry: Geometry
  readonly moment: Moment
  /** How long closed windows can be corrected, ms; negative when they cannot. */
  retain: number
  /** A pane was closed: all its readings are windowed. */
  readonly closed: (pane: number) => void
}

export class AlignedForm implements Form {
  readonly #parts: FormParts
  readonly #size: number
  readonly #slide: number

  constructor(parts: FormParts) {
    this.#parts = parts
    this.#size = parts.geometry.size
    this.#slide = parts.geometry.slide
  }

  place(row: number, reading: Reading, source: number): Placed {
    const { keys, panes, lists, moment } = this.#parts
    const time = moment[TIME] as number
    const clock = moment[CLOCK] as number
    let pane = keys.get(row, CURRENT)
    let start = pane === NONE ? Number.NaN : panes.get(pane, START)
    if (!(time >= start && time < start + this.#slide)) {
      start = Math.floor(time / this.#slide) * this.#slide
      pane = this.#find(row, start)
    }
    if (start + this.#size <= clock) return LATE
    let answer: Placed = COUNTED
    if (pane === NONE) {
      pane = panes.create(start, source, reading)
      lists.insert(row, pane)
      moment[ENDS] = this.#endAfter(start, clock)
      answer = OPENED
    }
    this.#add(row, pane, reading, source)
    if (start + this.#slide <= clock) this.#noteClosed(row, start, clock)
    return answer
  }

  amend(row: number, reading: Reading, source: number): boolean {
    const { panes, lists, retain, moment } = this.#parts
    const clock = moment[CLOCK] as number
    const start = Math.floor((moment[TIME] as number) / this.#slide) * this.#slide
    if (retain < 0 || start + this.#size <= clock - retain) return false
    let pane = this.#find(row, start)
    if (pane === NONE) {
      pane = panes.create(start, source, reading)
      panes.set(pane, CLOSED, 1)
      lists.insert(row, pane)
    }
    this.#add(row, pane, reading, source)
    this.#noteClosed(row, start, clock)
    return true
  }

  nextEnd(row: number, clock: number): number {
    const pane = this.#parts.lists.firstOpen(row)
    return pane === NONE ? Number.POSITIVE_INFINITY : this.#endAfter(this.#parts.panes.get(pane, START), clock)
  }

  close(row: number, end: number, emit: EmitWindow): void {
    const { keys, panes, closed } = this.#parts
    this.#emit(row, end - this.#size, emit)
    for (let pane = keys.get(row, HEAD); pane !== NONE; pane = panes.get(pane, NEXT_PANE)) {
      if (panes.get(pane, START) + this.#size > end) break
      if (panes.get(pane, CLOSED) === 0) {
        panes.set(pane, CLOSED, 1)
        closed(pane)
      }
    }
  }

  repeat(row: number, start: number, emit: EmitWindow): void {
    this.#emit(row, start, emit)
  }

  expired(pane: number, horizon: number): boolean {
    return this.#parts.panes.get(pane, START) + this.#size <= horizon
  }

  /** The pane of a slice, or NONE. */
  #find(row: number, start: number): number {
    const { keys, panes } = this.#parts
    let pane = keys.get(row, CURRENT)
    if (pane === NONE || panes.get(pane, START) > start) pane = keys.get(row, HEAD)
    while (pane !== NONE && panes.get(pane, START) < start) pane = panes.get(pane, NEXT_PANE)
    return pane !== NONE && panes.get(pane, START) === start ? pane : NONE
  }

  #add(row: number, pane: number, reading: Reading, source: number): void {
    const { keys, panes, lists } = this.#parts
    const at = panes.add(pane, reading, source)
    if (at !== pane) lists.replace(row, pane, at)
    keys.set(row, CURRENT, at)
  }

  /** The first end after `clock` of a window that a slice is part of. */
  #endAfter(start: number, clock: number): number {
    const first = start + this.#slide
    return clock < first ? first : Math.floor(clock / this.#slide) * this.#slide + this.#slide
  }

  /** The closed windows of a slice that can still be corrected must be. */
  #noteClosed(row: number, start: number, clock: number): void {
    const { corrections, retain } = this.#parts
    if (retain < 0) return
    const last = Math.min(start + this.#size, clock)
    for (let end = start + this.#slide; end <= last; end += this.#slide) {
      if (end > clock - retain) corrections.note(row, end - this.#size)
    }
  }

  #emit(row: number, start: number, emit: EmitWindow): void {
    const { keys, panes } = this.#parts
    const end = start + this.#size
    let pane = keys.get(row, HEAD)
    while (pane !== NONE && panes.get(pane, START) < start) pane = panes.get(pane, NEXT_PANE)
    if (pane === NONE || panes.get(pane, START) >= end) return
    const next = panes.get(pane, NEXT_PANE)
    if (next === NONE || panes.get(next, START) >= end) emit(row, start, end, pane)
    else this.#emitMerged(row, start, end, pane, emit)
  }

  #emitMerged(row: number, start: number, end: number, first: number, emit: EmitWindow): void {
    const { panes } = this.#parts
    let whole = panes.createLike(first)
    for (let pane = first; pane !== NONE && panes.get(pane, START) < end; pane = panes.get(pane, NEXT_PANE)) {
      whole = panes.merge(whole, pane)
    }
    emit(row, start, end, whole)
    panes.free(whole)
  }
}
