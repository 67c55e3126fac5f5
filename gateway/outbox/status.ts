/** What the outbox shows of itself. */
import type { Clock } from '../clock.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import type { PerClass, WhenFull } from './budget.ts'
import type { Cursor } from './cursor.ts'
import type { Lane } from './lane.ts'
import type { Reader } from './readers.ts'

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

export function classStatus(lane: Lane, full: boolean): ClassStatus {
  const { name, epoch, next, bytes, appended, shelf } = lane
  return { class: name, epoch, first: shelf.first, next, bytes, appended, lost: { ...shelf.lost }, full }
}

/** Every sink of which a place is kept, in the config or not. */
export function sinkStatuses(
  lanes: PerClass<Lane>,
  cursors: ReadonlyMap<string, Cursor>,
  clock: Clock,
): readonly SinkStatus[] {
  const names = new Set(CLASSES.flatMap((name) => [...lanes[name].readers.all.keys()]))
  return [...names].map((name) => {
    const cursor = cursors.get(name)
    const backlog = CLASSES.flatMap((recordClass) => {
      const reader = lanes[recordClass].readers.all.get(name)
      return reader ? [backlogOf(lanes[recordClass], reader, cursor, clock)] : []
    })
    return { name, removed: cursor === undefined, backlog }
  })
}

function backlogOf(lane: Lane, reader: Reader, cursor: Cursor | undefined, clock: Clock): BacklogStatus {
  const records = lane.readers.depth(reader)
  const rate = cursor?.classes.includes(lane.name) ? cursor.rate(lane.name) : 0
  return {
    class: lane.name,
    records,
    bytes: lane.waitingBytes(reader),
    ...(records > 0 ? { oldest: Math.floor(clock.now() - lane.readers.age(reader)) } : {}),
    acked: reader.next - 1,
    rate,
    ...(records > 0 && rate > 0 ? { drainSeconds: records / rate } : {}),
  }
}
