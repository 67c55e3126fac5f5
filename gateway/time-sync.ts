/**
 * Whether the wall clock can be believed. A machine without a battery for its clock starts in 1970, or where it was
 * switched off, and jumps when the network has told it the time. Until then what the gateway stamps is stamped by a
 * line that does not jump (monotonic time from where the wall clock was at the start), so that one offset mends it all.
 */
import { existsSync, readdirSync } from 'node:fs'
import type { Clock } from './clock.ts'

/** What a person is told until the clock is believed. */
export const UNSYNCED_NOTICE =
  'the clock of this machine is not set: readings without a time of their own wait until it is, and are then counted with their true time'

/** No gateway of this version ran before, ms since the epoch. */
export const EARLIEST = Date.UTC(2026, 0, 1)

export interface TimeSync {
  readonly synced: boolean
  /** @param now wall clock, ms; what to stamp with instead while it is not believed, whole ms */
  stamp(now: number): number
  /** Once the clock is right: what to add to all that was stamped so far, ms. Until `done` is called. */
  offset(): number | undefined
  /** The offset is journaled: from now on the wall clock is believed. */
  done(): void
}

/**
 * @param right asked until the answer is yes
 * @param continueAt what an earlier gateway stamped last and could not mend: stamps go on from there
 */
export function createTimeSync(clock: Clock, right: () => boolean, continueAt: number | undefined): TimeSync {
  const start = clock.monotonic()
  const believed = right()
  let synced = believed && continueAt === undefined
  const anchor = believed ? (continueAt ?? clock.now()) : Math.max(clock.now(), continueAt ?? 0)
  const stamp = () => Math.floor(anchor + (clock.monotonic() - start))
  return {
    get synced() {
      return synced
    },
    stamp: (now) => (synced ? now : stamp()),
    offset: () => (!synced && right() ? Math.round(clock.now()) - stamp() : undefined),
    done() {
      synced = true
    },
  }
}

/** What the machine says of its clock. */
export function clockIsRight(clock: Clock): boolean {
  return clock.now() >= EARLIEST && !waitsForNetwork()
}

/** Linux with systemd-timesyncd and without a clock that outlives a power cut: it makes a file when it has the time. */
function waitsForNetwork(): boolean {
  const service = '/run/systemd/timesync'
  return existsSync(service) && !existsSync(`${service}/synchronized`) && !hasClock('/sys/class/rtc')
}

function hasClock(folder: string): boolean {
  try {
    return readdirSync(folder).length > 0
  } catch {
    // Not Linux, or not shown to us: nothing speaks against the clock.
    return true
  }
}
