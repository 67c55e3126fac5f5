/**
 * The trail of changes: who changed what, and when. A small durable log (`data/changes`) of JSON records, and a line in
 * the gateway's log for each. Commands are not in it: they have records of their own, with `by`.
 */
import type { Clock } from './clock.ts'
import type { Change } from './http/schemas.ts'
import { appendJson, jsonOf } from './log/json.ts'
import { type Log as DurableLog, type LogPlace, openLog } from './log/log.ts'
import type { PluginLog } from './plugin.ts'

export interface Changes {
  /** Resolves when it is on disk; at once while the disk is in trouble. */
  add(change: Omit<Change, 'time'>): Promise<void>
  /** Newest first. */
  newest(limit: number): Promise<Change[]>
  close(): Promise<void>
}

const MAX_BYTES = 4 << 20
const SEGMENT = 256 << 10

export function openChanges(place: LogPlace): Promise<DurableLog> {
  return openLog({ ...place, segmentBytes: SEGMENT, compress: true, maxBuffer: 1 << 20 })
}

export function createChanges(log: DurableLog, clock: Clock, lines: PluginLog): Changes {
  return {
    async add(change) {
      const record: Change = { time: new Date(clock.now()).toISOString(), ...change }
      lines.info(change, `${change.who} ${change.what}`)
      appendJson(log, record)
      if (log.trouble !== null) return
      await log.flush()
      await log.retain({ maxBytes: MAX_BYTES })
    },
    async newest(limit) {
      const found: Change[] = []
      for await (const batch of log.read(Math.max(log.first, log.next - limit)))
        for (const change of jsonOf(batch)) found.push(change as Change)
      return found.reverse()
    },
    close: () => log.close(),
  }
}
