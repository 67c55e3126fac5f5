/** What the commands need of the rest of the gateway; `main.ts` gives the real ones, tests their own. */
import type { Clock } from '../clock.ts'
import type { Audit } from '../http/schemas.ts'
import type { Log, LogLevel } from '../logging.ts'
import type { StoredOutbox } from '../outbox/stored.ts'
import type { Terminal } from './terminal.ts'

/** Where the configuration is, as the command line says. */
export interface ConfigChoice {
  readonly config?: string | undefined
  readonly data?: string | undefined
}

/** The part of a loaded configuration that commands look at. */
export interface LoadedConfig {
  /** Undefined for the built-in defaults. */
  readonly file?: string | undefined
  /** Data directory. */
  readonly data: string
  readonly logLevel: LogLevel
  /** Undefined: pretty when standard error is a terminal. */
  readonly logPretty?: boolean | undefined
  /** MQTT password file, when one is configured. */
  readonly passwordFile?: string | undefined
  /** What a person must read once: credentials that were made just now. */
  readonly notice?: readonly string[] | undefined
  /** Tries the tests of the rules; one text per test that failed. */
  testRules?(): readonly string[]
}

export interface RunningGateway<Loaded> {
  readonly ports: Readonly<Record<string, number>>
  /** Changes what can be changed live and logs what cannot. */
  reload(loaded: Loaded): Promise<void>
  stop(): Promise<void>
}

export interface DemoOptions {
  /** Milliseconds; until Ctrl-C when absent. */
  readonly forMs?: number | undefined
  /** Data directory; a temporary one when absent. */
  readonly data?: string | undefined
  readonly json: boolean
}

/** What any command may use. */
export interface CommonActions {
  readonly version: string
  readonly clock: Clock
  /**
   * `choice.config`, else /etc/sluice/sluice.yaml if it is there, else the defaults; then SLUICE__ variables and
   * `choice.data` over it.
   *
   * @throws ConfigError with every mistake
   */
  load(choice: ConfigChoice, env: NodeJS.ProcessEnv): Promise<LoadedConfig>
  /** `30s` in ms. @throws when it is no duration */
  parseDuration(text: string): number
  /** Resolves with the exit code. */
  runDemo(options: DemoOptions, terminal: Terminal): Promise<number>
  /** Reads the data directory and changes nothing. */
  auditData(options: { data: string }): Promise<AuditReport>
  /**
   * The outbox in the files of a gateway that does not run; undefined when there is none.
   *
   * @throws StartError SLUICE_DATA_LOCKED it is to be written, and a gateway runs
   */
  openOutbox(options: { data: string; write: boolean }): Promise<StoredOutbox | undefined>
  hashPassword(password: string): Promise<string>
}

/** `Loaded` is whatever the configuration layer makes and the gateway takes. */
export interface Actions<Loaded extends LoadedConfig> extends CommonActions {
  load(choice: ConfigChoice, env: NodeJS.ProcessEnv): Promise<Loaded>
  startGateway(parts: { loaded: Loaded; clock: Clock; log: Log }): Promise<RunningGateway<Loaded>>
}

/** The ledger, and what is damaged in the files. */
export interface AuditReport extends Audit {
  /** One line per damaged file or frame. */
  readonly damage: readonly string[]
}

/** What every command is given. */
export interface CommandContext<Given extends CommonActions = CommonActions> {
  readonly actions: Given
  readonly terminal: Terminal
  /** The exit code of a command that ended without an error. */
  setExitCode(code: number): void
}
