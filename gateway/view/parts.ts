import type { Configuring } from '../assembly/configuring.ts'
import type { Broker } from '../broker/broker.ts'
import type { Changes } from '../changes.ts'
import type { Clock } from '../clock.ts'
import type { CommandStage } from '../commands/stage.ts'
import type { DeadLetters } from '../decode/dead-letters.ts'
import type { Devices } from '../decode/devices.ts'
import type { Descriptions } from '../devices/descriptions.ts'
import type { Wear } from '../disk/wear.ts'
import type { History } from '../history/history.ts'
import type { PluginHost } from '../hosting/plugin-host.ts'
import type { Api, RunningConfig } from '../http/api.ts'
import type { Live } from '../http/live.ts'
import type { Sources } from '../ingest/sources.ts'
import type { Journal } from '../journal/journal.ts'
import type { LogLevel } from '../logging.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Pipeline } from '../pipeline.ts'
import type { RuleStage } from '../rules/stage.ts'
import type { Upstreams } from '../upstream/upstreams.ts'

export interface ViewParts {
  readonly gateway: string
  readonly version: string
  readonly config: string | undefined
  /** The config as it runs; asked each time, so that a reload shows. */
  readonly running: () => Omit<RunningConfig, 'file'>
  readonly data: string
  readonly clock: Clock
  readonly pipeline: Pipeline
  readonly journal: Journal
  readonly outbox: Outbox
  readonly history: History | undefined
  readonly upstreams: Upstreams
  readonly sources: Sources
  readonly host: PluginHost
  readonly devices: Devices
  readonly deadLetters: DeadLetters
  readonly live: Live
  readonly commands: CommandStage
  readonly rules: RuleStage
  readonly descriptions: Descriptions
  readonly changes: Changes
  readonly configuring: Configuring
  readonly logLevel: () => LogLevel
  readonly setLogLevel: (level: LogLevel) => void
  readonly acknowledge: Api['acknowledgeAlert']
  readonly broker: () => Broker | undefined
  readonly ports: () => Readonly<Record<string, number>>
  readonly notices: () => readonly string[]
  readonly ready: () => { ready: boolean; reason?: string }
  readonly trouble: () => string | undefined
  readonly wear: () => Wear
  /** Takes a message of the source `http`; resolves with why it is a dead letter. */
  readonly telemetry: Api['telemetry']
}

/** What the numbers of the stages are read from. */
export type NumbersParts = Pick<
  ViewParts,
  | 'pipeline'
  | 'journal'
  | 'outbox'
  | 'upstreams'
  | 'sources'
  | 'host'
  | 'broker'
  | 'clock'
  | 'rules'
  | 'commands'
  | 'wear'
  | 'devices'
  | 'history'
>
