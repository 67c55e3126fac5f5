/** Everything of the gateway that is on disk: opened in one place, closed in one place. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { blockDeviceOf } from './block-device.ts'
import { runtimeFile } from './cli/runtime.ts'
import type { Clock, Timer } from './clock.ts'
import type { Config } from './config/schema.ts'
import { type History, openHistory } from './history/history.ts'
import { type Checkpoint, type CheckpointStore, openCheckpoints } from './journal/checkpoint.ts'
import { createJournal, type Journal } from './journal/journal.ts'
import { countWrites } from './log/counted.ts'
import { realFiles } from './log/files.ts'
import { type DirectoryLock, lockDirectory } from './log/lock.ts'
import { openLog } from './log/log.ts'
import type { Log } from './logging.ts'
import { openOutboxFiles } from './outbox/durable.ts'
import type { Outbox } from './outbox/outbox.ts'
import { openSettings, type Settings } from './settings.ts'
import { createWear, type Wear } from './wear.ts'

/** A commit interval up to this is taken as a bound: the disk is used sooner when it is idle. A longer one is a wish to spare it. */
const EAGER_UP_TO = 100

/** How often a lock that could not be written is tried again, ms. */
const RETAKE = 5000

/** Numbers of the journal that damage has taken away. */
export interface LostEntries {
  readonly count: number
  readonly at: number
}

export interface Storage {
  readonly directory: string
  readonly journal: Journal
  readonly outbox: Outbox
  /** Undefined when the config gives it no room. */
  readonly history: History | undefined
  readonly checkpoints: CheckpointStore
  readonly checkpoint: Checkpoint | null
  readonly settings: Settings
  /** True when the last gateway on this directory was not stopped but ended. */
  readonly crashed: boolean
  /** Damage found since the last call, to be recorded as gaps. */
  takeLost(): LostEntries[]
  /** What is wrong with the disk now, in words; undefined when it works. */
  trouble(): string | undefined
  /** There is no room on the disk. */
  full(): boolean
  /** What was written, and what that does to the card. */
  wear(): Wear
  close(): Promise<void>
}

/** @throws StartError the directory is locked, unwritable, or of a newer version */
export async function openStorage(config: Config, directory: string, clock: Clock, log: Log): Promise<Storage> {
  const lock = lockDirectory(directory)
  try {
    return await open(config, directory, clock, log, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function open(config: Config, directory: string, clock: Clock, log: Log, lock: DirectoryLock): Promise<Storage> {
  const crashed = existsSync(runtimeFile(directory))
  const disk = watchDisk(clock, log.child({ stage: 'disk' }))
  const retaking = lock.missing === undefined ? undefined : retake(lock, clock, disk)
  const files = countWrites(realFiles)
  const settings = await openSettings(files, directory, (file) => disk.damaged(file, 'not readable as JSON'))
  const checkpoints = await openCheckpoints({
    files,
    directory: join(directory, 'checkpoints'),
    onDamage: (file, reason) => disk.damaged(file, reason),
  })
  const checkpoint = await checkpoints.load()
  const { maxBytes, whenFull, reserve, maxAge } = config.outbox
  const stored = await openOutboxFiles(
    { gateway: config.gateway.id, directory: join(directory, 'outbox'), maxBytes, whenFull, reserve, maxAge },
    {
      clock,
      files,
      onTrouble: (name, trouble) => disk.trouble(`outbox ${name}`, trouble),
      onDamage: (what, damage) =>
        'file' in damage
          ? disk.damaged(damage.file, `${damage.bytes} bytes at ${damage.offset}`)
          : disk.damaged(what, damage.message),
    },
  )
  const history =
    config.history.maxBytes === 0
      ? undefined
      : await openHistory({
          directory: join(directory, 'history'),
          files,
          clock,
          maxBytes: config.history.maxBytes,
          onTrouble: (trouble) => disk.trouble('history', trouble),
          onDamage: ({ file, offset, bytes }) => disk.damaged(file, `${bytes} bytes at ${offset}`),
        })
  const { commit, segment, buffer, compress } = config.journal
  const eager = commit <= EAGER_UP_TO
  const journalLog = await openLog({
    directory: join(directory, 'journal'),
    files,
    clock,
    segmentBytes: segment,
    compress: compress === 'auto' ? !eager : compress,
    commit: { interval: commit, eager },
    maxBuffer: buffer,
    // Of these entries others were told: a journal that lost its tail must not give their numbers again.
    floor: Math.max(checkpoints.newest, stored.entry, history?.entry ?? 0) + 1,
    onTrouble: (trouble) => disk.trouble('journal', trouble),
    onDamage: (damage) => disk.lost(damage),
  })
  const outbox = await stored.start(journalLog.epoch, journalLog.next)
  return {
    directory,
    journal: createJournal(journalLog, clock),
    outbox,
    history,
    checkpoints,
    checkpoint,
    settings,
    crashed,
    takeLost: disk.takeLost,
    trouble: disk.current,
    full: disk.full,
    wear: createWear(() => files.written, blockDeviceOf(directory), config.card, clock),
    async close() {
      retaking?.cancel()
      await journalLog.close()
      await history?.close()
      await outbox.close()
      lock.release()
    },
  }
}

/** A full or read-only disk could not hold the lock: it is tried again until it can. */
function retake(lock: DirectoryLock, clock: Clock, disk: Disk): Timer {
  const say = () => disk.trouble('lock', { code: 'SLUICE_UNLOCKED', message: `runs without a lock: ${lock.missing}` })
  say()
  const timer = clock.every(RETAKE, () => {
    const before = lock.missing
    if (!lock.retake()) {
      if (lock.missing !== before) say()
      return
    }
    timer.cancel()
    disk.trouble('lock', null)
  })
  return timer
}

interface Disk {
  trouble(what: string, trouble: { readonly code: string; readonly message: string } | null): void
  damaged(file: string, reason: string): void
  lost(damage: { file: string; offset: number; bytes: number; firstLost?: number; lastLost?: number }): void
  takeLost(): LostEntries[]
  current(): string | undefined
  full(): boolean
}

function watchDisk(clock: Clock, log: Log): Disk {
  const troubles = new Map<string, { readonly code: string; readonly text: string }>()
  let lost: LostEntries[] = []
  const damaged = (file: string, reason: string) => log.error({ file, reason }, 'a file is damaged')
  return {
    damaged,
    trouble(what, trouble) {
      if (trouble === null) {
        troubles.delete(what)
        log.info({ what }, `the disk works again for the ${what}`)
        return
      }
      troubles.set(what, { code: trouble.code, text: `${what}: ${trouble.message}` })
      log.error({ what, code: trouble.code }, `the disk fails for the ${what}: ${trouble.message}`)
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
