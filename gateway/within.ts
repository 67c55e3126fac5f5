import type { Clock } from './clock.ts'

/** Waits for `promise`, but not longer than `ms`; the process stays alive meanwhile. True when it came, also with an error. */
export async function within(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController()
  const came = promise.then(
    () => true,
    () => true,
  )
  const late = clock.sleep(ms, enough.signal).then(
    () => false,
    () => false,
  )
  const first = await Promise.race([came, late])
  enough.abort()
  return first
}
