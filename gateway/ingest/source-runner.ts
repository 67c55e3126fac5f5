/**
 * Supervises one source: runs it, and when it fails backs off and runs it again. Whatever a source does, throwing,
 * rejecting, returning early, hanging on stop, stays its own trouble.
 */
import type { Clock } from '../clock.ts'
import { SluiceError } from '../errors.ts'
import type { Emit, PluginLog, Source } from '../plugin.ts'
import { type Supervised, Supervision } from '../supervise.ts'

export type SourceRunState = 'running' | 'waiting' | 'stopped'

export interface SourceStatus extends Supervised<SourceRunState> {
  readonly name: string
  /** How often it was started again after a failure. */
  readonly restarts: number
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
  readonly #supervision: Supervision<SourceRunState>
  #restarts = 0
  #running: Promise<void> | undefined

  constructor(options: SourceRunnerOptions, parts: SourceRunnerParts) {
    const { clock, log, random, onState } = parts
    this.#options = options
    this.#parts = parts
    this.#supervision = new Supervision('stopped', {
      kind: 'source',
      name: options.name,
      complaint: 'stopped and is started again',
      code: 'SLUICE_SOURCE_FAILED',
      clock,
      log,
      random,
      onState: () => onState?.(this.status()),
    })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  retry(): void {
    this.#supervision.retry()
  }

  status(): SourceStatus {
    return {
      name: this.#options.name,
      ...this.#supervision.status(),
      restarts: this.#restarts,
      ports: this.#ports(),
    }
  }

  async stop(): Promise<void> {
    this.#supervision.stop()
    await this.#supervision.ended(this.#running ?? Promise.resolve(), this.#options.stopWithin)
    this.#supervision.become('stopped')
  }

  async #run(): Promise<void> {
    const supervision = this.#supervision
    const { signal } = supervision.stopped
    const { clock } = this.#parts
    while (!signal.aborted) {
      const started = clock.monotonic()
      const settled = clock.after(HEALTHY_AFTER, () => supervision.recovered('runs again'))
      const failure = await this.#runOnce(signal)
      settled.cancel()
      if (signal.aborted) return
      if (clock.monotonic() - started >= HEALTHY_AFTER) supervision.backoff.reset()
      await supervision.pause(failure, 'waiting')
      this.#restarts++
    }
  }

  /** Resolves with the reason why it ended. */
  async #runOnce(signal: AbortSignal): Promise<unknown> {
    const { source, emit } = this.#parts
    try {
      this.#supervision.become('running')
      await source.run(emit, signal)
      return new SluiceError('SLUICE_SOURCE_ENDED', 'it ended without being told to')
    } catch (error) {
      return error
    }
  }

  #ports(): Readonly<Record<string, number>> {
    if (this.#supervision.state !== 'running') return {}
    try {
      return this.#parts.source.ports?.() ?? {}
    } catch {
      // Asked before it listens.
      return {}
    }
  }
}
