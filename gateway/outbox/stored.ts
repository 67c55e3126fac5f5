/**
 * The outbox of a gateway that does not run, in its files: looked at, copied, or corrected. Logs are only read. What
 * skipping and forgetting change is the state beside them, under the data directory's lock.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { type Files, realFiles } from '../log/files.ts'
import { lockDirectory } from '../log/lock.ts'
import { openStored, type StoredLog } from '../log/verify.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import { findJumps, readOutboxState, STATE_FILE, writeOutboxState } from './durable.ts'
import { createRecordReader } from './log-store.ts'
import { type Outbox, openOutbox } from './outbox.ts'
import type { OutboxState } from './state.ts'
import type { ClassStatus, SinkStatus } from './status.ts'
import type { Store } from './store.ts'

export interface StoredStatus {
  readonly bytes: number
  readonly classes: readonly Pick<ClassStatus, 'class' | 'epoch' | 'first' | 'next' | 'bytes'>[]
  readonly sinks: readonly SinkStatus[]
}

export interface StoredOutbox {
  status(): StoredStatus
  /** The JSON text of each record that waits for a sink, oldest first; undefined for an unknown sink. */
  export(sink: string, recordClass?: RecordClass): AsyncIterable<Buffer> | undefined
  /** Resolves with how many were given up, undefined for an unknown sink. */
  skip(sink: string, recordClass?: RecordClass, through?: number): Promise<number | undefined>
  /** False when the sink is unknown, or was in the config when the gateway ran last. */
  forget(sink: string): Promise<boolean>
  close(): Promise<void>
}

export interface StoredOptions {
  readonly data: string
  readonly clock: Clock
  /** Takes the lock, so that what is changed stays so. */
  readonly write: boolean
  readonly files?: Files
}

/**
 * @returns undefined when there is no outbox
 * @throws StartError SLUICE_DATA_LOCKED a gateway runs; DamageError its state is damaged
 */
export async function openStoredOutbox(options: StoredOptions): Promise<StoredOutbox | undefined> {
  const { data, clock, write, files = realFiles } = options
  const directory = join(data, 'outbox')
  if (!existsSync(directory)) return undefined
  const lock = write ? lockDirectory(data) : undefined
  try {
    const path = join(directory, STATE_FILE)
    const saved = (await readOutboxState(files, path)) ?? undefined
    const save = async (state: OutboxState) => {
      if (write) await writeOutboxState(files, path, state)
    }
    const outbox = await open(directory, clock, files, saved, save)
    return stored(outbox, saved, () => lock?.release())
  } catch (error) {
    lock?.release()
    throw error
  }
}

async function open(
  directory: string,
  clock: Clock,
  files: Files,
  saved: OutboxState | undefined,
  save: (state: OutboxState) => Promise<void>,
): Promise<Outbox> {
  const log = (name: RecordClass) => openStored({ directory: join(directory, name), files })
  const [event, result, reading] = await Promise.all([log('event'), log('result'), log('reading')])
  const jumps = saved === undefined ? await findJumps({ event, result, reading }) : {}
  const stores = { event: storeOf(event), result: storeOf(result), reading: storeOf(reading) }
  const whenFull = { event: 'block', result: 'block', reading: 'block' } as const
  const options = { gateway: '', maxBytes: Number.POSITIVE_INFINITY, whenFull, journal: saved?.journal ?? '' }
  return openOutbox(options, { clock, stores, state: { saved, save }, jumps })
}

/** A store that takes nothing. */
function storeOf(log: StoredLog): Store {
  const { epoch, first, next, marked, unmarked, bytes } = log
  const reader = createRecordReader((from) => log.read(from))
  return {
    epoch,
    first,
    next,
    durable: next,
    marked,
    unmarked,
    bytes,
    append: () => false,
    mark: () => undefined,
    commit: () => Promise.resolve(),
    read: reader.read,
    oldest: () => null,
    trim: () => undefined,
    close: async () => reader.close(),
  }
}

function stored(outbox: Outbox, saved: OutboxState | undefined, release: () => void): StoredOutbox {
  const left = (sink: string) => {
    const places = CLASSES.flatMap((name) => saved?.lanes[name]?.readers[sink] ?? [])
    return places.length > 0 && places.every(({ until }) => until !== undefined)
  }
  return {
    status() {
      const { bytes, classes, sinks } = outbox.status()
      return {
        bytes,
        classes: classes.map(({ class: name, epoch, first, next, bytes: own }) => ({
          class: name,
          epoch,
          first,
          next,
          bytes: own,
        })),
        sinks: sinks.map((sink) => ({ ...sink, removed: left(sink.name) })),
      }
    },
    export: (sink, recordClass) => outbox.export(sink, recordClass),
    async skip(sink, recordClass, through) {
      let skipped: number | undefined
      for (const name of recordClass === undefined ? CLASSES : [recordClass]) {
        const count = await outbox.skip(sink, name, through)
        if (count !== undefined) skipped = (skipped ?? 0) + count
      }
      return skipped
    },
    forget: async (sink) => left(sink) && (await outbox.forget(sink)),
    async close() {
      await outbox.close()
      release()
    },
  }
}
