import type { Reading } from '../reading.ts'
import type { SteadyClock } from './steady-clock.ts'

/** What a source has shown of its time. */
export interface WindowSource {
  readonly id: number
  readonly name: string
  /** The highest event time, taken at most up to the gateway's clock; ms since the epoch. */
  time: number
  lastEntry: number
  /** The gateway stamped its last reading: its time goes on with the clock. */
  stamped: boolean
}

export type SourceState = readonly [name: string, time: number | null, lastEntry: number, stamped: boolean]

/** The sources seen so far; their ids are positions. */
export class WindowSources {
  readonly list: WindowSource[] = []
  #last: WindowSource | undefined

  named(name: string): WindowSource {
    const last = this.#last
    if (last !== undefined && last.name === name) return last
    const found = this.list.find((source) => source.name === name) ?? this.#create(name)
    this.#last = found
    return found
  }

  /** @param time event time of the reading as windows take it, ms since the epoch */
  see(reading: Reading, time: number, entry: number): WindowSource {
    const source = this.named(reading.source)
    move(source, time, reading.received, reading.stamped)
    source.lastEntry = entry
    return source
  }

  /** The gateway's clock has reached `now`, ms since the epoch. */
  tick(now: number): void {
    for (const source of this.list) if (source.stamped && now > source.time) source.time = now
  }

  state(): SourceState[] {
    return this.list.map(({ name, time, lastEntry, stamped }) => [
      name,
      Number.isFinite(time) ? time : null,
      lastEntry,
      stamped,
    ])
  }

  restore(states: readonly SourceState[]): void {
    for (const [name, time, lastEntry, stamped] of states) {
      Object.assign(this.named(name), { time: time ?? Number.NEGATIVE_INFINITY, lastEntry, stamped })
    }
  }

  #create(name: string): WindowSource {
    const source = { id: this.list.length, name, time: Number.NEGATIVE_INFINITY, lastEntry: -1, stamped: false }
    this.list.push(source)
    return source
  }
}

/** Moves a source's time on; it never goes back. All in ms since the epoch. */
export function move(source: WindowSource, time: number, received: number, stamped: boolean): void {
  const shown = stamped ? time : Math.min(time, received)
  if (shown > source.time) source.time = shown
  source.stamped = stamped
}

/**
 * The time windows over several devices close by: the minimum over the sources that are not idle, less `delay`.
 * `Infinity` when all are idle, `-Infinity` when there are none.
 *
 * @param now the gateway's clock for sources it stamps, ms since the epoch, or -Infinity to leave it aside
 * @param idleTo a source whose last reading is at or below this entry is idle
 */
export function sourceTime(sources: readonly WindowSource[], delay: number, idleTo: number, now: number): number {
  if (sources.length === 0) return Number.NEGATIVE_INFINITY
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < sources.length; i++) {
    const source = sources[i] as WindowSource
    if (source.lastEntry <= idleTo) continue
    const time = source.stamped && now > source.time ? now : source.time
    if (time < least) least = time
  }
  return least - delay
}

/** Gives a restored or simulated clock its effect on a stamped time. */
export function stampedTime(reading: Reading, clock: SteadyClock): number {
  return reading.stamped ? clock.stamp(reading.time) : reading.time
}
