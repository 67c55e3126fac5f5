import type { Reading } from '../reading.ts'

/** The answer of `place` for a reading whose windows are all closed. */
export const LATE = Number.NEGATIVE_INFINITY
/** The answer of `place` when no window of the key now ends earlier than before. */
export const UNCHANGED = Number.POSITIVE_INFINITY

/** `pane` holds all readings of the window; it is only valid during the call. */
export type EmitWindow = (row: number, start: number, end: number, pane: number) => void

/**
 * The geometry of windows over the panes of one key: slices of tumbling and hopping windows, or sessions. `clock` is
 * the time that closes the key's windows: those that end at or before it are closed. All times in ms since the epoch.
 */
export interface Form {
  /** Counts a reading that still has an open window. Returns when the key's next window ends, LATE or UNCHANGED. */
  place(row: number, reading: Reading, time: number, source: number, clock: number): number
  /** Counts a late reading in what is kept of closed windows. False when it is too late for that. */
  amend(row: number, reading: Reading, time: number, source: number, clock: number): boolean
  /** When the key's next window after `clock` ends; Infinity when none is open. */
  nextEnd(row: number, clock: number): number
  /** Emits the key's window that ends at `end`, its earliest, and closes the panes that no later window needs. */
  close(row: number, end: number, emit: EmitWindow): void
  /** Emits a closed window again. */
  repeat(row: number, start: number, emit: EmitWindow): void
  /** True when a pane can go, given the earliest end that can still be corrected. */
  expired(pane: number, horizon: number): boolean
}
