/** What the broker lives on. */
import type { Clock } from '../clock.ts'
import type { PluginLog } from '../plugin.ts'
import type { SessionLog } from './kept/session-log.ts'

export interface BrokerContext {
  readonly clock: Clock
  readonly log: PluginLog
  /** Where sessions are kept beyond the process; undefined: nowhere. */
  readonly sessions?: SessionLog | undefined
}
