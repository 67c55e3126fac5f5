/**
 * What the gateway costs the card it writes to, and how long that card will last.
 *
 *   years = size × cycles ÷ (bytes written to the device in a year, at the rate since the gateway started)
 *
 * The device counts what others write too, and what the file system adds; where it says nothing, what the gateway
 * itself wrote is taken, which is less.
 */

import type { Clock } from '../clock.ts'
import type { BlockDevice } from './block-device.ts'

export interface Wear {
  /** What the gateway gave to the disk since it started: journal, outbox, checkpoints, settings; bytes. */
  readonly bytesWritten: number
  /** What the device below wrote in that time, by everybody; bytes. Absent when it does not say. */
  readonly deviceBytesWritten?: number
  /** How many years a new card lasts at this rate; absent in the first minutes, or when its size is not known. */
  readonly lifeYears?: number
  /** Share of its life that the card itself says is used, 0 to 1. */
  readonly lifeUsed?: number
}

export interface Endurance {
  /** Bytes; what the device says when it is not given. */
  readonly size?: number
  /** How often each of its cells may be written. */
  readonly cycles: number
}

/** A rate over less time than this says nothing, ms. */
const MEASURED_FOR = 10 * 60_000
const YEAR = 365.25 * 86_400_000

/** @param written what the gateway has written so far, bytes */
export function createWear(
  written: () => number,
  device: BlockDevice | undefined,
  endurance: Endurance,
  clock: Clock,
): () => Wear {
  const start = clock.monotonic()
  const before = device?.written()
  const size = endurance.size ?? device?.size
  return () => {
    const bytesWritten = written()
    const now = device?.written()
    const deviceBytesWritten = now === undefined || before === undefined ? undefined : now - before
    const elapsed = clock.monotonic() - start
    const perYear = ((deviceBytesWritten ?? bytesWritten) / elapsed) * YEAR
    const known = size !== undefined && elapsed >= MEASURED_FOR && perYear > 0
    const lifeUsed = device?.used()
    return {
      bytesWritten,
      ...(deviceBytesWritten === undefined ? {} : { deviceBytesWritten }),
      ...(known ? { lifeYears: (size * endurance.cycles) / perYear } : {}),
      ...(lifeUsed === undefined ? {} : { lifeUsed }),
    }
  }
}
