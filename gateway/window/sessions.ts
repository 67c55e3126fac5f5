/**
 * Sessions: readings less than `gap` apart. A session is `[first, last + gap)`, and closes when the clock reaches its
 * end. A reading that touches several open sessions joins them.
 *
 * A session that was emitted keeps its start and end. A late reading within them corrects it; one outside makes a late
 * session of its own, which is sent as a correction too. So a result never changes its identity.
 */
import type { Reading } from '../reading.ts'
import type { FormParts } from './aligned.ts'
import { COUNTED, type EmitWindow, type Form, LATE, OPENED, type Placed } from './form.ts'
import { CURRENT, HEAD } from './keys.ts'
import { CLOCK, ENDS, TIME } from './moment.ts'
import { CLOSED, LAST_READING, NEXT_PANE, START } from './pane-header.ts'
import { NONE } from './slab.ts'

export class SessionForm implements Form {
  readonly #parts: FormParts
  readonly #gap: number

  constructor(parts: FormParts) {
    this.#parts = parts
    this.#gap = parts.geometry.size
  }

  place(row: number, reading: Reading, source: number): Placed {
    const { keys, panes, moment } = this.#parts
    const time = moment[TIME] as number
    const late = time + this.#gap <= (moment[CLOCK] as number)
    if (late && this.#findClosed(row, time) !== NONE) return LATE
    let pane = this.#findOpen(row, time)
    let answer: Placed = COUNTED
    if (pane === NONE) {
      if (late) return LATE
      pane = this.#create(row, reading, time, source)
      moment[ENDS] = time + this.#gap
      answer = OPENED
    } else if (time < panes.get(pane, START)) panes.set(pane, START, time)
    pane = this.#add(row, pane, reading, time, source)
    if (panes.get(pane, NEXT_PANE) !== NONE) pane = this.#join(row, pane)
    keys.set(row, CURRENT, pane)
    return answer
  }

  amend(row: number, reading: Reading, source: number): boolean {
    const { panes, corrections, retain, moment } = this.#parts
    const time = moment[TIME] as number
    if (retain < 0 || time + this.#gap <= (moment[CLOCK] as number) - retain) return false
    let pane = this.#findClosed(row, time)
    if (pane === NONE) {
      pane = this.#create(row, reading, time, source)
      panes.set(pane, CLOSED, 1)
    }
    corrections.note(row, panes.get(pane, START))
    const last = panes.get(pane, LAST_READING)
    pane = this.#add(row, pane, reading, time, source)
    panes.set(pane, LAST_READING, last)
    return true
  }

  nextEnd(row: number, _clock: number): number {
    const { keys, panes } = this.#parts
    let least = Number.POSITIVE_INFINITY
    for (let pane = keys.get(row, HEAD); pane !== NONE; pane = panes.get(pane, NEXT_PANE)) {
      if (panes.get(pane, CLOSED) === 0) least = Math.min(least, this.#end(pane))
    }
    return least
  }

  close(row: number, end: number, emit: EmitWindow): void {
    const { keys, panes, closed } = this.#parts
    for (let pane = keys.get(row, HEAD); pane !== NONE; pane = panes.get(pane, NEXT_PANE)) {
      if (panes.get(pane, CLOSED) === 1 || this.#end(pane) !== end) continue
      emit(row, panes.get(pane, START), end, pane)
      panes.set(pane, CLOSED, 1)
      closed(pane)
      return
    }
  }

  repeat(row: number, start: number, emit: EmitWindow): void {
    const { keys, panes } = this.#parts
    for (let pane = keys.get(row, HEAD); pane !== NONE; pane = panes.get(pane, NEXT_PANE)) {
      if (panes.get(pane, CLOSED) === 0 || panes.get(pane, START) !== start) continue
      emit(row, start, this.#end(pane), pane)
      return
    }
  }

  expired(pane: number, horizon: number): boolean {
    return this.#end(pane) <= horizon
  }

  #end(pane: number): number {
    return this.#parts.panes.get(pane, LAST_READING) + this.#gap
  }

  /** An open session that a reading at `time` belongs to; the one in use first. */
  #findOpen(row: number, time: number): number {
    const { keys, panes } = this.#parts
    const current = keys.get(row, CURRENT)
    if (current !== NONE && time >= panes.get(current, START) && this.#touches(current, time)) return current
    for (let pane = keys.get(row, HEAD); pane !== NONE; pane = panes.get(pane, NEXT_PANE)) {
      if (this.#touches(pane, time)) return pane
    }
    return NONE
  }

  /** Whether the pane is open, and its session less than a gap away from `time`. */
  #touches(pane: number, time: number): boolean {
    const { panes } = this.#parts
    return panes.get(pane, CLOSED) === 0 && time < this.#end(pane) && panes.get(pane, START) < time + this.#gap
  }

  /** The closed session around `time` that is still kept. */
  #findClosed(row: number, time: number): number {
    const { keys, panes } = this.#parts
    for (let pane = keys.get(row, HEAD); pane !== NONE; pane = panes.get(pane, NEXT_PANE)) {
      if (panes.get(pane, CLOSED) === 1 && time >= panes.get(pane, START) && time < this.#end(pane)) return pane
    }
    return NONE
  }

  #create(row: number, reading: Reading, time: number, source: number): number {
    const { panes, lists } = this.#parts
    const pane = panes.create(time, source, reading)
    panes.set(pane, LAST_READING, time)
    lists.insert(row, pane)
    return pane
  }

  #add(row: number, pane: number, reading: Reading, time: number, source: number): number {
    const { panes, lists } = this.#parts
    const at = panes.add(pane, reading, source)
    if (at !== pane) lists.replace(row, pane, at)
    if (time > panes.get(at, LAST_READING)) panes.set(at, LAST_READING, time)
    return at
  }

  /** Puts the sessions of a key that now touch together. */
  #join(row: number, first: number): number {
    const { panes, lists } = this.#parts
    let pane = first
    let next = panes.get(pane, NEXT_PANE)
    while (next !== NONE) {
      const after = panes.get(next, NEXT_PANE)
      if (panes.get(next, CLOSED) === 0 && panes.get(next, START) < this.#end(pane)) {
        const merged = panes.merge(pane, next)
        if (merged !== pane) lists.replace(row, pane, merged)
        lists.remove(row, next)
        pane = merged
      }
      next = after
    }
    return pane
  }
}
