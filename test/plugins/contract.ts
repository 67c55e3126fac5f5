/** What every plugin keeps to. Each plugin's test calls this with a peer that can be started and stopped. */
import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { describe, it, type TestContext } from 'node:test'
import { z } from 'zod'
import { systemClock } from '../../gateway/clock.ts'
import { NotConnectedError } from '../../gateway/errors.ts'
import type {
  Batch,
  Emit,
  Message,
  Plugin,
  PluginContext,
  PluginStore,
  RecordClass,
  Roles,
} from '../../gateway/plugin.ts'
import { createBatch } from '../../gateway/upstream/batch.ts'

/** The other side, with which the plugin talks. */
export interface Peer {
  start(): Promise<void>
  /** Ends it so that connections break. */
  stop(): Promise<void>
}

export interface PluginCase {
  readonly plugin: Plugin
  /** Why it cannot be run here; false when it can. */
  readonly skip?: string | false
  /** A peer that is not yet started, and options with which the plugin reaches it. */
  prepare(t: TestContext): Promise<{ readonly peer: Peer; readonly options: unknown }>
}

/** @param keep what becomes of a value: by default what a restart of the gateway makes of it */
export function memoryStore(keep = (value: unknown): unknown => JSON.parse(JSON.stringify(value))): PluginStore {
  const values = new Map<string, unknown>()
  return {
    get: (key) => values.get(key),
    async set(key, value) {
      values.set(key, keep(value))
    },
    async delete(key) {
      values.delete(key)
    },
    entries: () => values,
  }
}

export function pluginContext(more: Partial<PluginContext> = {}): PluginContext {
  const quiet = () => {}
  return {
    name: 'peer',
    gateway: 'site-7',
    clock: systemClock,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    metrics: { count: quiet, gauge: quiet },
    store: memoryStore(),
    path: (relative) => relative,
    ...more,
  }
}

/** A batch of window results numbered from `first`. */
export function batchOf(first: number, count: number, recordClass: RecordClass = 'result'): Batch {
  const records = Array.from({ length: count }, (_, i) =>
    Buffer.from(`{"seq":${first + i},"kind":"window","window":"w","key":{"device":"d${first + i}"}}`),
  )
  return createBatch('site-7', recordClass, 'e1', first, first + count - 1, records)
}

/** Takes every message; `settle` decides when it is durable. */
export function collectingEmit(settle: (message: Message, settled: (error: Error | null) => void) => void): Emit {
  const offer: Emit['offer'] = (message, settled) => {
    settle(message, settled ?? (() => undefined))
    return true
  }
  const emit = (message: Message) =>
    new Promise<void>((resolve, reject) => {
      offer(message, (error) => (error ? reject(error) : resolve()))
    })
  return Object.assign(emit, { offer, room: async () => {} })
}

export function create(plugin: Plugin, options: unknown, context = pluginContext()): Roles {
  return plugin.create(plugin.config.parse(options), context)
}

/** Fails when `promise` takes longer than `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

export function pluginContract({ plugin, skip = false, prepare }: PluginCase): void {
  describe(`plugin contract, ${plugin.name}`, { skip }, () => {
    it('describes itself and every field of its config', () => {
      assert.match(plugin.name, /^[a-z][a-z0-9-]*$/)
      assert.ok(plugin.summary.endsWith('.'))
      assert.ok(plugin.roles.length > 0)
      assert.deepEqual(
        undescribed(z.toJSONSchema(plugin.config, { io: 'input', unrepresentable: 'any' }) as JsonSchema),
        [],
      )
    })

    it('creates without opening anything', async (t) => {
      const { options } = await prepare(t)
      const parsed = plugin.config.parse(options)
      const opened = resourcesOpenedBy(() => plugin.create(parsed, pluginContext()))
      assert.deepEqual(opened, [])
    })

    it('says not connected while its peer is down, and works when it comes back', async (t) => {
      const { peer, options } = await prepare(t)
      const roles = create(plugin, options)
      for (const attempt of attemptsOf(roles)) {
        await within(5000, 'failing', assert.rejects(attempt(new AbortController().signal), NotConnectedError))
      }
      await peer.start()
      await worksWith(roles)
      await peer.stop()
      for (const attempt of attemptsOf(roles)) {
        await within(5000, 'failing', assert.rejects(attempt(new AbortController().signal), NotConnectedError))
      }
      await peer.start()
      await worksWith(roles)
      await peer.stop()
    })

    it('ends its source within a second of being told to', async (t) => {
      const { peer, options } = await prepare(t)
      const { source } = create(plugin, options)
      if (!source) return
      await peer.start()
      await stopsInTime(source.run.bind(source))
      await peer.stop()
    })

    it('can be closed twice', async (t) => {
      const { peer, options } = await prepare(t)
      const { sink } = create(plugin, options)
      if (!sink) return
      await sink.close()
      await peer.start()
      await sink.connect(new AbortController().signal)
      await sink.close()
      await within(1000, 'closing twice', sink.close())
      await peer.stop()
    })
  })
}

function attemptsOf({ sink, source }: Roles): ((signal: AbortSignal) => Promise<void>)[] {
  const attempts: ((signal: AbortSignal) => Promise<void>)[] = []
  if (sink)
    attempts.push(async (signal) => {
      await sink.connect(signal)
      await sink.write(batchOf(1, 2), signal)
    })
  if (source)
    attempts.push((signal) =>
      source.run(
        collectingEmit((_, settled) => settled(null)),
        signal,
      ),
    )
  return attempts
}

async function worksWith({ sink, source }: Roles): Promise<void> {
  if (sink) {
    const { signal } = new AbortController()
    await within(5000, 'connecting', sink.connect(signal))
    await within(5000, 'writing', sink.write(batchOf(1, 3), signal))
    await sink.close()
  }
  if (source) await stopsInTime(source.run.bind(source))
}

/** Runs for a moment without failing, then ends within a second. */
async function stopsInTime(run: (emit: Emit, signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const running = run(
    collectingEmit((_, settled) => settled(null)),
    stop.signal,
  )
  await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 150))])
  stop.abort(new Error('stopping'))
  await within(1000, 'stopping', running)
}

/** Kinds of asynchronous resources opened by a call. */
function resourcesOpenedBy(call: () => void): string[] {
  const opened: string[] = []
  const hook = createHook({
    init(_, type) {
      if (type !== 'PROMISE' && type !== 'TickObject' && type !== 'Microtask') opened.push(type)
    },
  }).enable()
  try {
    call()
  } finally {
    hook.disable()
  }
  return opened
}

interface JsonSchema {
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly additionalProperties?: JsonSchema | boolean
}

/** Paths of config fields without a description. */
function undescribed(schema: JsonSchema, path = ''): string[] {
  const missing: string[] = []
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`
    if (!field.description) missing.push(at)
    missing.push(...undescribed(field, at))
  }
  for (const inner of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) missing.push(...undescribed(inner, path))
  if (schema.items) missing.push(...undescribed(schema.items, `${path}[]`))
  if (typeof schema.additionalProperties === 'object')
    missing.push(...undescribed(schema.additionalProperties, `${path}.*`))
  return missing
}
