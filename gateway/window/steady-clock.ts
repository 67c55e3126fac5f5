/**
 * The gateway's clock as windows see it: the wall clock of journaled readings and ticks, except that it never goes
 * back. While the wall clock is behind (somebody set it back an hour), time goes on from where it was, at the pace of
 * the wall clock, so nothing that the gateway stamps is late, counted twice or stuck for an hour. Pauses of more than
 * a second are used to fall back in line, and a step forward ends it at once.
 *
 *     wall    10:00:00 10:00:01 09:00:01 09:00:02 … 09:00:40 (pause of 38 s)
 *     steady  10:00:00 10:00:01 10:00:01 10:00:02 … 10:00:03
 */

/** Readings of two sources may be out of order by this much without the clock having been set back; also the pause, ms. */
const TOLERANCE = 1000

export interface SteadyClockState {
  readonly time: number | null
  readonly wall: number | null
}

export class SteadyClock {
  /** ms since the epoch; never goes back. */
  time = Number.NEGATIVE_INFINITY
  #wall = Number.NEGATIVE_INFINITY

  /** What `time` will be once the wall clock has been seen at `wall`, ms since the epoch. */
  at(wall: number): number {
    if (wall >= this.time) return wall
    if (wall >= this.time - TOLERANCE) return this.time
    return this.time + Math.min(Math.max(wall - this.#wall, 0), TOLERANCE)
  }

  see(wall: number): void {
    this.time = this.at(wall)
    this.#wall = wall
  }

  /** The time of something the gateway stamped at `wall`, which was seen already. */
  stamp(wall: number): number {
    return wall >= this.time - TOLERANCE ? wall : this.time
  }

  state(): SteadyClockState {
    return { time: finite(this.time), wall: finite(this.#wall) }
  }

  restore(state: SteadyClockState): void {
    this.time = state.time ?? Number.NEGATIVE_INFINITY
    this.#wall = state.wall ?? Number.NEGATIVE_INFINITY
  }
}

function finite(time: number): number | null {
  return Number.isFinite(time) ? time : null
}
