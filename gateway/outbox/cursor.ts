/** One sink's place in the outbox: what it is sent next, and what it has. */
import type { Clock } from '../clock.ts'
import type { Batch } from '../plugin.ts'
import { CLASSES, type RecordClass } from '../record.ts'
import { createBatch } from '../upstream/batch.ts'
import type { PerClass } from './budget.ts'
import type { Lane } from './lane.ts'
import { Rate } from './rate.ts'
import type { Piece, Reader } from './readers.ts'

/** A batch on its way, as `next` gave it. */
export interface Taken {
  readonly batch: Batch
  /** The last number that each of its records covers. */
  readonly ends: readonly number[]
  /** How often records were skipped for the sink before. */
  readonly skips: number
}

/** One sink's place in each class it wants. */
export interface SinkCursor {
  readonly name: string
  readonly classes: readonly RecordClass[]
  /** Records that wait. */
  depth(recordClass: RecordClass): number
  /** About how many bytes wait. */
  bytes(recordClass: RecordClass): number
  /** How long the oldest has waited, ms. */
  age(recordClass: RecordClass): number
  /** The next records, at most `count` and about `bytes`; null when none wait. The same ones until some are acknowledged. */
  next(recordClass: RecordClass, count: number, bytes: number): Promise<Taken | null>
  /** The sink has the batch, or its first `records` records. */
  ack(taken: Taken, records?: number): void
  /** The sink will never take the batch: a gap is sent in its place. Returns how many records were given up. */
  refuse(taken: Taken): number
  /** Whether it is nothing but the gap that replaces what this sink was not given, or refused. */
  tellsOfLoss(taken: Taken): boolean
  /** False when a person has skipped records since it was taken: it must not be sent again. */
  valid(taken: Taken): boolean
  /** Called when records have become durable or were skipped. Returns a function that stops the calls. */
  onWake(listener: () => void): () => void
}

export class Cursor implements SinkCursor {
  readonly name: string
  readonly classes: readonly RecordClass[]
  readonly #gateway: string
  readonly #lanes: PerClass<Lane>
  readonly #rates: PerClass<Rate>
  readonly #readers: ReadonlyMap<RecordClass, Reader>
  readonly #acknowledged: () => void
  readonly #listeners = new Set<() => void>()

  constructor(
    name: string,
    classes: readonly RecordClass[],
    gateway: string,
    lanes: PerClass<Lane>,
    clock: Clock,
    acknowledged: () => void,
  ) {
    this.name = name
    this.classes = CLASSES.filter((other) => classes.includes(other))
    this.#gateway = gateway
    this.#lanes = lanes
    this.#readers = new Map(this.classes.map((other) => [other, lanes[other].attach(name)]))
    this.#rates = { event: new Rate(clock), result: new Rate(clock), reading: new Rate(clock) }
    this.#acknowledged = acknowledged
  }

  depth(recordClass: RecordClass): number {
    return this.#lanes[recordClass].readers.depth(this.#reader(recordClass))
  }

  bytes(recordClass: RecordClass): number {
    return this.#lanes[recordClass].waitingBytes(this.#reader(recordClass))
  }

  age(recordClass: RecordClass): number {
    return this.#lanes[recordClass].readers.age(this.#reader(recordClass))
  }

  async next(recordClass: RecordClass, count: number, bytes: number): Promise<Taken | null> {
    const lane = this.#lanes[recordClass]
    const piece = await lane.readers.take(this.#reader(recordClass), count, bytes)
    return piece && { batch: this.#batch(lane, piece), ends: piece.ends, skips: this.#reader(recordClass).skips }
  }

  valid(taken: Taken): boolean {
    return taken.skips === this.#reader(taken.batch.class).skips
  }

  ack({ batch, ends }: Taken, records: number = ends.length): void {
    const upTo = ends[records - 1]
    if (upTo === undefined) return
    this.#lanes[batch.class].readers.ack(this.#reader(batch.class), upTo)
    this.#rates[batch.class].add(records)
    this.#acknowledged()
  }

  tellsOfLoss({ batch, ends }: Taken): boolean {
    return ends.length === 1 && this.#reader(batch.class).gaps.covering(batch.last) !== undefined
  }

  refuse(taken: Taken): number {
    const { batch } = taken
    // A peer that does not even take the gap cannot be told.
    if (this.tellsOfLoss(taken)) {
      this.ack(taken)
      return 0
    }
    const reader = this.#reader(batch.class)
    const refused = this.#lanes[batch.class].readers.skip(reader, batch.last, 'refused')
    this.#acknowledged()
    return refused
  }

  rate(recordClass: RecordClass): number {
    return this.#rates[recordClass].perSecond()
  }

  onWake(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  wake(): void {
    for (const listener of this.#listeners) listener()
  }

  #batch(lane: Lane, { first, last, records }: Piece): Batch {
    return createBatch(this.#gateway, lane.name, lane.epoch, first, last, records)
  }

  #reader(recordClass: RecordClass): Reader {
    const reader = this.#readers.get(recordClass)
    if (!reader) throw new RangeError(`sink ${this.name} does not want class ${recordClass}`)
    return reader
  }
}
