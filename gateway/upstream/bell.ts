/** Wakes one who waits for work; a ring while nobody waits is not lost. */
import type { Clock } from '../clock.ts'

export interface Bell {
  ring(): void
  /** Rings before this no longer count. */
  listen(): void
  /** Resolves at a ring since `listen`, or after `ms`; Infinity is no limit. */
  wait(ms: number): Promise<void>
}

export function createBell(clock: Clock): Bell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    listen() {
      rung = false
    },
    wait(ms) {
      if (rung) return Promise.resolve()
      return new Promise((resolve) => {
        const timer = Number.isFinite(ms) ? clock.after(Math.max(1, Math.ceil(ms)), () => wake?.()) : undefined
        wake = () => {
          timer?.cancel()
          wake = undefined
          resolve()
        }
      })
    },
  }
}
