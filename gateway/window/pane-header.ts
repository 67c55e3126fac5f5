/**
 * The words at the head of a pane's block. A pane is the smallest stretch of time that is counted together: a tumbling
 * window, the slice between two ends of a hopping window, or a session. The panes of a key form a list by start.
 */

/** Event time, ms. */
export const START = 0
/** Readings in it. */
export const READINGS = 1
/** Sessions: time of the last reading, ms. */
export const LAST_READING = 2
/** The next later pane of the key, or NONE. */
export const NEXT_PANE = 3
/** Id of its layout. */
export const LAYOUT = 4
/** Id of the source all its readings came from, or MIXED: then the extra has a count per source. */
export const SOURCE = 5
/** Index of its extra (text counts, sketches), or NONE. */
export const EXTRA = 6
/** 1 when all its windows were emitted and it is only kept to correct them. */
export const CLOSED = 7
export const HEADER = 8

export const MIXED = -1
