/** The upstreams of the config: one runner each, exchanged live when the config changes. */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/schema.ts'
import { StartError } from '../errors.ts'
import type { PluginHost } from '../hosting/plugin-host.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { CommandListener, PluginLog } from '../plugin.ts'
import { createUpstream, type Upstream, type UpstreamStatus } from './runner.ts'

export interface UpstreamsParts {
  readonly outbox: Outbox
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: PluginLog
  /** Longest pause between two attempts, ms. */
  readonly maxPause?: number
  readonly onState: (status: UpstreamStatus) => void
  /** A command that an upstream sent. */
  readonly onCommand?: (upstream: string, ...command: Parameters<CommandListener>) => Promise<void>
}

export interface RunningUpstream {
  readonly name: string
  readonly config: UpstreamConfig
  readonly runner: Upstream
}

export interface Upstreams {
  /** Makes the cursors, so that records are kept for every upstream; sends nothing yet. */
  prepare(configs: Readonly<Record<string, UpstreamConfig>>): void
  start(): void
  /** Stops what left or changed, starts what is new; cursors stay. */
  reload(configs: Readonly<Record<string, UpstreamConfig>>): Promise<void>
  list(): readonly RunningUpstream[]
  stop(): Promise<void>
}

export function createUpstreams(parts: UpstreamsParts): Upstreams {
  const running = new Map<string, RunningUpstream>()
  const open = (name: string, config: UpstreamConfig): RunningUpstream => {
    const { sink } = parts.host.create(name, config.plugin, config.options)
    if (!sink) throw new StartError('SLUICE_PLUGIN_ROLE', `plugin ${config.plugin} of upstream ${name} is no sink`)
    const { onCommand } = parts
    if (onCommand) sink.onCommand?.((...command) => onCommand(name, ...command))
    const cursor = parts.outbox.sink(name, config.classes)
    const { clock, log, onState, maxPause } = parts
    const options = {
      name,
      batch: config.batch,
      ...(config.rate === undefined ? {} : { rate: config.rate }),
      ...(maxPause === undefined ? {} : { maxPause }),
    }
    const upstream = { name, config, runner: createUpstream(options, { sink, cursor, clock, log, onState }) }
    running.set(name, upstream)
    return upstream
  }
  return {
    prepare(configs) {
      for (const [name, config] of Object.entries(configs)) open(name, config)
    },
    start() {
      for (const { runner } of running.values()) runner.start()
    },
    async reload(configs) {
      for (const { name, config, runner } of [...running.values()]) {
        if (isDeepStrictEqual(configs[name], config)) continue
        await runner.stop()
        running.delete(name)
        if (configs[name] === undefined) parts.outbox.detach(name)
      }
      for (const [name, config] of Object.entries(configs)) if (!running.has(name)) open(name, config).runner.start()
    },
    list: () => [...running.values()],
    stop: async () => {
      await Promise.all([...running.values()].map(({ runner }) => runner.stop()))
    },
  }
}
