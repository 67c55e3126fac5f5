/**
 * A key's numbers stand side by side, so that a reading touches few lines of memory:
 *
 *   base                  base + field.place                          base + field.rated         base + field.heard
 *   │ HEARD │ TIME │ …    │ NUMBER │ LOW │ HIGH │ MOVED │ …           │ AT │ RATE │ LOW │ HIGH │   │ when │
 *
 * A field has the places behind MOVED only when rules ask for its rate or its absence. NaN: not there.
 */

/** The rules' clock when the key was last heard of. */
export const HEARD = 0
/** Highest event time. */
export const TIME = 1
export const HEAD = 2

export const NUMBER = 0
/** Within these, exclusive, no leaf on the number can change. */
export const LOW = 1
export const HIGH = 2
/** 1 when a leaf on changes may be true, 0 when all are false; `FRESH`: no leaf has seen a value. */
export const MOVED = 3
export const FRESH = 2
export const FIELD = 4

/** Event time of the number. */
export const AT = 0
/** The last rate, per ms, and within what no leaf on it can change. */
export const RATE = 1
export const RATE_LOW = 2
export const RATE_HIGH = 3
export const RATED = 4
