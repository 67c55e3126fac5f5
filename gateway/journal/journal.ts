/**
 * The journal: the durable log of everything that influences a result (see `entry.ts`), on one `Log`.
 *
 * What a sender is told depends on its source's durability. `fsync`: acknowledged when its entry is on disk.
 * `interval`: when it is written, fsync follows within a second. Both share one log: a commit that holds an entry of an
 * `fsync` source is synced at once, any other within a second.
 */
import type { Log } from '../log/log.ts'
import { type Control, encodeControl } from './entry.ts'

export type Durability = 'fsync' | 'interval' | 'none'

export interface Journal {
  /** Number of the last entry appended. */
  readonly last: number
  /** Highest entry that is on disk. */
  readonly durable: number
  /** Highest entry that was handed to the kernel. */
  readonly written: number
  /** Where a reserved entry is written. */
  readonly buffer: Buffer
  /** Half of the buffer is free again. */
  readonly roomy: boolean
  /** Room for one entry in `buffer`: its offset, or -1 when there is none. Its number is `last` afterwards. */
  reserve(length: number, durability: Durability): number
  /** A control entry's number, or -1 when there is no room. */
  append(bytes: Buffer): number
  /** Somebody waits: commit as soon as the disk is idle. */
  hurry(): void
  flush(): Promise<void>
  onDurable(listener: (durable: number) => void): void
  onWritten(listener: (written: number) => void): void
  onRoom(listener: () => void): void
}
