/** When a tick is needed, and what it must say. Asked live only: nothing here is part of the state. */
import type { Closing } from './closing.ts'
import { IdleSamples } from './idle-samples.ts'
import { type ClosingTime, nextSlice, type Slice, sliced } from './slices.ts'

/** The clock's part in the state machine. Plain JSON; journaled before it acts. */
export interface Tick {
  /** Wall clock of the gateway, ms since the epoch. */
  readonly now: number
  /** Per window: whoever had the last reading at or before this entry is idle. */
  readonly idle: Readonly<Record<string, number>>
  /** Corrections that wait are sent, and losses reported; `slice` of the corrections only those of the slice. */
  readonly flush?: true | 'slice'
  /** Of many keys only these; further ticks follow with the others. */
  readonly slice?: Slice
  /** Per window over several devices that has very many keys: it closes by this and nothing else. */
  readonly times?: Readonly<Record<string, ClosingTime>>
}

const NEVER = -1

export class Ticks {
  readonly #closings: readonly { readonly closing: Closing; readonly samples: IdleSamples }[]
  readonly #coalesce: number
  /** What is left of a tick in slices. After a restart `due` finds it anew. */
  #rest: Tick | undefined
  /** Monotonic time at which something was first seen to wait for a flush. */
  #waitingSince: number | undefined

  /** @param coalesce how long corrections wait for each other, ms */
  constructor(closings: readonly Closing[], coalesce: number) {
    this.#closings = closings.map((closing) => ({ closing, samples: new IdleSamples(closing.book.definition.idle) }))
    this.#coalesce = coalesce
  }

  /** A tick was cut into slices and some are still to be given. */
  get unfinished(): boolean {
    return this.#rest !== undefined
  }

  /** @param steady what the stage's clock will say at `now` */
  due(now: number, steady: number, monotonic: number, lastEntry: number): Tick | null {
    if (this.#rest) return this.#rest
    const idle: Record<string, number> = {}
    const times: Record<string, ClosingTime> = {}
    let keys = 0
    for (const { closing, samples } of this.#closings) {
      const { name } = closing.book.definition
      const idleTo = samples.note(monotonic, lastEntry)
      const due = closing.due(steady, idleTo)
      if (due === 0) continue
      keys += due
      if (idleTo !== NEVER) idle[name] = idleTo
      const time = closing.closingTime?.(steady, idleTo)
      if (time) times[name] = time
    }
    const corrections = this.#mustFlush(monotonic)
    if (keys + corrections === 0) return null
    const slice = sliced(keys + corrections)
    return {
      now,
      idle,
      ...(Object.keys(times).length > 0 && { times }),
      ...(corrections > 0 && { flush: slice ? 'slice' : true }),
      ...(slice && { slice }),
    }
  }

  /** The tick has acted. */
  done({ now, idle, times, flush, slice }: Tick): void {
    const next = slice && nextSlice(slice)
    // A tick of an older gateway flushes all with its first slice.
    const rest = { now, idle, ...(times && { times }), ...(flush === 'slice' && { flush }) }
    this.#rest = next && { ...rest, slice: next }
    if (flush === true || (flush === 'slice' && !next)) this.#waitingSince = undefined
  }

  /** How many keys wait for a flush; 0 while they may wait for more. */
  #mustFlush(monotonic: number): number {
    const waiting = this.#closings.reduce((keys, { closing }) => keys + closing.book.waiting, 0)
    if (waiting === 0) this.#waitingSince = undefined
    else if (this.#waitingSince === undefined) this.#waitingSince = monotonic
    else if (monotonic - this.#waitingSince >= this.#coalesce) return waiting
    return 0
  }
}
