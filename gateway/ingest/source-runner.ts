/**
 * Supervises one source: runs it, and when it fails backs off and runs it again. Whatever a source does, throwing,
 * rejecting, returning early, hanging on stop, stays its own trouble.
 */
import { type Backoff, createBackoff } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { type Complaint, createComplaint } from '../complaint.ts'
import { NotConnectedError, reasonOf, SluiceError } from '../errors.ts'
import type { Emit, PluginLog, Source } from '../plugin.ts'

export type SourceRunState = 'running' | 'waiting' | 'stopped'

export interface SourceStatus {
  readonly name: string
  readonly state: SourceRunState
  /** Wall clock, ms since the epoch. */
  readonly since: number
  /** Next attempt, wall clock; only while waiting. */
  readonly retryAt?: number
  readonly lastError?: { readonly code: string; readonly message: string; readonly at: number }
  /** How often it was started again after a failure. */
  readonly restarts: number
  /** Failures by code. */
  readonly errors: Readonly<Record<string, number>>
  readonly ports: Readonly<Record<string, number>>
}

export interface SourceRunner {
  start(): void
  /** Ends the pause after a failure now. */
  retry(): void
  status(): SourceStatus
  /** Resolves when the source has ended, or after `stopWithin`. */
  stop(): Promise<void>
}

export interface SourceRunnerOptions {
  readonly name: string
  /** A source that does not end by then is abandoned, ms; default 2 s. */
  readonly stopWithin?: number
}

export interface SourceRunnerParts {
  readonly source: Source
  readonly emit: Emit
  readonly clock: Clock
  readonly log: PluginLog
  readonly onState?: (status: SourceStatus) => void
  /** Evenly in [0, 1). */
  readonly random?: () => number
}

/** A source that has run for this long has recovered: its next pause is short again, ms. */
const HEALTHY_AFTER = 30_000

export function createSourceRunner(options: SourceRunnerOptions, parts: SourceRunnerParts): SourceRunner {
  return new Runner(options, parts)
}

class Runner implements SourceRunner {
  readonly #options: SourceRunnerOptions
  readonly #parts: SourceRunnerParts
  readonly #backoff: Backoff
  readonly #complaint: Complaint
  readonly #stopped = new AbortController()
  readonly #errors: Record<string, number> = Object.create(null)
  #state: SourceRunState = 'stopped'
  #since: number
  #retryAt: number | undefined
  #lastError: SourceStatus['lastError']
  #restarts = 0
  #running: Promise<void> | undefined
  #retryNow: (() => void) | undefined

  constructor(options: SourceRunnerOptions, parts: SourceRunnerParts) {
    this.#options = options
    this.#parts = parts
    this.#backoff = createBackoff(parts.random === undefined ? {} : { random: parts.random })
    this.#complaint = createComplaint(parts.clock)
    this.#since = parts.clock.now()
  }

  start(): void {
    this.#running ??= this.#run()
  }

  retry(): void {
    this.#backoff.reset()
    this.#retryNow?.()
  }

  status(): SourceStatus {
    return {
      name: this.#options.name,
      state: this.#state,
      since: this.#since,
      ...(this.#retryAt === undefined ? {} : { retryAt: this.#retryAt }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      restarts: this.#restarts,
      errors: { ...this.#errors },
      ports: this.#ports(),
    }
  }

  async stop(): Promise<void> {
    const { clock, log } = this.#parts
    const { name, stopWithin = 2000 } = this.#options
    this.#stopped.abort(new SluiceError('SLUICE_STOPPING', 'the gateway is stopping'))
    this.#retryNow?.()
    let expire: ((value: false) => void) | undefined
    const late = new Promise<false>((resolve) => {
      expire = resolve
    })
    const timer = clock.after(stopWithin, () => expire?.(false))
    const ended = (this.#running ?? Promise.resolve()).then(() => true)
    if (!(await Promise.race([ended, late])))
      log.warn({ source: name }, `source ${name} did not stop within ${stopWithin} ms and was abandoned`)
    timer.cancel()
    this.#become('stopped')
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    const { source, emit, clock } = this.#parts
    while (!signal.aborted) {
      const started = clock.monotonic()
      const settled = clock.after(HEALTHY_AFTER, () => this.#recovered())
      let failure: unknown
      try {
        this.#become('running')
        await source.run(emit, signal)
        failure = new SluiceError('SLUICE_SOURCE_ENDED', 'it ended without being told to')
      } catch (error) {
        failure = error
      }
      settled.cancel()
      if (signal.aborted) return
      if (clock.monotonic() - started >= HEALTHY_AFTER) this.#backoff.reset()
      await this.#pause(failure)
      this.#restarts++
    }
  }

  #recovered(): void {
    const { name } = this.#options
    this.#complaint.recovered(() => this.#parts.log.info({ source: name }, `source ${name} runs again`))
  }

  async #pause(error: unknown): Promise<void> {
    const { clock, log } = this.#parts
    const { name } = this.#options
    const code = error instanceof SluiceError ? error.code : 'SLUICE_SOURCE_FAILED'
    const message = reasonOf(error)
    this.#errors[code] = (this.#errors[code] ?? 0) + 1
    this.#lastError = { code, message, at: clock.now() }
    this.#complaint.raise(code, (again) =>
      log.warn({ source: name, code, again }, `source ${name} stopped and is started again: ${message}`),
    )
    const pause = this.#backoff.next(error instanceof NotConnectedError ? error.retryAfter : undefined)
    this.#retryAt = Math.round(clock.now() + pause)
    this.#become('waiting')
    await this.#sleep(pause)
    this.#retryAt = undefined
  }

  #become(state: SourceRunState): void {
    if (state === this.#state) return
    this.#state = state
    this.#since = this.#parts.clock.now()
    this.#parts.onState?.(this.status())
  }

  #ports(): Readonly<Record<string, number>> {
    if (this.#state !== 'running') return {}
    try {
      return this.#parts.source.ports?.() ?? {}
    } catch {
      // Asked before it listens.
      return {}
    }
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
