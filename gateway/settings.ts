/**
 * Small durable settings (`settings.json`): what people and plugins set while the gateway runs. Not for data.
 *
 *   { "crc32": CRC-32 of the rest as JSON without spaces, 8 hexadecimal digits, "v": 1, "plugins": {…}, "stages": {…} }
 *
 * `crc32` and `v` mean the same in every format. The first builds wrote neither: such a file is believed as it is.
 */
import { join } from 'node:path'
import { type Adapter, Low } from 'lowdb'
import type { Clock } from './clock.ts'
import { newerData } from './errors.ts'
import { crc32 } from './log/crc32.ts'
import { type Files, readSmall, replaceSmall } from './log/files.ts'
import type { PluginStore } from './plugin.ts'

interface Content {
  /** By instance, by key. */
  plugins: Record<string, Record<string, unknown>>
  /** Of other stages, by name. */
  stages: Record<string, unknown>
}

export interface Settings {
  /** One plugin instance's own store. */
  store(instance: string): PluginStore
  get(stage: string): unknown
  /** Resolves when it is on disk. */
  set(stage: string, value: unknown): Promise<void>
}

export interface SettingsParts {
  readonly files: Files
  /** The data directory. */
  readonly data: string
  readonly clock: Clock
  readonly onDamage: (file: string) => void
  /** Sees each write and how it ends. */
  readonly watched: (writing: Promise<void>) => Promise<void>
}

const VERSION = 1
const LIMIT = 64 << 20
/** What could not be written is tried again after this, ms. */
const RETRY = 5000

/**
 * A damaged file is put aside as `settings.json.corrupt`: the gateway starts without it and says so.
 *
 * @throws StartError SLUICE_NEWER_DATA
 */
export async function openSettings(parts: SettingsParts): Promise<Settings> {
  const db = new Low<Content>(createAdapter(parts), { plugins: {}, stages: {} })
  await db.read()
  const write = createWriter(() => parts.watched(db.write()), parts.clock)
  return {
    store: (instance) => createStore(db, instance, write),
    get: (stage) => db.data.stages[stage],
    set(stage, value) {
      db.data.stages[stage] = value
      return write()
    },
  }
}

/** False when `settings.json` is there and not as it was written. @throws StartError SLUICE_NEWER_DATA */
export async function settingsIntact(files: Files, data: string): Promise<boolean> {
  const path = pathIn(data)
  const bytes = await read(files, path)
  return bytes === null || decode(bytes, path) !== null
}

/** lowdb writes the whole content each time: calls made meanwhile share the next write. */
function createWriter(write: () => Promise<void>, clock: Clock): () => Promise<void> {
  let writing: Promise<void> | undefined
  let next: Promise<void> | undefined
  let retrying = false
  const retry = () => {
    if (retrying) return
    retrying = true
    clock.after(RETRY, () => {
      retrying = false
      // Whoever wanted it was told; this is for the disk to come back to what is in memory.
      run().catch(() => undefined)
    })
  }
  const run = (): Promise<void> => {
    if (!writing) {
      writing = write().finally(() => {
        writing = undefined
      })
      writing.catch(retry)
      return writing
    }
    next ??= writing
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return run()
      })
    return next
  }
  return run
}

function pathIn(data: string): string {
  return join(data, 'settings.json')
}

async function read(files: Files, path: string): Promise<Buffer | null> {
  return readSmall(files, path, Math.min(LIMIT, await files.size(path).catch(() => 0)))
}

function encode(content: object): string {
  const crc = crc32(Buffer.from(JSON.stringify(content)), 0)
  return JSON.stringify({ crc32: crc.toString(16).padStart(8, '0'), ...content }, null, 1)
}

/** Null when these are not the bytes that were written. */
function decode(bytes: Buffer, path: string): Content | null {
  const content = intact(bytes.toString())
  if (content === null) return null
  const { v = VERSION, plugins, stages } = content
  if (v > VERSION) throw newerData(path, v, VERSION)
  return { plugins, stages }
}

function intact(text: string): (Content & { v?: number }) | null {
  try {
    const { crc32: _, ...content } = JSON.parse(text)
    const { plugins, stages } = content
    return text === encode(content) || text === JSON.stringify({ plugins, stages }, null, 1) ? content : null
  } catch {
    return null
  }
}

function createAdapter({ files, data, onDamage }: SettingsParts): Adapter<Content> {
  const path = pathIn(data)
  return {
    async read() {
      const bytes = await read(files, path)
      const content = bytes && decode(bytes, path)
      if (bytes === null || content !== null) return content
      await files.rename(path, `${path}.corrupt`).catch(() => undefined)
      onDamage(path)
      return null
    },
    async write(content) {
      await files.makeDirectory(data)
      await replaceSmall(files, path, Buffer.from(encode({ v: VERSION, ...content })))
    },
  }
}

function createStore(db: Low<Content>, instance: string, write: () => Promise<void>): PluginStore {
  const own = () => {
    db.data.plugins[instance] ??= {}
    return db.data.plugins[instance]
  }
  return {
    get: (key) => own()[key],
    set(key, value) {
      own()[key] = value
      return write()
    },
    delete(key) {
      delete own()[key]
      return write()
    },
    entries: () => Object.entries(own()),
  }
}
