/**
 * What is kept of one class: which numbers have a record, which lie in a gap, and when they came.
 *
 *   numbers   1 ……… 40 │ 41 ……… 900 │ 901 ……………… 970 │
 *             deleted  │  dropped   │  in the store  │ not yet durable
 *                      │ = one gap  │                │
 *                                   ▲ first          ▲ durable
 *
 * What was dropped is passed over at once; the store deletes it when the gap that tells of it is on disk.
 */
import type { Clock } from '../clock.ts'
import { EARLIEST } from '../time-sync.ts'
import { Ages } from './ages.ts'
import { Gaps } from './gaps.ts'
import { type Jump, Numbering } from './numbering.ts'
import type { LaneState } from './state.ts'
import type { Store } from './store.ts'

/** Why records are dropped from the front. */
const DROPPED = ['outbox_full', 'outbox_age']

export class Shelf {
  readonly store: Store
  readonly numbering: Numbering
  readonly gaps: Gaps
  readonly ages = new Ages()
  /** Numbers lost since the start, by reason. */
  readonly lost: Record<string, number> = Object.create(null)
  readonly #clock: Clock
  /** Positions below were dropped, though the store may still have them. */
  #floor: number
  /** Bytes dropped and not yet deleted. */
  #dropping = 0

  constructor(store: Store, saved: LaneState | undefined, jumps: readonly Jump[] | undefined, clock: Clock) {
    this.store = store
    this.#clock = clock
    this.numbering = new Numbering(saved?.jumps ?? jumps ?? [[1, 0]])
    this.numbering.cut(store.next)
    this.gaps = new Gaps(saved?.gaps)
    this.#floor = Math.max(store.first, this.#afterGaps())
  }

  /** Position of the oldest record kept. */
  get firstPosition(): number {
    return Math.max(this.store.first, this.#floor)
  }

  /** Oldest number kept. */
  get first(): number {
    return this.numbering.coversFrom(this.firstPosition)
  }

  /** Highest number that survives a crash. */
  get durable(): number {
    return this.numbering.coversFrom(this.store.durable) - 1
  }

  /** Positions below were dropped by policy. */
  get droppedTo(): number {
    return this.#floor
  }

  get bytes(): number {
    return this.store.bytes - this.#dropping
  }

  get droppable(): boolean {
    return this.store.oldest(this.firstPosition) !== null
  }

  /** Drops the oldest unit; what somebody still waited for, from `needed` on, becomes a gap. False when nothing can go. */
  dropOldest(reason: string, needed: number): boolean {
    const unit = this.store.oldest(this.firstPosition)
    if (!unit) return false
    const first = Math.max(needed, this.first)
    const last = this.numbering.coversFrom(unit.end) - 1
    if (first <= last) this.#lose(first, last, reason)
    this.#floor = unit.end
    this.#dropping += unit.bytes
    return true
  }

  /** True when all of the oldest unit is older than `maxAge`, ms. */
  async oldestIsOver(maxAge: number): Promise<boolean> {
    const unit = this.store.oldest(this.firstPosition)
    if (!unit) return false
    const [after] = await this.store.read(unit.end, 1, 1)
    // Written before the clock was right: nobody knows how old it is.
    return after !== undefined && after.time >= EARLIEST && this.#clock.now() - after.time > maxAge
  }

  /** Numbers that should be in the store and are not. */
  missing(first: number, last: number, reason: string): void {
    const { from, to } = this.span(first, last)
    this.gaps.add(first, last, reason, Math.min(from, to), to)
    this.count(reason, last - first + 1)
  }

  count(reason: string, count: number): void {
    this.lost[reason] = (this.lost[reason] ?? 0) + count
  }

  /** Wall clock, about when the first and the last of some numbers were recorded; now when nobody knows. */
  span(first: number, last: number): { readonly from: number; readonly to: number } {
    return { from: this.#wall(this.ages.since(first)), to: this.#wall(this.ages.until(last)) }
  }

  /** How far the store may be trimmed once the state, as it is now, is durable, when nobody needs numbers below `needed`. */
  trimmable(needed: number): number {
    const end = needed > this.durable ? this.store.durable : this.numbering.positionOf(needed)
    return Math.max(this.#floor, Math.min(end, this.store.durable))
  }

  trim(end: number, needed: number): void {
    this.store.trim(end)
    if (this.store.first >= this.#floor || end >= this.#floor) this.#dropping = 0
    this.numbering.trim(this.store.first)
    this.gaps.trim(needed)
    this.ages.trim(Math.min(needed, this.first))
  }

  /** Samples the age of what was kept over a restart, from number `needed` on. */
  async sampleAge(needed: number): Promise<void> {
    if (needed > this.durable) return
    const [oldest] = await this.store.read(Math.max(this.firstPosition, this.numbering.positionOf(needed)), 1, 1)
    if (!oldest) return
    const age = Math.max(0, this.#clock.now() - oldest.time)
    this.ages.add(this.numbering.coversFrom(oldest.position), this.#clock.monotonic() - age)
  }

  #lose(first: number, last: number, reason: string): void {
    const { from, to } = this.span(first, last)
    this.gaps.add(first, last, reason, from, to)
    this.count(reason, last - first + 1)
  }

  /** Position after the ranges that were dropped at the front, which a crash may have kept from being deleted. */
  #afterGaps(): number {
    let after = this.store.first
    for (const gap of this.gaps.list) {
      const end = this.numbering.positionOf(gap.last + 1)
      if (DROPPED.includes(gap.reason) && end <= this.store.next) after = Math.max(after, end)
    }
    return after
  }

  /** Monotonic to wall clock; now when unknown. */
  #wall(time: number | undefined): number {
    return Math.floor(this.#clock.now() - (time === undefined ? 0 : this.#clock.monotonic() - time))
  }
}
