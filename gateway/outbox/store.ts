/** Where one class keeps its records: in memory, or in a durable log. Positions are contiguous; numbers need not be. */

export interface Kept {
  readonly position: number
  /** As appended. */
  readonly bytes: Buffer
}

/** What can be deleted from the front at once: one record in memory, one segment on disk. */
export interface Unit {
  /** First position after it. */
  readonly end: number
  readonly bytes: number
}

export interface Store {
  /** Changes only when the store was created anew. */
  readonly epoch: string
  /** Position of the oldest record kept; equals `next` when there is none. */
  readonly first: number
  /** Position of the next record. */
  readonly next: number
  /** Everything below this position survives a crash. */
  readonly durable: number
  /** Highest entry marked by a commit that survives a crash. */
  readonly marked: number
  /** Highest entry of any record kept, or marked. */
  readonly lastEntry: number
  /** First position that a commit without its mark left behind; equals `next` when there is none. */
  readonly unmarked: number
  readonly bytes: number
  /** False when the write buffer is full: commit, then try again. */
  append(bytes: Buffer): boolean
  /** Resolves when everything appended, and the mark, survives a crash. */
  commit(mark: number): Promise<void>
  /** Durable records from `from` on, at most `count` of about `bytes` in all, at least one if there is any. Skips what is damaged. */
  read(from: number, count: number, bytes: number): Promise<readonly Kept[]>
  /** The oldest unit at or after `from`, or null when none can be deleted. */
  oldest(from: number): Unit | null
  /** Deletes whole units below `end`. */
  trim(end: number): void
  close(): Promise<void>
}

/**
 * What precedes a record's JSON text in a store: the entry that caused it and when it was recorded.
 *
 *   0            6            12
 *   | entry u48 | time u48 ms | {"seq":…
 */
export const PREFIX = 12

/** @param time wall clock, ms since the epoch */
export function withPrefix(entry: number, time: number, json: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX + json.length)
  bytes.writeUIntBE(entry, 0, 6)
  bytes.writeUIntBE(Math.max(0, Math.floor(time)), 6, 6)
  json.copy(bytes, PREFIX)
  return bytes
}

export function entryOf(bytes: Buffer): number {
  return bytes.readUIntBE(0, 6)
}

export function timeOf(bytes: Buffer): number {
  return bytes.readUIntBE(6, 6)
}

export function jsonOf(bytes: Buffer): Buffer {
  return bytes.subarray(PREFIX)
}
