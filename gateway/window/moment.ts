/**
 * The times of the reading that is being counted, in one array that every step of the hot path shares. A number passed
 * to a function that is not inlined, or returned by it, is an object on the heap when it is not a small integer; at
 * 300,000 readings a second those would be the gateway's main garbage. All in ms since the epoch.
 */
export type Moment = Float64Array

/** Event time as windows take it. */
export const TIME = 0
/** The gateway's steady clock. */
export const NOW = 1
/** Windows of the reading's key that end at or before it are closed. */
export const CLOCK = 2
/** When the window that the reading opened ends; set when `place` answers OPENED. */
export const ENDS = 3

export function createMoment(): Moment {
  return new Float64Array(4)
}
