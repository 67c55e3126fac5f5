/**
 * Runs one sink: connects, drains its cursor, and does about each failure what the failure's class says.
 *
 *   connecting ──▶ connected ──▶ write ──▶ taken: acknowledge, next
 *       ▲              │           │─────▶ PartialWriteError: acknowledge that part, send the rest
 *       │              │           │─────▶ RefusedError: halve the batch until the bad record is found; a gap replaces it
 *       └── waiting ◀──┴───────────┴─────▶ anything else: back off, connect, send the identical batch again
 *
 * Before each batch the classes are asked in order, so that a new event overtakes the readings that remain. Events go
 * at once; of the others a batch is due when it is full or its oldest record is old enough.
 */
import { type Backoff, createBackoff } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { NotConnectedError, PartialWriteError, RefusedError, reasonOf } from '../errors.ts'
import { createLatency, type Latency, type LatencyRecorder, observe } from '../http/latency.ts'
import type { SinkCursor, Taken } from '../outbox/outbox.ts'
import type { PluginLog, RecordClass, Sink } from '../plugin.ts'
import { STOP_WITHIN, type Supervised, Supervision } from '../supervise.ts'
import { within } from '../within.ts'
import { type Bell, createBell } from './bell.ts'
import { bounded } from './bounded.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'

export interface BatchLimits {
  /** Records. */
  readonly count: number
  readonly bytes: number
  /** How long a record may wait for others, ms. */
  readonly age: number
}

export interface UpstreamOptions {
  readonly name: string
  readonly batch: BatchLimits
  /** Records per second; undefined is no limit. */
  readonly rate?: number | undefined
  /** Longest pause between two attempts, ms; default 15 s. What the peer asks for may be longer. */
  readonly maxPause?: number
  /** A connect or write that takes longer counts as failed, ms; default 60 s. */
  readonly timeout?: number
  /** `stop` gives up on the sink after this, ms; default 2 s. */
  readonly stopWithin?: number
}

export interface UpstreamParts {
  readonly sink: Sink
  readonly cursor: SinkCursor
  readonly clock: Clock
  readonly log: PluginLog
  /** Called at each change of state. */
  readonly onState?: (status: UpstreamStatus) => void
  /** Evenly in [0, 1). */
  readonly random?: () => number
}

export type UpstreamState = 'connecting' | 'connected' | 'waiting' | 'stopped'

export interface UpstreamStatus extends Supervised<UpstreamState> {
  readonly name: string
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

export interface Upstream {
  start(): void
  /** Ends the pause after a failure now. */
  retry(): void
  status(): UpstreamStatus
  /** Resolves within `stopWithin`; nothing is sent afterwards. */
  stop(): Promise<void>
}

interface Counters {
  sent: number
  acked: number
  batches: number
  bytes: number
  retries: number
  refused: number
}

export function createUpstream(options: UpstreamOptions, parts: UpstreamParts): Upstream {
  return new Runner(options, parts)
}

class Runner implements Upstream {
  readonly #options: UpstreamOptions
  readonly #parts: UpstreamParts
  readonly #supervision: Supervision<UpstreamState>
  readonly #refusals: Backoff
  readonly #bucket: TokenBucket
  readonly #bell: Bell
  /** Not even a write under way may finish. */
  readonly #abandoned = new AbortController()
  readonly #counters: Counters = { sent: 0, acked: 0, batches: 0, bytes: 0, retries: 0, refused: 0 }
  readonly #latency: LatencyRecorder = createLatency()
  #running: Promise<void> | undefined
  #unwatch: (() => void) | undefined
  /** Batch that failed and must be sent again as it was. */
  #again: Taken | undefined
  /** Below the configured count while a refused record is being looked for. */
  #count: number
  #lost: Error | undefined

  constructor(options: UpstreamOptions, parts: UpstreamParts) {
    const { clock, log, random = Math.random, onState } = parts
    const { name, maxPause = 15_000 } = options
    this.#options = options
    this.#parts = parts
    this.#supervision = new Supervision('stopped', {
      kind: 'upstream',
      name,
      complaint: 'does not take batches',
      code: 'SLUICE_SINK_FAILED',
      clock,
      log,
      maxPause,
      random,
      onState: () => onState?.(this.status()),
    })
    this.#refusals = createBackoff({ cap: maxPause, random })
    this.#bucket = createTokenBucket(options.rate, clock)
    this.#bell = createBell(clock)
    this.#count = options.batch.count
  }

  start(): void {
    if (this.#running) return
    this.#unwatch = this.#parts.cursor.onWake(() => this.#bell.ring())
    this.#running = this.#run()
  }

  retry(): void {
    this.#supervision.retry()
  }

  status(): UpstreamStatus {
    return {
      name: this.#options.name,
      ...this.#supervision.status(),
      ...this.#counters,
      latency: this.#latency,
    }
  }

  async stop(): Promise<void> {
    const { stopWithin = STOP_WITHIN } = this.#options
    const supervision = this.#supervision
    this.#unwatch?.()
    supervision.stop()
    this.#bell.ring()
    const { reason } = supervision.stopped.signal
    const patience = this.#parts.clock.after(stopWithin / 2, () => this.#abandoned.abort(reason))
    await supervision.ended(this.#stopNow(), stopWithin)
    patience.cancel()
    supervision.become('stopped')
  }

  async #stopNow(): Promise<void> {
    await this.#running
    await this.#close()
  }

  async #run(): Promise<void> {
    const supervision = this.#supervision
    const { signal } = supervision.stopped
    while (!signal.aborted) {
      let unwatch: (() => void) | undefined
      try {
        supervision.become('connecting')
        await this.#call('connect', signal, (own) => this.#parts.sink.connect(own))
        supervision.become('connected')
        this.#lost = undefined
        unwatch = this.#parts.sink.onLost?.((reason) => {
          this.#lost = reason
          this.#bell.ring()
        })
        await this.#drain()
      } catch (error) {
        unwatch?.()
        if (signal.aborted) return
        await this.#close()
        await supervision.pause(error, 'waiting')
      }
    }
  }

  /** Sends what is due until stopped or something fails. */
  async #drain(): Promise<void> {
    const { signal } = this.#supervision.stopped
    while (!signal.aborted) {
      const pace = this.#bucket.wait()
      if (pace > 0) {
        await this.#parts.clock.sleep(pace, signal)
        continue
      }
      this.#bell.listen()
      if (this.#lost) throw this.#lost
      if (this.#again && !this.#parts.cursor.valid(this.#again)) this.#again = undefined
      const taken = this.#again ?? (await this.#nextDue())
      if (taken) await this.#write(taken)
    }
  }

  /** The batch that is due, or null after waiting for one to become due. */
  async #nextDue(): Promise<Taken | null> {
    const { cursor } = this.#parts
    const { bytes, age } = this.#options.batch
    let soonest = Number.POSITIVE_INFINITY
    for (const recordClass of cursor.classes) {
      if (cursor.depth(recordClass) === 0) continue
      const wait = this.#dueIn(recordClass, age)
      if (wait > 0) {
        soonest = Math.min(soonest, wait)
        continue
      }
      const taken = await cursor.next(recordClass, this.#count, bytes)
      if (taken) return taken
    }
    await this.#bell.wait(soonest)
    return null
  }

  /** How long until a class's next batch is due, ms. */
  #dueIn(recordClass: RecordClass, age: number): number {
    const { cursor } = this.#parts
    if (recordClass === 'event') return 0
    if (cursor.depth(recordClass) >= this.#count || cursor.bytes(recordClass) >= this.#options.batch.bytes) return 0
    return age - cursor.age(recordClass)
  }

  async #write(taken: Taken): Promise<void> {
    const { sink, cursor, clock } = this.#parts
    const { batch } = taken
    if (this.#again) this.#counters.retries++
    this.#again = taken
    this.#bucket.spend(batch.count)
    this.#counters.sent += batch.count
    const started = clock.monotonic()
    try {
      await this.#call('write', this.#abandoned.signal, (signal) => sink.write(batch, signal))
    } catch (error) {
      if (error instanceof PartialWriteError) return this.#partly(taken, error)
      if (error instanceof RefusedError) return this.#refused(taken, error)
      throw error
    }
    observe(this.#latency, clock.monotonic() - started)
    this.#again = undefined
    cursor.ack(taken)
    this.#taken(taken, batch.count)
    this.#count = Math.min(this.#options.batch.count, this.#count * 2)
    this.#refusals.reset()
  }

  #partly(taken: Taken, error: PartialWriteError): Promise<void> | undefined {
    this.#again = undefined
    const written = Math.min(error.written, taken.batch.count)
    if (written <= 0) return this.#breathe(error)
    this.#supervision.count(error.code)
    this.#parts.cursor.ack(taken, written)
    this.#taken(taken, written)
    return undefined
  }

  /** Nothing of the batch was taken, but the connection stands. */
  async #breathe(error: PartialWriteError): Promise<void> {
    this.#supervision.failed(error)
    await this.#supervision.sleep(this.#refusals.next())
  }

  async #refused(taken: Taken, error: RefusedError): Promise<void> {
    const { cursor, log } = this.#parts
    const { batch } = taken
    const { name } = this.#options
    this.#again = undefined
    if (batch.count > 1) {
      this.#supervision.count(error.code)
      // Which record the peer objects to is found by halving: the others need not go with it.
      this.#count = Math.ceil(batch.count / 2)
      return
    }
    const count = cursor.refuse(taken)
    this.#counters.refused += count
    this.#supervision.note(error)
    this.#supervision.complaint.raise(`refused ${error.code}`, (again) =>
      log.error(
        { upstream: name, class: batch.class, first: batch.first, last: batch.last, again },
        `upstream ${name} refused a record for good, a gap replaces it: ${error.message}`,
      ),
    )
    // A peer that refuses everything gets little to refuse.
    if (this.#refusals.failures > 0) await this.#supervision.sleep(this.#refusals.next())
    else this.#refusals.next()
  }

  #taken(taken: Taken, count: number): void {
    this.#counters.acked += count
    this.#counters.batches++
    for (let i = 0; i < count; i++) this.#counters.bytes += taken.batch.records[i]?.length ?? 0
    this.#supervision.backoff.reset()
    this.#supervision.recovered('takes batches again')
  }

  #call(what: string, outer: AbortSignal, call: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { name, timeout = 60_000 } = this.#options
    const late = () =>
      new NotConnectedError('SLUICE_UPSTREAM_TIMEOUT', `${what} of upstream ${name} took longer than ${timeout} ms`)
    return bounded(this.#parts.clock, timeout, late, outer, call)
  }

  async #close(): Promise<void> {
    const { sink, clock, log } = this.#parts
    const closing = async () => sink.close()
    const closed = closing().catch((error) =>
      log.debug({ upstream: this.#options.name }, `close failed: ${reasonOf(error)}`),
    )
    await within(clock, this.#options.stopWithin ?? STOP_WITHIN, closed)
  }
}
