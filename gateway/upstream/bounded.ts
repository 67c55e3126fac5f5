/** One call into a plugin, which may hang. */
import type { Clock } from '../clock.ts'

/**
 * Rejects when `outer` is aborted, or with `late` after `ms`, whatever the call does; it is told through its signal.
 */
export async function bounded(
  clock: Clock,
  ms: number,
  late: () => Error,
  outer: AbortSignal,
  call: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const own = new AbortController()
  let fail: ((error: unknown) => void) | undefined
  const cut = new Promise<never>((_, reject) => {
    fail = reject
  })
  const end = (error: unknown) => {
    own.abort(error)
    fail?.(error)
  }
  const stopping = () => end(outer.reason)
  const timer = clock.after(ms, () => end(late()))
  outer.addEventListener('abort', stopping, { once: true })
  try {
    outer.throwIfAborted()
    await Promise.race([call(own.signal), cut])
  } finally {
    timer.cancel()
    outer.removeEventListener('abort', stopping)
    cut.catch(() => {})
  }
}
