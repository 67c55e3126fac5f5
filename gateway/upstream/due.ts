/**
 * Which batch goes next. Before each batch the classes are asked in order, so that a new event overtakes the readings
 * that remain. Events go at once; of the others a batch is due when it is full or its oldest record is old enough.
 */
import type { SinkCursor, Taken } from '../outbox/outbox.ts'
import type { RecordClass } from '../plugin.ts'

export interface BatchLimits {
  /** Records. */
  readonly count: number
  readonly bytes: number
  /** How long a record may wait for others, ms. */
  readonly age: number
}

/**
 * The batch that is due, or how long until one is, ms; infinite while there is nothing to send.
 * @param count at most so many records, `limits.count` or fewer
 */
export async function nextDue(cursor: SinkCursor, limits: BatchLimits, count: number): Promise<Taken | number> {
  let soonest = Number.POSITIVE_INFINITY
  for (const recordClass of cursor.classes) {
    if (cursor.depth(recordClass) === 0) continue
    const wait = dueIn(cursor, recordClass, limits, count)
    if (wait > 0) {
      soonest = Math.min(soonest, wait)
      continue
    }
    const taken = await cursor.next(recordClass, count, limits.bytes)
    if (taken) return taken
  }
  return soonest
}

/** ms */
function dueIn(cursor: SinkCursor, recordClass: RecordClass, limits: BatchLimits, count: number): number {
  if (recordClass === 'event') return 0
  if (cursor.depth(recordClass) >= count || cursor.bytes(recordClass) >= limits.bytes) return 0
  return limits.age - cursor.age(recordClass)
}
