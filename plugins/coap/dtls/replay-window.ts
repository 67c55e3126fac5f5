/** Which of the last 64 records were seen (RFC 6347 §4.1.2.6). Bit 0 of `low` is the newest. */
export interface ReplayWindow {
  newest: number
  low: number
  high: number
}

export function createReplayWindow(): ReplayWindow {
  return { newest: -1, low: 0, high: 0 }
}

/** False for a record seen before, or too old to know. */
export function isFresh(window: ReplayWindow, sequence: number): boolean {
  const age = window.newest - sequence
  if (age < 0) return true
  if (age >= 64) return false
  return (age < 32 ? (window.low >>> age) & 1 : (window.high >>> (age - 32)) & 1) === 0
}

/** Call only when the record proved authentic. Returns whether it is the newest so far. */
export function markSeen(window: ReplayWindow, sequence: number): boolean {
  const ahead = sequence - window.newest
  if (ahead > 0) {
    shift(window, ahead)
    window.newest = sequence
    window.low |= 1
    return true
  }
  const age = -ahead
  if (age < 32) window.low |= 1 << age
  else window.high |= 1 << (age - 32)
  return false
}

function shift(window: ReplayWindow, by: number): void {
  if (by >= 64) {
    window.high = 0
    window.low = 0
  } else if (by >= 32) {
    window.high = window.low << (by - 32)
    window.low = 0
  } else {
    window.high = (window.high << by) | (window.low >>> (32 - by))
    window.low <<= by
  }
}
