/** The sources of the config: one supervised runner each. */
import type { Clock } from '../clock.ts'
import type { SourceConfig } from '../config/schema.ts'
import type { PluginHost } from '../hosting/plugin-host.ts'
import type { Durability } from '../journal/journal.ts'
import type { Commander, Emit, PluginLog } from '../plugin.ts'
import { createSourceRunner, type SourceRunner } from './source-runner.ts'

export interface SourcesParts {
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: PluginLog
  readonly emit: (name: string, durability: Durability) => Emit
}

export interface RunningSource {
  readonly name: string
  readonly plugin: string
  readonly runner: SourceRunner | undefined
  readonly commander: Commander | undefined
  /** It may have ports. */
  readonly listens: boolean
}

export interface Sources {
  start(): void
  list(): readonly RunningSource[]
  /** Ports by source name; a source with several says which. */
  ports(): Readonly<Record<string, number>>
  /** Every source that listens has said where, or has failed. */
  portsKnown(): boolean
  stop(): Promise<void>
}

export function createSources(configs: Readonly<Record<string, SourceConfig>>, parts: SourcesParts): Sources {
  const { host, clock, log, emit } = parts
  const running = Object.entries(configs).map(([name, config]): RunningSource => {
    const { source, commander } = host.create(name, config.plugin, config.options)
    const runner = source && createSourceRunner({ name }, { source, emit: emit(name, config.durability), clock, log })
    return { name, plugin: config.plugin, runner, commander, listens: source?.ports !== undefined }
  })
  return {
    start() {
      for (const { runner } of running) runner?.start()
    },
    list: () => running,
    ports: () => Object.fromEntries(running.flatMap(({ name, runner }) => portsOf(name, runner))),
    portsKnown: () => running.every(({ listens, runner }) => !listens || isKnown(runner)),
    stop: async () => {
      await Promise.all(running.map(({ runner }) => runner?.stop()))
    },
  }
}

function isKnown(runner: SourceRunner | undefined): boolean {
  const status = runner?.status()
  return status === undefined || status.state === 'waiting' || Object.keys(status.ports).length > 0
}

function portsOf(name: string, runner: SourceRunner | undefined): [string, number][] {
  const ports = Object.entries(runner?.status().ports ?? {})
  return ports.map(([kind, port], i) => [i === 0 ? name : `${name}.${kind}`, port])
}

/** How long the ready line waits for sources that listen to say where, ms, and how often they are asked. */
const PORTS_WITHIN = 1000
const PORTS_EVERY = 10

/** Resolves when every source that listens does; one that cannot keeps nobody waiting for long. */
export async function portsKnown(sources: Sources, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + PORTS_WITHIN
  while (!sources.portsKnown() && clock.monotonic() < deadline) await clock.sleep(PORTS_EVERY)
}
