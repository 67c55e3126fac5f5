/**
 * What plugin instances keep: registrations by the thousands, tokens. One durable log (`data/plugins`) of changes, each
 * a record of JSON, and the outcome of them in memory:
 *
 *     ["instance", "key", value]          ["instance", "key"] when it was deleted
 *
 * When more of the log is history than state, the state is appended once more, and what is before it is let go. So a
 * change costs its own bytes, however much is kept.
 */
import { BusyError } from '../errors.ts'
import { appendJson, jsonOf } from '../log/json.ts'
import { type Batch, type Log, type LogPlace, openLog } from '../log/log.ts'
import type { PluginStore } from '../plugin.ts'

export interface PluginStores {
  of(instance: string): PluginStore
  close(): Promise<void>
}

const SEGMENT = 1 << 20
const BUFFER = 8 << 20
/** Records of history that are never worth a rewrite. */
const SLACK = 5000

type Entries = Map<string, unknown>

/** @param before where the first builds kept it: what is there is taken over */
export async function openPluginStores(
  place: LogPlace,
  before: (instance: string) => PluginStore,
): Promise<PluginStores> {
  const failing = createFailing()
  const log = await openLog({
    ...place,
    segmentBytes: SEGMENT,
    maxBuffer: BUFFER,
    compress: true,
    onTrouble(trouble) {
      place.onTrouble(trouble)
      if (trouble)
        failing.fail(new BusyError('SLUICE_DISK', `what a plugin keeps cannot be written: ${trouble.message}`))
    },
  })
  const instances = await read(log)
  /** Changes since the state was written whole, that state included, and how many of them still hold. */
  let records = log.next - log.first
  let live = 0
  for (const entries of instances.values()) live += entries.size

  async function write(record: readonly unknown[]): Promise<void> {
    if (log.trouble) throw new BusyError('SLUICE_DISK', `what a plugin keeps cannot be written: ${log.trouble.message}`)
    if (appendJson(log, record) < 0) throw new BusyError('SLUICE_DISK', 'more is to be kept than the disk takes')
    compact()
    await failing.unless(log.flush())
  }

  function compact(): void {
    if (++records < 2 * live + SLACK) return
    const from = log.next
    // No room: the history stays, and the next change tries again.
    for (const [instance, entries] of instances)
      for (const [key, value] of entries) if (appendJson(log, [instance, key, value]) < 0) return
    records = live
    // What cannot be deleted now is deleted with what comes after it.
    log
      .flush()
      .then(() => log.trimTo(from))
      .catch(() => undefined)
  }

  function entriesOf(instance: string): Entries {
    const known = instances.get(instance)
    if (known) return known
    const entries: Entries = new Map(before(instance).entries())
    live += entries.size
    instances.set(instance, entries)
    for (const [key, value] of entries) appendJson(log, [instance, key, value])
    return entries
  }

  return {
    of(instance) {
      const entries = entriesOf(instance)
      return {
        get: (key) => entries.get(key),
        async set(key, value) {
          if (!entries.has(key)) live++
          entries.set(key, value)
          await write([instance, key, value])
        },
        async delete(key) {
          if (!entries.delete(key)) return
          live--
          await write([instance, key])
        },
        entries: () => entries,
      }
    },
    close: () => log.close(),
  }
}

async function read(log: Log): Promise<Map<string, Entries>> {
  const instances = new Map<string, Entries>()
  const take = (record: [string, string] | [string, string, unknown]) => {
    const [instance, key] = record
    const entries = instances.get(instance) ?? new Map()
    instances.set(instance, entries)
    if (record.length === 3) entries.set(key, record[2])
    else entries.delete(key)
  }
  const visit = (batch: Batch) => {
    for (const record of jsonOf(batch)) take(record as Parameters<typeof take>[0])
  }
  for await (const batch of log.read(log.first)) visit(batch)
  for (const batch of log.undecided(log.first)) visit(batch)
  return instances
}

/** Promises that end when something fails, though what they wait for goes on. */
function createFailing() {
  const waiting = new Set<(error: Error) => void>()
  return {
    fail(error: Error) {
      for (const reject of waiting) reject(error)
      waiting.clear()
    },
    unless(work: Promise<void>): Promise<void> {
      return new Promise((resolve, reject) => {
        waiting.add(reject)
        work.then(resolve, reject).finally(() => waiting.delete(reject))
      })
    },
  }
}
