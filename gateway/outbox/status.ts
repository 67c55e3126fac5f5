/** What the outbox shows of itself. */
import type { RecordClass } from '../record.ts'
import type { PerClass, WhenFull } from './budget.ts'

export interface BacklogStatus {
  readonly class: RecordClass
  readonly records: number
  readonly bytes: number
  /** Wall clock, ms since the epoch, when the oldest that waits was recorded; absent when none waits. */
  readonly oldest?: number
  /** Highest number acknowledged, 0 when none. */
  readonly acked: number
  /** Records acknowledged per second. */
  readonly rate: number
  /** Estimate, seconds; absent when it does not drain. */
  readonly drainSeconds?: number
}

export interface SinkStatus {
  readonly name: string
  /** No longer in the config; what waits for it is kept until `forget`. */
  readonly removed: boolean
  readonly backlog: readonly BacklogStatus[]
}

export interface ClassStatus {
  readonly class: RecordClass
  readonly epoch: string
  /** Lowest number kept. */
  readonly first: number
  readonly next: number
  readonly bytes: number
  /** Since the process started. */
  readonly appended: number
  /** Numbers lost since the process started, by reason. */
  readonly lost: Readonly<Record<string, number>>
  readonly full: boolean
}

export interface OutboxStatus {
  readonly bytes: number
  readonly maxBytes: number
  readonly whenFull: PerClass<WhenFull>
  readonly classes: readonly ClassStatus[]
  readonly sinks: readonly SinkStatus[]
}
