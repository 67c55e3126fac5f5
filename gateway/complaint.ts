/** Says what keeps failing once, and then at a falling rate, so that a night without uplink is not a night of log. */
import type { Clock } from './clock.ts'

/** Pauses between two lines about the same failure, ms; the last one repeats. */
const PAUSES = [60_000, 300_000, 900_000, 3_600_000] as const
/** A failure that did not occur for this long is news again, ms. */
const FORGOTTEN_AFTER = 1_800_000
/** Failures remembered; the one said longest ago goes first. A stranger can invent as many as he likes. */
const MAX_CODES = 1_000

export interface Complaint {
  /** Calls `say` unless this failure was said lately; `again` counts how often it was not. */
  raise(code: string, say: (again: number) => void): void
  /** Calls `say` when a failure was said since the last recovery. */
  recovered(say: () => void): void
}

interface Said {
  times: number
  nextAt: number
  lastSeen: number
  silent: number
}

export function createComplaint(clock: Clock): Complaint {
  const said = new Map<string, Said>()
  let open = false
  return {
    raise(code, say) {
      const now = clock.monotonic()
      let known = said.get(code)
      if (known && now - known.lastSeen > FORGOTTEN_AFTER) known = undefined
      if (known && now < known.nextAt) {
        known.silent++
        known.lastSeen = now
        return
      }
      const times = known?.times ?? 0
      const pause = PAUSES[Math.min(times, PAUSES.length - 1)] as number
      said.delete(code)
      if (said.size >= MAX_CODES) said.delete(said.keys().next().value ?? '')
      said.set(code, { times: times + 1, nextAt: now + pause, lastSeen: now, silent: 0 })
      open = true
      say(known?.silent ?? 0)
    },
    recovered(say) {
      if (!open) return
      open = false
      say()
    },
  }
}
