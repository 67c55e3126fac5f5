/** What is wrong with the disk now, by what needs it: said in the log once, and in the health until it works again. */
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Damage } from '../log/damage.ts'
import { codeOf } from '../log/files.ts'
import type { Log } from '../logging.ts'

/** Numbers of the journal that damage has taken away. */
export interface LostEntries {
  readonly count: number
  /** Wall clock, ms since the epoch. */
  readonly at: number
}

export interface Disk {
  /** @param what `journal`, `outbox result`, `checkpoints` …; null: it works again */
  trouble(what: string, trouble: { readonly code: string; readonly message: string } | null): void
  /** Says whether `writing` fails, and passes on how it ends. */
  watched<T>(what: string, writing: Promise<T>): Promise<T>
  damaged(file: string, reason: string): void
  /** Damage of the journal: its numbers are to be recorded as a gap. */
  lost(damage: Damage): void
  takeLost(): LostEntries[]
  /** In words; undefined while all works. */
  current(): string | undefined
  /** There is no room. */
  full(): boolean
}

export function watchDisk(clock: Clock, log: Log): Disk {
  const troubles = new Map<string, { readonly code: string; readonly text: string }>()
  let lost: LostEntries[] = []
  const damaged = (file: string, reason: string) => log.error({ file, reason }, 'a file is damaged')
  const trouble: Disk['trouble'] = (what, found) => {
    if (found === null) {
      if (troubles.delete(what)) log.info({ what }, `the disk works again for the ${what}`)
      return
    }
    const before = troubles.get(what)
    troubles.set(what, { code: found.code, text: `${what}: ${found.message}` })
    if (before?.code === found.code) return
    log.error({ what, code: found.code }, `the disk fails for the ${what}: ${found.message}`)
  }
  return {
    damaged,
    trouble,
    async watched(what, writing) {
      try {
        const result = await writing
        trouble(what, null)
        return result
      } catch (error) {
        trouble(what, { code: codeOf(error), message: reasonOf(error) })
        throw error
      }
    },
    lost({ file, offset, bytes, firstLost, lastLost }) {
      damaged(file, `${bytes} bytes at ${offset}`)
      if (firstLost !== undefined && lastLost !== undefined)
        lost.push({ count: lastLost - firstLost + 1, at: clock.now() })
    },
    takeLost() {
      const taken = lost
      lost = []
      return taken
    },
    current: () => [...troubles.values()][0]?.text,
    full: () => [...troubles.values()].some(({ code }) => code === 'ENOSPC' || code === 'EDQUOT'),
  }
}
