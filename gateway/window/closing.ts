import type { Reading } from '../reading.ts'
import type { WindowRecord } from '../record.ts'
import type { WindowBook } from './book.ts'
import type { WindowDefinition } from './definition.ts'
import type { ClosingTime, Slice } from './slices.ts'
import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'
import type { WindowSource } from './sources.ts'

/**
 * Decides when the windows of one definition close. All times in ms since the epoch; `now` is the gateway's steady
 * clock. `idleTo` is an entry: whoever had the last reading at or before it is idle.
 */
export interface Closing {
  readonly book: WindowBook
  /** Counts a reading; its times stand in the moment. */
  add(reading: Reading, entry: number, source: WindowSource): void
  /** A reading that was not counted has shown a time. */
  advance(device: string, time: number, stamped: boolean, now: number): void
  /** How many keys or devices a tick would close, at least about. Changes nothing that results depend on. */
  due(now: number, idleTo: number): number
  /** What the tick must say beside that, when there are very many keys. */
  closingTime?(now: number, idleTo: number): ClosingTime | undefined
  /** @param slice only the keys in it @param time what `closingTime` said */
  tick(now: number, idleTo: number | undefined, slice: Slice | undefined, time: ClosingTime | undefined): void
  /** Sends the corrections that wait. @param slice only those of the keys in it */
  correct(slice: Slice | undefined): void
  /** Emits everything that is open: the definition is given up. */
  flush(): void
  /** The latest result of the key that the reading belongs to. */
  latest(reading: Reading): WindowRecord | undefined
  /** How far the closing clock is behind `now`, ms; the furthest device's when each has its own. Undefined when nothing is open. */
  lag(now: number): number | undefined
  bytes(): number
  /** Another definition with the same signature. @param slot place in `Device.slots` that is its */
  redefine(definition: WindowDefinition, slot: number): void
  save(writer: SnapshotWriter): void
  load(reader: SnapshotReader): void
}
