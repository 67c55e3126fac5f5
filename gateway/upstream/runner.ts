/**
 * Runs one sink: connects, and drains its cursor until the connection fails.
 *
 *   connecting ──▶ connected ──▶ write ──▶ taken, in part, or refused: see `delivery.ts`
 *       ▲              │           │
 *       └── waiting ◀──┴───────────┴─────▶ anything else: back off, connect, send the identical batch again
 */
import { createBackoff } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { NotConnectedError, reasonOf } from '../errors.ts'
import type { SinkCursor } from '../outbox/outbox.ts'
import type { Batch, PluginLog, Sink } from '../plugin.ts'
import { STOP_WITHIN, type Supervised, Supervision } from '../supervise.ts'
import { within } from '../within.ts'
import { type Bell, createBell } from './bell.ts'
import { bounded } from './bounded.ts'
import { type Delivered, Delivery } from './delivery.ts'
import { type BatchLimits, nextDue } from './due.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'

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

export interface UpstreamStatus extends Supervised<UpstreamState>, Delivered {
  readonly name: string
}

export interface Upstream {
  start(): void
  /** Ends the pause after a failure now. */
  retry(): void
  status(): UpstreamStatus
  /** Resolves within `stopWithin`; nothing is sent afterwards. */
  stop(): Promise<void>
}

export function createUpstream(options: UpstreamOptions, parts: UpstreamParts): Upstream {
  return new Runner(options, parts)
}

class Runner implements Upstream {
  readonly #options: UpstreamOptions
  readonly #parts: UpstreamParts
  readonly #supervision: Supervision<UpstreamState>
  readonly #bucket: TokenBucket
  readonly #bell: Bell
  /** Not even a write under way may finish. */
  readonly #abandoned = new AbortController()
  readonly #delivery: Delivery
  #running: Promise<void> | undefined
  #unwatch: (() => void) | undefined
  #lost: Error | undefined

  constructor(options: UpstreamOptions, parts: UpstreamParts) {
    const { cursor, clock, log, random = Math.random, onState } = parts
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
    this.#delivery = new Delivery({
      name,
      count: options.batch.count,
      cursor,
      clock,
      log,
      supervision: this.#supervision,
      refusals: createBackoff({ cap: maxPause, random }),
      write: (batch) => this.#write(batch),
    })
    this.#bucket = createTokenBucket(options.rate, clock)
    this.#bell = createBell(clock)
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
    return { name: this.#options.name, ...this.#supervision.status(), ...this.#delivery.delivered() }
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
    const { cursor, clock } = this.#parts
    while (!signal.aborted) {
      const pace = this.#bucket.wait()
      if (pace > 0) {
        await clock.sleep(pace, signal)
        continue
      }
      this.#bell.listen()
      if (this.#lost) throw this.#lost
      const due = this.#delivery.again() ?? (await nextDue(cursor, this.#options.batch, this.#delivery.count))
      if (typeof due === 'number') await this.#bell.wait(due)
      else {
        this.#bucket.spend(due.batch.count)
        await this.#delivery.attempt(due)
      }
    }
  }

  #write(batch: Batch): Promise<void> {
    return this.#call('write', this.#abandoned.signal, (signal) => this.#parts.sink.write(batch, signal))
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
