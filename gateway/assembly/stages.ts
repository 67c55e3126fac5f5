/** The stages that data walks through after the intake, built in the order of the flow and brought back from the disk. */

import { STAGE as RECEIPTS, Receipts } from '../broker/receipts.ts'
import { type Changes, createChanges } from '../changes.ts'
import type { Clock } from '../clock.ts'
import { type Commands, openCommands } from '../commands/open.ts'
import { STAGE as COMMANDS } from '../commands/stage.ts'
import { createDeadLetters, type DeadLetters } from '../decode/dead-letters.ts'
import { createDevices, type Devices } from '../decode/devices.ts'
import type { LookupFile } from '../decode/lookup.ts'
import { openLookups } from '../decode/lookups.ts'
import { createDescriptions, type Descriptions } from '../devices/descriptions.ts'
import { flowOf } from '../flow.ts'
import { createPluginHost, type PluginHost } from '../hosting/plugin-host.ts'
import { createLive, type Live } from '../http/live.ts'
import { type Recovered, recover } from '../journal/recovery.ts'
import type { Log } from '../logging.ts'
import { createShapes } from '../reading.ts'
import { STAGE as RULES } from '../rules/facts.ts'
import { RuleStage } from '../rules/stage.ts'
import { createUpstreams, type Upstreams } from '../upstream/upstreams.ts'
import type { RecordOutput } from '../watcher.ts'
import { createOnlooker } from './onlooker.ts'
import type { Running } from './running.ts'
import type { Storage } from './storage.ts'

export interface StageParts {
  readonly storage: Storage
  readonly running: Running
  readonly clock: Clock
  readonly log: Log
}

export interface Stages {
  /** The files of the config; what messages are decoded with is journaled of them. */
  readonly lookups: Record<string, LookupFile>
  readonly devices: Devices
  readonly descriptions: Descriptions
  readonly changes: Changes
  readonly deadLetters: DeadLetters
  readonly rules: RuleStage
  readonly commands: Commands
  /** QoS 2 telemetry that its senders may send again. */
  readonly receipts: Receipts
  readonly host: PluginHost
  readonly upstreams: Upstreams
  /** What people see while it happens. */
  readonly live: Live
  /** What the stages keep in a checkpoint. */
  state(): Record<string, unknown>
  restore(states: Readonly<Record<string, unknown>>): void
}

/** @throws StartError a look-up table, a plugin or its options cannot be used */
export async function buildStages({ storage, running, clock, log }: StageParts): Promise<Stages> {
  const { config } = running.first
  const live = createLive(clock)
  const devices = createDevices()
  const host = createPluginHost({
    gateway: config.gateway.id,
    plugins: () => running.loaded.plugins,
    clock,
    log,
    stores: storage.pluginStores,
    resolve: (path) => running.loaded.resolve(path),
  })
  const descriptions = createDescriptions({
    settings: storage.settings,
    config: () => running.loaded.config.devices,
    written: () => (running.loaded.effective as { devices?: Record<string, unknown> }).devices ?? {},
  })
  const commands = openCommands({
    clock,
    log: log.child({ stage: COMMANDS }),
    config: () => running.loaded.config,
    described: descriptions.get,
    devices,
  })
  const receipts = new Receipts()
  const rules = new RuleStage({
    devices,
    order: (by, order) => commands.stage.order(by, order),
    publish: (topic, payload, retain) => void running.broker?.publish(topic, payload, { qos: 1, retain }),
  })
  const upstreams = createUpstreams({
    outbox: storage.outbox,
    host,
    clock,
    log: log.child({ stage: 'upstream' }),
    maxPause: config.outbox.retry.max,
    onState: ({ name, state, lastError }) =>
      live.upstream({ name, state, ...(lastError ? { error: lastError.message } : {}) }),
    onCommand: (upstream, ...command) => commands.fromUpstream(upstream, ...command),
  })
  // Their cursors come before the recovery: what it appends is kept for all of them.
  upstreams.prepare(config.upstreams)
  return {
    lookups: await openLookups(running.first, clock, log),
    devices,
    descriptions,
    changes: createChanges(storage.changes, clock, log.child({ stage: 'http' })),
    deadLetters: createDeadLetters(),
    rules,
    commands,
    receipts,
    host,
    upstreams,
    live,
    state: () => ({
      [RULES]: rules.snapshot(),
      [COMMANDS]: commands.stage.snapshot(),
      [RECEIPTS]: receipts.snapshot(),
    }),
    restore(states) {
      receipts.restore(states[RECEIPTS])
      rules.restore(states[RULES])
      commands.stage.restore(states[COMMANDS])
    },
  }
}

/** The newest checkpoint and the journal after it, processed as they were when they came. */
export async function recoverFlow(parts: StageParts, stages: Stages, output: RecordOutput): Promise<Recovered> {
  const { storage, running, clock, log } = parts
  const { live, devices, deadLetters, rules, commands, receipts } = stages
  const watchers = [rules, commands.stage, receipts]
  const recovered = await recover({
    journal: storage.journal,
    checkpoint: storage.checkpoint,
    flow: flowOf(running.first.config),
    parts: {
      devices,
      shapes: createShapes(),
      deadLetters,
      output,
      monotonic: () => clock.monotonic(),
      watchers: storage.history ? [storage.history, ...watchers] : watchers,
      onlooker: createOnlooker(
        live,
        running.first.config.gateway.id,
        () => running.loaded,
        () => running.broker,
      ),
      typeChanged: (info) => log.warn({ stage: 'decode', ...info }, `field ${info.field} changed its type`),
      displaced: (window, reason, results) =>
        log.info({ stage: 'window', window, results }, `window ${window} ${reason}: what was open was emitted early`),
    },
    restoreStages: stages.restore,
  })
  const { entries, skipped, differences } = recovered
  if (entries > 0) log.info({ stage: 'journal', entries, skipped, differences }, `replayed ${entries} journal entries`)
  recovered.pipeline.live = true
  storage.history?.start(storage.journal.log)
  return recovered
}
