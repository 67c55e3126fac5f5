/**
 * All that the HTTP server knows of the gateway. `gateway.ts` implements it; tests fake it.
 *
 * What does not exist is `undefined` and becomes a 404; `RequestError` carries its own status; `BusyError` becomes
 * 503 with Retry-After. Anything else is a defect: 500, logged.
 */
import type { LogLevel } from '../logging.ts'
import type { RecordClass } from '../record.ts'
import type { EventListener, Interest } from './live.ts'
import type { Numbers } from './metrics.ts'
import type {
  AlertChange,
  AlertStatus,
  Audit,
  Change,
  CommandQuery,
  CommandRequest,
  CommandStatus,
  ConfigCheck,
  ConfigFile,
  DeadLetterPage,
  DevicePage,
  DeviceQuery,
  DeviceStatus,
  HistoryAnswer,
  HistoryQuery,
  OutboxSink,
  OutboxStatus,
  Readiness,
  RunningConfig,
  SkipRequest,
  Status,
  WindowPage,
  WindowQuery,
} from './schemas.ts'

export type * from './schemas.ts'

export interface Api {
  readonly gateway: string
  readonly version: string
  /** Plain counters of every stage, in flow order. Read once a second and at each scrape: cheap. */
  numbers(): Numbers
  /** A trouble that makes the gateway unhealthy though queues move, such as a disk that refuses; else undefined. */
  trouble(): string | undefined
  ready(): Readiness
  /** Everything but the stages, which the server works out of `numbers`. */
  status(): Omit<Status, 'stages'>
  /** The config as it runs, secrets hidden. */
  config(): RunningConfig
  /** @throws RequestError 404 there is none */
  configFile(): Promise<ConfigFile>
  /** What a text in place of the config file would do. */
  checkConfig(yaml: string): Promise<ConfigCheck>
  /** @throws RequestError 400 it has mistakes, 409 it cannot be written, or was changed meanwhile */
  applyConfig(yaml: string, digest: string | undefined): Promise<ConfigCheck>
  logLevel(): LogLevel
  setLogLevel(level: LogLevel): void
  devices(query: DeviceQuery): DevicePage
  device(id: string): DeviceStatus | undefined
  /** Resolves when it is on disk. @throws RequestError the description is wrong, or the config has one */
  describeDevice(id: string, description: unknown): Promise<DeviceStatus>
  /** Resolves when it is on disk; false: there was none. @throws RequestError the config has one */
  forgetDescription(id: string): Promise<boolean>
  /** The `devices` section that says what is said of them. @param secrets whether addresses of webhooks are in it */
  devicesYaml(secrets: boolean): string
  /** @throws RequestError the question makes no sense, or no history is kept */
  history(query: HistoryQuery): Promise<HistoryAnswer>
  windows(query: WindowQuery): WindowPage
  commands(query: CommandQuery): readonly CommandStatus[]
  command(id: string): CommandStatus | undefined
  /**
   * Resolves when the command is durable, in whatever state.
   *
   * @param by who asked, e.g. `api`
   * @throws RequestError the request makes no sense
   */
  sendCommand(request: CommandRequest, by: string): Promise<{ repeated: boolean; command: CommandStatus }>
  /** Resolves when the cancellation is durable; a command that is done stays as it is. Undefined: there is none. */
  cancelCommand(id: string, by: string): Promise<CommandStatus | undefined>
  /** Alerts that are raised, oldest first. */
  alerts(): readonly AlertStatus[]
  /** What alerts did last, newest first; a bounded number. */
  alertHistory(): readonly AlertChange[]
  /** Resolves when it is durable that somebody has seen the alert; false: there is none of that id. */
  acknowledgeAlert(id: string, seen: { readonly by: string; readonly note?: string }): Promise<boolean>
  outbox(): OutboxStatus
  /** Tries now instead of at the end of the pause. */
  retrySink(sink: string): Promise<OutboxSink | undefined>
  /** Gives up waiting records; they are recorded as a gap. Resolves with how many. */
  skipSink(sink: string, request: SkipRequest): Promise<number | undefined>
  /** Drops what is kept for an upstream that is no longer in the config; recorded as a gap. False: there is none. */
  forgetSink(sink: string): Promise<boolean>
  /** The JSON text of each record that waits for the sink, oldest first, events before results before readings. */
  exportSink(sink: string, recordClass: RecordClass | undefined): AsyncIterable<Buffer> | undefined
  /** Who changed what, newest first. */
  changes(limit: number): Promise<Change[]>
  /** Puts a change on record; resolves when it is on disk. */
  recordChange(change: Omit<Change, 'time'>): Promise<void>
  audit(): Promise<Audit>
  deadLetters(limit: number): DeadLetterPage
  /**
   * Takes one message of the source `http`. Resolves when it is durable; `dead` says why it could not be decoded.
   *
   * @throws BusyError no room now
   */
  telemetry(topic: string, body: Buffer, contentType: string | undefined): Promise<{ readonly dead?: string }>
  /** Watches the flow until the returned function is called. See `live.ts`. */
  subscribe(interest: Interest, listener: EventListener): () => void
}
