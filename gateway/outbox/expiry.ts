/** Drops what has waited longer than it may. */
import type { Clock } from '../clock.ts'
import { CLASSES } from '../record.ts'
import type { PerClass } from './budget.ts'
import type { Lane } from './lane.ts'

/** How often it is looked what is too old, ms. */
const EVERY = 60_000

export interface Expiry {
  /** Resolves when what is too old now is gone. */
  now(): Promise<void>
  cancel(): void
}

/** @param maxAge ms; undefined is never */
export function createExpiry(
  lanes: PerClass<Lane>,
  maxAge: number | undefined,
  save: () => Promise<void>,
  clock: Clock,
): Expiry {
  if (maxAge === undefined) return { now: () => Promise.resolve(), cancel: () => undefined }
  let running: Promise<void> | undefined
  const expire = async () => {
    for (const name of CLASSES) while (await lanes[name].expire(maxAge)) await save()
  }
  const now = () => {
    running ??= expire().finally(() => {
      running = undefined
    })
    return running
  }
  const timer = clock.every(EVERY, () => void now())
  return { now, cancel: () => timer.cancel() }
}
