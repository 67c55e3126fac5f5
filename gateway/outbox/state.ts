/** What the outbox remembers beside its records: how far each sink is, what was lost, how numbers run. */

import type { RecordClass } from '../record.ts'
import type { Gap } from './gaps.ts'
import type { Jump } from './numbering.ts'

export interface ReaderState {
  /** First number the sink has not acknowledged. */
  readonly next: number
  /** Set when the sink left the config: it is owed nothing from this number on. */
  readonly until?: number
  /** What was given up for this sink alone. */
  readonly gaps?: readonly Gap[]
}

export interface LaneState {
  /** Of the store these numbers belong to. */
  readonly epoch: string
  readonly jumps: readonly Jump[]
  readonly gaps: readonly Gap[]
  readonly readers: Readonly<Record<string, ReaderState>>
}

export interface OutboxState {
  readonly v: 1
  /** Of the journal whose entries the marks name, and what is added to them: a new journal counts from its beginning. */
  readonly journal: string
  readonly base: number
  readonly lanes: Readonly<Partial<Record<RecordClass, LaneState>>>
}

/** Keeps the outbox's state. `save` is not called again before it has settled. */
export interface StateKeeper {
  readonly saved: OutboxState | undefined
  save(state: OutboxState): Promise<void>
}
