/**
 * What becomes of the batches that are written to one sink, by how the write ended:
 *
 *   taken               acknowledge
 *   PartialWriteError   acknowledge that part; the rest is a new batch
 *   RefusedError        halve the batch until the record is found that the peer objects to; a gap replaces it; a gap
 *                       that is refused too is sent again, some times: such a peer refuses everything, for a while
 *   anything else       throw; the identical batch is to be sent again
 */
import type { Backoff } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { PartialWriteError, RefusedError } from '../errors.ts'
import { createLatency, type Latency, type LatencyRecorder, observe } from '../http/latency.ts'
import type { SinkCursor, Taken } from '../outbox/outbox.ts'
import type { Batch, PluginLog } from '../plugin.ts'
import type { Supervision } from '../supervise.ts'

export interface Delivered {
  /** Records handed to the sink, those sent again included. */
  readonly sent: number
  /** Records the peer has taken. */
  readonly acked: number
  readonly batches: number
  /** Bytes of records the peer has taken. */
  readonly bytes: number
  readonly retries: number
  /** Records the peer refused for good. */
  readonly refused: number
  /** From handing a batch over until it was taken. */
  readonly latency: Latency
}

export interface DeliveryParts {
  /** Of the upstream. */
  readonly name: string
  /** Records per batch. */
  readonly count: number
  readonly cursor: SinkCursor
  readonly clock: Clock
  readonly log: PluginLog
  readonly supervision: Supervision<string>
  /** Paces a peer that refuses one batch after the other. */
  readonly refusals: Backoff
  readonly write: (batch: Batch) => Promise<void>
}

/** How many refusals in a row a gap outlives: half a minute. Then the peer takes no gaps, and is not told. */
const GAP_TRIES = 10

export class Delivery {
  readonly #parts: DeliveryParts
  readonly #counters = { sent: 0, acked: 0, batches: 0, bytes: 0, retries: 0, refused: 0 }
  readonly #latency: LatencyRecorder = createLatency()
  /** Failed, and to be sent again as it was. */
  #again: Taken | undefined
  #count: number

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#count = parts.count
  }

  /** How many records the next batch may have: fewer than configured while a refused record is being looked for. */
  get count(): number {
    return this.#count
  }

  delivered(): Delivered {
    return { ...this.#counters, latency: this.#latency }
  }

  /** The batch that failed, unless its records were dropped or skipped meanwhile. */
  again(): Taken | undefined {
    if (this.#again && !this.#parts.cursor.valid(this.#again)) this.#again = undefined
    return this.#again
  }

  /** @throws whatever the write fails with, but for a part taken and a refusal */
  async attempt(taken: Taken): Promise<void> {
    const { clock, write } = this.#parts
    const { batch } = taken
    if (this.#again) this.#counters.retries++
    this.#again = taken
    this.#counters.sent += batch.count
    const started = clock.monotonic()
    try {
      await write(batch)
    } catch (error) {
      if (error instanceof PartialWriteError) return this.#partly(taken, error)
      if (error instanceof RefusedError) return this.#refused(taken, error)
      throw error
    }
    observe(this.#latency, clock.monotonic() - started)
    this.#taken(taken, batch.count)
    this.#count = Math.min(this.#parts.count, this.#count * 2)
    this.#parts.refusals.reset()
  }

  #partly(taken: Taken, error: PartialWriteError): Promise<void> | undefined {
    const written = Math.min(error.written, taken.batch.count)
    if (written <= 0) return this.#breathe(error)
    this.#parts.supervision.count(error.code)
    this.#taken(taken, written)
    return undefined
  }

  /** Nothing of the batch was taken, but the connection stands. */
  async #breathe(error: PartialWriteError): Promise<void> {
    const { supervision, refusals } = this.#parts
    this.#again = undefined
    supervision.failed(error)
    await supervision.sleep(refusals.next())
  }

  async #refused(taken: Taken, error: RefusedError): Promise<void> {
    const { cursor, supervision, refusals } = this.#parts
    if (cursor.tellsOfLoss(taken) && refusals.failures < GAP_TRIES) {
      supervision.failed(error)
      return supervision.sleep(refusals.next())
    }
    this.#again = undefined
    if (taken.batch.count > 1) {
      supervision.count(error.code)
      // Which record the peer objects to is found by halving: the others need not go with it.
      this.#count = Math.ceil(taken.batch.count / 2)
      return
    }
    this.#counters.refused += cursor.refuse(taken)
    supervision.note(error)
    this.#complain(taken.batch, error)
    // A peer that refuses everything gets little to refuse.
    if (refusals.failures > 0) await supervision.sleep(refusals.next())
    else refusals.next()
  }

  #complain({ class: recordClass, first, last }: Batch, error: RefusedError): void {
    const { name, log, supervision } = this.#parts
    supervision.complaint.raise(`refused ${error.code}`, (again) =>
      log.error(
        { upstream: name, class: recordClass, first, last, again },
        `upstream ${name} refused a record for good, a gap replaces it: ${error.message}`,
      ),
    )
  }

  #taken(taken: Taken, count: number): void {
    const { cursor, supervision } = this.#parts
    this.#again = undefined
    cursor.ack(taken, count)
    this.#counters.acked += count
    this.#counters.batches++
    for (let i = 0; i < count; i++) this.#counters.bytes += taken.batch.records[i]?.length ?? 0
    supervision.backoff.reset()
    supervision.recovered('takes batches again')
  }
}
