/** Everything of the gateway that is on disk: opened in one place, closed in one place. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SessionLog } from '../broker/kept/session-log.ts'
import { openChanges } from '../changes.ts'
import { runtimeFile } from '../cli/runtime.ts'
import type { Clock, Timer } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { blockDeviceOf } from '../disk/block-device.ts'
import { type Disk, type LostEntries, watchDisk } from '../disk/trouble.ts'
import { createWear, type Wear } from '../disk/wear.ts'
import { type History, openHistory } from '../history/history.ts'
import { openPluginStores, type PluginStores } from '../hosting/plugin-stores.ts'
import { type Checkpoint, type CheckpointStore, openCheckpoints } from '../journal/checkpoint.ts'
import { createJournal, type Journal } from '../journal/journal.ts'
import { countWrites } from '../log/counted.ts'
import { type Files, realFiles } from '../log/files.ts'
import { type DirectoryLock, lockDirectory } from '../log/lock.ts'
import { type Log as DurableLog, type LogPlace, openLog } from '../log/log.ts'
import type { Log } from '../logging.ts'
import { openOutboxFiles } from '../outbox/durable.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { openSettings, type Settings } from '../settings.ts'

/** A commit interval up to this is taken as a bound: the disk is used sooner when it is idle. A longer one is a wish to spare it. */
const EAGER_UP_TO = 100

/** Sessions are told anew and what was told before is deleted, in whole segments, bytes. */
const SESSION_SEGMENT = 1024 * 1024
/** Half of it must hold all that waits for one session, bytes. */
const SESSION_BUFFER = 32 * 1024 * 1024

/** How often it is looked whether the lock is still held, ms. */
const RETAKE = 1000

export interface Storage {
  readonly directory: string
  readonly journal: Journal
  readonly outbox: Outbox
  /** The trail of changes. */
  readonly changes: DurableLog
  /** Undefined when the config gives it no room. */
  readonly history: History | undefined
  readonly checkpoints: CheckpointStore
  readonly checkpoint: Checkpoint | null
  readonly settings: Settings
  /** Sessions and retained messages of the broker. */
  readonly sessions: SessionLog
  readonly pluginStores: PluginStores
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

export interface StorageParts {
  readonly config: Config
  readonly directory: string
  readonly clock: Clock
  readonly log: Log
  /** The machine's by default; tests put a failing disk here. */
  readonly files?: Files | undefined
}

/** @throws StartError the directory is locked, unwritable, or of a newer version */
export async function openStorage(parts: StorageParts): Promise<Storage> {
  const lock = lockDirectory(parts.directory)
  try {
    return await open(parts, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function open(parts: StorageParts, lock: DirectoryLock): Promise<Storage> {
  const { config, directory, clock } = parts
  const crashed = existsSync(runtimeFile(directory))
  const disk = watchDisk(clock, parts.log.child({ stage: 'disk' }))
  const locking = keepLocked(lock, clock, disk)
  const files = countWrites(parts.files ?? realFiles)
  const at = placesIn(directory, files, clock, disk)

  const settings = await openSettings({
    files,
    data: directory,
    clock,
    onDamage: (file) => disk.damaged(file, 'not what was written'),
    watched: (writing) => disk.watched('settings', writing),
  })
  const checkpoints = await openCheckpoints({
    files,
    directory: join(directory, 'checkpoints'),
    onDamage: (file, reason) => disk.damaged(file, reason),
    watched: (saving) => disk.watched('checkpoints', saving),
  })
  const { maxBytes } = config.history
  // Together: most of the time is waiting for the disk.
  const [checkpoint, stored, history, changes, pluginStores] = await Promise.all([
    checkpoints.load(),
    openOutboxOf(config, join(directory, 'outbox'), files, clock, disk),
    maxBytes === 0 ? undefined : openHistory({ ...at('history'), maxBytes }),
    openChanges(at('changes')),
    openPluginStores(at('plugins'), (instance) => settings.store(instance)),
  ])
  // Of these entries others were told: a journal that lost its tail must not give their numbers again.
  const floor = Math.max(checkpoints.newest, stored.entry, history?.entry ?? 0) + 1
  const eager = config.journal.commit <= EAGER_UP_TO
  const journalLog = await openJournal(config, { ...at('journal'), onDamage: (damage) => disk.lost(damage) }, floor)
  const outbox = await stored.start(journalLog.epoch, journalLog.next)
  const commit = { interval: config.journal.commit }
  const sessionLog = await openLog({
    ...at('sessions'),
    segmentBytes: SESSION_SEGMENT,
    maxBuffer: SESSION_BUFFER,
    commit,
  })
  return {
    directory,
    journal: createJournal(journalLog, clock),
    outbox,
    changes,
    history,
    checkpoints,
    checkpoint,
    settings,
    sessions: new SessionLog(sessionLog, clock, eager),
    pluginStores,
    crashed,
    takeLost: disk.takeLost,
    trouble: disk.current,
    full: disk.full,
    wear: createWear(() => files.written, blockDeviceOf(directory), config.card, clock),
    async close() {
      locking.cancel()
      await journalLog.close()
      await sessionLog.close()
      await history?.close()
      await changes.close()
      await pluginStores.close()
      await outbox.close()
      lock.release()
    },
  }
}

/** Where something that has a log of its own keeps it, and who hears of its disk. */
function placesIn(data: string, files: Files, clock: Clock, disk: Disk): (name: string) => LogPlace {
  return (name) => ({
    directory: join(data, name),
    files,
    clock,
    onTrouble: (trouble) => disk.trouble(name, trouble),
    onDamage: ({ file, offset, bytes }) => disk.damaged(file, `${bytes} bytes at ${offset}`),
  })
}

function openJournal({ journal }: Config, place: LogPlace, floor: number): Promise<DurableLog> {
  const { commit, segment, buffer, compress } = journal
  const eager = commit <= EAGER_UP_TO
  return openLog({
    ...place,
    segmentBytes: segment,
    compress: compress === 'auto' ? !eager : compress,
    commit: { interval: commit, eager },
    maxBuffer: buffer,
    floor,
  })
}

function openOutboxOf({ gateway, outbox }: Config, directory: string, files: Files, clock: Clock, disk: Disk) {
  const { maxBytes, whenFull, reserve, maxAge } = outbox
  return openOutboxFiles(
    { gateway: gateway.id, directory, maxBytes, whenFull, reserve, maxAge },
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
}

/** A full or read-only disk could not hold the lock, or somebody deleted it: it is tried again until it is held. */
function keepLocked(lock: DirectoryLock, clock: Clock, disk: Disk): Timer {
  const say = () =>
    disk.trouble(
      'lock',
      lock.missing === undefined ? null : { code: 'SLUICE_UNLOCKED', message: `runs without a lock: ${lock.missing}` },
    )
  say()
  return clock.every(RETAKE, () => {
    lock.retake()
    say()
  })
}
