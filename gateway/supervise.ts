/**
 * What it takes to keep a plugin's source or sink going, whatever it does: the state it is in, its failures by code,
 * complaints at a falling rate, pauses that grow and are drawn by lot, and a stop that does not wait for ever.
 */
import { type Backoff, createBackoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import { type Complaint, createComplaint } from './complaint.ts'
import { NotConnectedError, reasonOf, SluiceError } from './errors.ts'
import type { PluginLog } from './plugin.ts'
import { within } from './within.ts'

export interface Failure {
  readonly code: string
  readonly message: string
  /** Wall clock, ms since the epoch. */
  readonly at: number
}

/** What a status says of it. */
export interface Supervised<State> {
  readonly state: State
  /** Wall clock, ms since the epoch. */
  readonly since: number
  /** Next attempt, wall clock; only while waiting. */
  readonly retryAt?: number
  readonly lastError?: Failure
  /** Failures by code. */
  readonly errors: Readonly<Record<string, number>>
}

export interface SupervisionParts {
  /** `source` or `upstream`. */
  readonly kind: string
  readonly name: string
  /** What is said when it fails, before the reason: "stopped and is started again". */
  readonly complaint: string
  /** Code of a failure that names none. */
  readonly code: string
  readonly clock: Clock
  readonly log: PluginLog
  readonly onState: () => void
  /** Longest pause between two attempts, ms; default 15 s. What the peer asks for may be longer. */
  readonly maxPause?: number | undefined
  /** Evenly in [0, 1). */
  readonly random?: (() => number) | undefined
}

/** A stop gives up after this, ms. */
export const STOP_WITHIN = 2000

export class Supervision<State extends string> {
  /** No new work. */
  readonly stopped = new AbortController()
  readonly backoff: Backoff
  readonly complaint: Complaint
  readonly #parts: SupervisionParts
  readonly #errors: Record<string, number> = Object.create(null)
  #state: State
  #since: number
  #retryAt: number | undefined
  #lastError: Failure | undefined
  #retryNow: (() => void) | undefined

  constructor(first: State, parts: SupervisionParts) {
    this.#parts = parts
    this.#state = first
    this.#since = parts.clock.now()
    this.complaint = createComplaint(parts.clock)
    this.backoff = createBackoff({
      ...(parts.maxPause === undefined ? {} : { cap: parts.maxPause }),
      ...(parts.random === undefined ? {} : { random: parts.random }),
    })
  }

  get state(): State {
    return this.#state
  }

  status(): Supervised<State> {
    return {
      state: this.#state,
      since: this.#since,
      ...(this.#retryAt === undefined ? {} : { retryAt: this.#retryAt }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      errors: { ...this.#errors },
    }
  }

  become(state: State): void {
    if (state === this.#state) return
    this.#state = state
    this.#since = this.#parts.clock.now()
    this.#parts.onState()
  }

  /** Counts a failure and shows it; complaining of it is another matter. */
  note(error: unknown): Failure {
    const code = error instanceof SluiceError ? error.code : this.#parts.code
    this.count(code)
    this.#lastError = { code, message: reasonOf(error), at: this.#parts.clock.now() }
    return this.#lastError
  }

  count(code: string): void {
    this.#errors[code] = (this.#errors[code] ?? 0) + 1
  }

  /** Counts a failure, shows it, and says so unless that was said lately. */
  failed(error: unknown): void {
    const { kind, name, complaint, log } = this.#parts
    const { code, message } = this.note(error)
    this.complaint.raise(code, (again) =>
      log.warn({ [kind]: name, code, again }, `${kind} ${name} ${complaint}: ${message}`),
    )
  }

  /** It does what it should again. */
  recovered(how: string): void {
    const { kind, name, log } = this.#parts
    this.complaint.recovered(() => log.info({ [kind]: name }, `${kind} ${name} ${how}`))
  }

  /** After a failure: in state `waiting` for as long as it takes. */
  async pause(error: unknown, waiting: State): Promise<void> {
    this.failed(error)
    const pause = this.backoff.next(error instanceof NotConnectedError ? error.retryAfter : undefined)
    this.#retryAt = Math.round(this.#parts.clock.now() + pause)
    this.become(waiting)
    await this.sleep(pause)
    this.#retryAt = undefined
  }

  /** A pause that `retry` and `stop` end. */
  sleep(ms: number): Promise<void> {
    if (this.stopped.signal.aborted) return Promise.resolve()
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

  /** Ends the pause after a failure now. */
  retry(): void {
    this.backoff.reset()
    this.#retryNow?.()
  }

  /** From now on nothing new is begun. */
  stop(): void {
    this.stopped.abort(new SluiceError('SLUICE_STOPPING', 'the gateway is stopping'))
    this.#retryNow?.()
  }

  /** Resolves when `running` has ended, or when it is given up. */
  async ended(running: Promise<unknown>, ms: number = STOP_WITHIN): Promise<void> {
    const { kind, name, clock, log } = this.#parts
    if (!(await within(clock, ms, running)))
      log.warn({ [kind]: name }, `${kind} ${name} did not stop within ${ms} ms and was abandoned`)
  }
}
