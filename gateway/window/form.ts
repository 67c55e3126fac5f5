import type { Reading } from '../reading.ts'

/** The answers of `place`: all windows of the reading are closed; it was counted; it was, and opened a window. */
export const LATE = 0
export const COUNTED = 1
export const OPENED = 2
export type Placed = typeof LATE | typeof COUNTED | typeof OPENED

/** `pane` holds all readings of the window; it is only valid during the call. */
export type EmitWindow = (row: number, start: number, end: number, pane: number) => void

/**
 * The geometry of windows over the panes of one key: slices of tumbling and hopping windows, or sessions. `clock` is
 * the time that closes the key's windows: those that end at or before it are closed. All times in ms since the epoch.
 * For the reading that is being counted, its time and its key's clock stand in the moment (`moment.ts`).
 */
export interface Form {
  /** Counts a reading that still has an open window. With OPENED the moment says when that window ends. */
  place(row: number, reading: Reading, source: number): Placed
  /** Counts a late reading in what is kept of closed windows. False when it is too late for that. */
  amend(row: number, reading: Reading, source: number): boolean
  /** When the key's next window after `clock` ends; Infinity when none is open. */
  nextEnd(row: number, clock: number): number
  /** Emits the key's window that ends at `end`, its earliest, and closes the panes that no later window needs. */
  close(row: number, end: number, emit: EmitWindow): void
  /** Emits a closed window again. */
  repeat(row: number, start: number, emit: EmitWindow): void
  /** True when a pane can go, given the earliest end that can still be corrected. */
  expired(pane: number, horizon: number): boolean
}
