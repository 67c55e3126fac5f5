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
import type { Clock, Timer } from '../clock.ts'
import { type Complaint, createComplaint } from '../complaint.ts'
import { NotConnectedError, PartialWriteError, RefusedError, reasonOf, SluiceError } from '../errors.ts'
import { createLatency, type Latency, type LatencyRecorder, observe } from '../http/latency.ts'
import type { SinkCursor, Taken } from '../outbox/outbox.ts'
import type { PluginLog, RecordClass, Sink } from '../plugin.ts'
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

export interface Failure {
  readonly code: string
  readonly message: string
  /** Wall clock, ms since the epoch. */
  readonly at: number
}

export interface UpstreamStatus {
  readonly name: string
  readonly state: UpstreamState
  /** Wall clock, ms since the epoch. */
  readonly since: number
  /** Next attempt, wall clock; only while waiting. */
  readonly retryAt?: number
  readonly lastError?: Failure
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
  /** Failures by code. */
  readonly errors: Readonly<Record<string, number>>
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
  readonly #backoff: Backoff
  readonly #refusals: Backoff
  readonly #complaint: Complaint
  readonly #bucket: TokenBucket
  /** No new work; a write under way may finish. */
  readonly #stopped = new AbortController()
  /** Not even that. */
  readonly #abandoned = new AbortController()
  readonly #counters: Counters = { sent: 0, acked: 0, batches: 0, bytes: 0, retries: 0, refused: 0 }
  readonly #errors: Record<string, number> = Object.create(null)
  readonly #latency: LatencyRecorder = createLatency()
  #state: UpstreamState = 'stopped'
  #since: number
  #retryAt: number | undefined
  #lastError: Failure | undefined
  #running: Promise<void> | undefined
  #unwatch: (() => void) | undefined
  /** Batch that failed and must be sent again as it was. */
  #again: Taken | undefined
  /** Below the configured count while a refused record is being looked for. */
  #count: number
  #awake = false
  #wake: (() => void) | undefined
  #retryNow: (() => void) | undefined
  #lost: Error | undefined

  constructor(options: UpstreamOptions, parts: UpstreamParts) {
    this.#options = options
    this.#parts = parts
    const { cap, random } = { cap: options.maxPause ?? 15_000, random: parts.random ?? Math.random }
    this.#backoff = createBackoff({ cap, random })
    this.#refusals = createBackoff({ cap, random })
    this.#complaint = createComplaint(parts.clock)
    this.#bucket = createTokenBucket(options.rate, parts.clock)
    this.#since = parts.clock.now()
    this.#count = options.batch.count
  }

  start(): void {
    if (this.#running) return
    this.#unwatch = this.#parts.cursor.onWake(() => this.#wakeUp())
    this.#running = this.#run()
  }

  retry(): void {
    this.#backoff.reset()
    this.#retryNow?.()
  }

  status(): UpstreamStatus {
    return {
      name: this.#options.name,
      state: this.#state,
      since: this.#since,
      ...(this.#retryAt === undefined ? {} : { retryAt: this.#retryAt }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      ...this.#counters,
      errors: { ...this.#errors },
      latency: this.#latency,
    }
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#stopped.abort(new SluiceError('SLUICE_STOPPING', 'the gateway is stopping'))
    this.#wakeUp()
    this.#retryNow?.()
    const { clock, log } = this.#parts
    const { name, stopWithin = 2000 } = this.#options
    const ended = this.#stopNow().then(() => true)
    const patience = clock.after(stopWithin / 2, () => this.#abandoned.abort(this.#stopped.signal.reason))
    const late = abandonAfter(clock, stopWithin)
    if (!(await Promise.race([ended, late.promise])))
      log.warn({ upstream: name }, `upstream ${name} did not stop in time and was abandoned`)
    patience.cancel()
    late.timer.cancel()
    this.#become('stopped')
  }

  async #stopNow(): Promise<void> {
    await this.#running
    await this.#close()
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      let unwatch: (() => void) | undefined
      try {
        this.#become('connecting')
        await this.#bounded('connect', this.#stopped.signal, (signal) => this.#parts.sink.connect(signal))
        this.#become('connected')
        this.#lost = undefined
        unwatch = this.#parts.sink.onLost?.((reason) => {
          this.#lost = reason
          this.#wakeUp()
        })
        await this.#drain()
      } catch (error) {
        unwatch?.()
        if (this.#stopped.signal.aborted) return
        await this.#close()
        await this.#pause(error)
      }
    }
  }

  /** Sends what is due until stopped or something fails. */
  async #drain(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const pace = this.#bucket.wait()
      if (pace > 0) {
        await this.#parts.clock.sleep(pace, signal)
        continue
      }
      this.#awake = false
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
    await this.#sleepUntilWoken(soonest)
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
      await this.#bounded('write', this.#abandoned.signal, (signal) => sink.write(batch, signal))
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
    this.#countError(error.code)
    if (written <= 0) return this.#breathe(error)
    this.#parts.cursor.ack(taken, written)
    this.#taken(taken, written)
    return undefined
  }

  /** Nothing of the batch was taken, but the connection stands. */
  async #breathe(error: SluiceError): Promise<void> {
    this.#failed(error)
    await this.#sleep(this.#refusals.next())
  }

  async #refused(taken: Taken, error: RefusedError): Promise<void> {
    const { cursor, log } = this.#parts
    const { batch } = taken
    const { name } = this.#options
    this.#again = undefined
    this.#countError(error.code)
    if (batch.count > 1) {
      // Which record the peer objects to is found by halving: the others need not go with it.
      this.#count = Math.ceil(batch.count / 2)
      return
    }
    const count = cursor.refuse(taken)
    this.#counters.refused += count
    this.#lastError = { code: error.code, message: error.message, at: this.#parts.clock.now() }
    this.#complaint.raise(`refused ${error.code}`, (again) =>
      log.error(
        { upstream: name, class: batch.class, first: batch.first, last: batch.last, again },
        `upstream ${name} refused a record for good, a gap replaces it: ${error.message}`,
      ),
    )
    // A peer that refuses everything gets little to refuse.
    if (this.#refusals.failures > 0) await this.#sleep(this.#refusals.next())
    else this.#refusals.next()
  }

  #taken(taken: Taken, count: number): void {
    this.#counters.acked += count
    this.#counters.batches++
    for (let i = 0; i < count; i++) this.#counters.bytes += taken.batch.records[i]?.length ?? 0
    this.#backoff.reset()
    this.#complaint.recovered(() =>
      this.#parts.log.info({ upstream: this.#options.name }, `upstream ${this.#options.name} takes batches again`),
    )
  }

  async #pause(error: unknown): Promise<void> {
    this.#failed(error)
    const asked = error instanceof NotConnectedError ? error.retryAfter : undefined
    const pause = this.#backoff.next(asked)
    this.#retryAt = Math.round(this.#parts.clock.now() + pause)
    this.#become('waiting')
    await this.#sleep(pause)
    this.#retryAt = undefined
  }

  #failed(error: unknown): void {
    const { clock, log } = this.#parts
    const { name } = this.#options
    const code = error instanceof SluiceError ? error.code : 'SLUICE_SINK_FAILED'
    const message = reasonOf(error)
    this.#countError(code)
    this.#lastError = { code, message, at: clock.now() }
    this.#complaint.raise(code, (again) =>
      log.warn({ upstream: name, code, again }, `upstream ${name} does not take batches: ${message}`),
    )
  }

  #countError(code: string): void {
    this.#errors[code] = (this.#errors[code] ?? 0) + 1
  }

  #become(state: UpstreamState): void {
    if (state === this.#state) return
    this.#state = state
    this.#since = this.#parts.clock.now()
    this.#parts.onState?.(this.status())
  }

  /** Runs one call into the plugin, which may hang. */
  async #bounded(what: string, outer: AbortSignal, call: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock } = this.#parts
    const { name, timeout = 60_000 } = this.#options
    const own = new AbortController()
    let fail: ((error: unknown) => void) | undefined
    const cut = new Promise<never>((_, reject) => {
      fail = reject
    })
    const end = (error: unknown) => {
      own.abort(error)
      fail?.(error)
    }
    const stopping = () => end(outer.reason)
    const timer = clock.after(timeout, () =>
      end(
        new NotConnectedError('SLUICE_UPSTREAM_TIMEOUT', `${what} of upstream ${name} took longer than ${timeout} ms`),
      ),
    )
    outer.addEventListener('abort', stopping, { once: true })
    try {
      outer.throwIfAborted()
      await Promise.race([call(own.signal), cut])
    } finally {
      timer.cancel()
      outer.removeEventListener('abort', stopping)
      cut.catch(() => {})
    }
  }

  async #close(): Promise<void> {
    const late = abandonAfter(this.#parts.clock, this.#options.stopWithin ?? 2000)
    try {
      await Promise.race([this.#parts.sink.close(), late.promise])
    } catch (error) {
      this.#parts.log.debug({ upstream: this.#options.name }, `close failed: ${reasonOf(error)}`)
    }
    late.timer.cancel()
  }

  #wakeUp(): void {
    this.#awake = true
    this.#wake?.()
  }

  #sleepUntilWoken(ms: number): Promise<void> {
    if (this.#awake) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? this.#parts.clock.after(Math.max(1, Math.ceil(ms)), () => done()) : undefined
      const done = () => {
        timer?.cancel()
        this.#wake = undefined
        resolve()
      }
      this.#wake = done
    })
  }

  /** A pause that `retry` and `stop` end. */
  #sleep(ms: number): Promise<void> {
    if (this.#stopped.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(ms, () => done())
      const done = () => {
        timer.cancel()
        this.#retryNow = undefined
        resolve()
      }
      this.#retryNow = done
    })
  }
}

/** Resolves with false after a while. */
function abandonAfter(clock: Clock, ms: number): { readonly promise: Promise<false>; readonly timer: Timer } {
  let expire: (() => void) | undefined
  const promise = new Promise<false>((resolve) => {
    expire = () => resolve(false)
  })
  return { promise, timer: clock.after(ms, () => expire?.()) }
}
