/** Whom the pipeline tells what happens: who keeps records, who watches and answers, and who only looks. */
import type { Reading } from './reading.ts'
import type { Outgoing, RecordClass, WindowRecord } from './record.ts'
import type { WindowDefinition } from './window/definition.ts'

/** Where records go. The outbox; nowhere, in an audit. */
export interface RecordOutput {
  append(recordClass: RecordClass, entry: number, record: Outgoing): void
  /** False when nobody takes records of a class: they need not be made. */
  wants(recordClass: RecordClass): boolean
}

/** Takes records of the entry that is being processed. */
export interface RecordAppender {
  append(recordClass: RecordClass, record: Outgoing): void
}

/** What watches the flow and may answer with records of its own: the rules and the command ledger. */
export interface Watcher {
  /** Called once, before anything else: where its records go. */
  attach?(records: RecordAppender): void
  reading?(reading: Reading, entry: number, live: boolean): void
  result?(record: WindowRecord, definition: WindowDefinition, entry: number, live: boolean): void
  tick?(now: number, entry: number, live: boolean): void
  /** A message had this mark of its sender. */
  marked?(mark: Buffer): void
  /** A fact of `stage`, as it was journaled. */
  fact?(stage: string, fact: unknown, entry: number, live: boolean): void
}

/** What people look at; never decides anything. */
export interface Onlooker {
  reading(reading: Reading): void
  result(record: WindowRecord, definition: WindowDefinition): void
  record(recordClass: RecordClass, record: Outgoing): void
  deadLetter(source: string, reason: string): void
}
