/** Where one class keeps its records: in memory, or in a durable log. Positions count from 1; numbers need not run beside them. */

export interface Kept {
  readonly position: number
  /** As appended. */
  readonly bytes: Buffer
  /** About when it was appended, wall clock, ms since the epoch. */
  readonly time: number
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
  /** Highest mark that survives a crash. */
  readonly marked: number
  /** Lowest position that `marked` does not cover. */
  readonly unmarked: number
  readonly bytes: number
  /** False when the write buffer is full: commit, then try again. */
  append(bytes: Buffer): boolean
  /** Kept with the records appended so far. */
  mark(value: number): void
  /** Resolves when everything appended and marked survives a crash. */
  commit(): Promise<void>
  /** Durable records from `from` on, at most `count` of about `bytes` in all, at least one if there is any. Skips what is damaged. */
  read(from: number, count: number, bytes: number): Promise<readonly Kept[]>
  /** The oldest unit, if `from` is its first position; null when none can be deleted. */
  oldest(from: number): Unit | null
  /** Deletes whole units below `end`. */
  trim(end: number): void
  close(): Promise<void>
}
