/** Small durable settings (`settings.json`): what people and plugins set while the gateway runs. Not for data. */
import { join } from 'node:path'
import { type Adapter, Low } from 'lowdb'
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

const LIMIT = 64 << 20

/** A damaged file is put aside as `settings.json.corrupt`: the gateway starts without it and says so. */
export async function openSettings(files: Files, data: string, onDamage: (file: string) => void): Promise<Settings> {
  const path = join(data, 'settings.json')
  const db = new Low<Content>(createAdapter(files, path, onDamage), { plugins: {}, stages: {} })
  await db.read()
  // lowdb writes the whole content each time: calls made meanwhile share the next write.
  let writing: Promise<void> | undefined
  let next: Promise<void> | undefined
  const write = (): Promise<void> => {
    if (!writing) {
      writing = db.write().finally(() => {
        writing = undefined
      })
      return writing
    }
    next ??= writing
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return write()
      })
    return next
  }
  return {
    store: (instance) => createStore(db, instance, write),
    get: (stage) => db.data.stages[stage],
    set(stage, value) {
      db.data.stages[stage] = value
      return write()
    },
  }
}

function createAdapter(files: Files, path: string, onDamage: (file: string) => void): Adapter<Content> {
  return {
    async read() {
      const bytes = await readSmall(files, path, Math.min(LIMIT, await files.size(path).catch(() => 0)))
      if (bytes === null) return null
      try {
        const { plugins, stages } = JSON.parse(bytes.toString()) as Partial<Content>
        return { plugins: plugins ?? {}, stages: stages ?? {} }
      } catch {
        await files.rename(path, `${path}.corrupt`).catch(() => undefined)
        onDamage(path)
        return null
      }
    },
    write: (content) => replaceSmall(files, path, Buffer.from(JSON.stringify(content, null, 1))),
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
