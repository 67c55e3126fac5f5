/** What of a gateway changes while it runs; made anew at each start, written by the start, the reload and the stop. */
import type { Broker } from '../broker/broker.ts'
import type { Loaded } from '../config/load.ts'
import type { Credential } from '../http/access.ts'
import type { LogLevel } from '../logging.ts'
import { UNSYNCED_NOTICE } from '../time-sync.ts'

export interface Running {
  /** The config in force. */
  loaded: Loaded
  /** The config of the start: what cannot change live is still this. */
  readonly first: Loaded
  /** What changed since the start and waits for the next one, in words. */
  restarts: readonly string[]
  /** What people should know of how it runs, in words. */
  readonly notices: string[]
  ready: boolean
  /** As it was set last. */
  logLevel: LogLevel
  ports: Readonly<Record<string, number>>
  /** Who may ask over HTTP. */
  credentials: readonly Credential[]
  /** Once it listens. */
  broker: Broker | undefined
}

export function createRunning(loaded: Loaded): Running {
  return {
    loaded,
    first: loaded,
    restarts: [],
    notices: [],
    ready: false,
    logLevel: loaded.config.log.level,
    ports: {},
    credentials: [],
    broker: undefined,
  }
}

export function noticesOf({ notices, restarts }: Running, synced: boolean): string[] {
  return [...notices, ...restarts, ...(synced ? [] : [UNSYNCED_NOTICE])]
}
