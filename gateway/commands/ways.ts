/** The ways to devices: which of them reaches a device now, what is under way, and what rests after a failure. */
import type { Clock } from '../clock.ts'
import type { CommandResult } from '../plugin.ts'
import type { TakenCommand } from './command.ts'
import type { Transport } from './transport.ts'

/** ms before a way that could not send is tried again: twice as long each time, for each try is two records. */
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 60_000

export class Ways {
  readonly #clock: Clock
  #transports: readonly Transport[] = []
  /** Under way, by command. */
  readonly #sending = new Map<string, AbortController>()
  /** Commands that could not be sent: not before `until`, monotonic ms. */
  readonly #resting = new Map<string, { readonly until: number; readonly pause: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param transports asked in this order */
  open(transports: readonly Transport[], reachable: (device: string) => void): void {
    this.#transports = transports
    for (const { onReachable } of transports) onReachable?.(reachable)
  }

  /** Whether each says when a device appears. */
  get tell(): boolean {
    return this.#transports.every(({ onReachable }) => onReachable !== undefined)
  }

  close(): void {
    this.#transports = []
    for (const controller of this.#sending.values()) controller.abort()
    this.#sending.clear()
  }

  /** Undefined while the device is not there. */
  to({ device, command }: TakenCommand): Transport | undefined {
    return this.#transports.find((transport) => transport.reaches(device, command))
  }

  /** What a command that cannot be sent waits for. */
  missing({ device }: TakenCommand): string {
    for (const { waiting } of this.#transports) {
      const what = waiting?.(device)
      if (what !== undefined) return what
    }
    return 'the device to appear'
  }

  /** Resolves with the answer; with undefined when it comes by itself, or nobody wants it any more. */
  async send(command: TakenCommand, transport: Transport): Promise<CommandResult | undefined> {
    const { id, device, command: name, args, deadline } = command
    this.#sending.get(id)?.abort()
    const controller = new AbortController()
    this.#sending.set(id, controller)
    try {
      const given = { id, device, command: name, ...(args === undefined ? {} : { args }), deadline }
      const result = await transport.execute(given, controller.signal)
      return controller.signal.aborted ? undefined : result
    } finally {
      if (this.#sending.get(id) === controller) this.#sending.delete(id)
    }
  }

  /** Nobody waits for its answer any more. */
  end(id: string): void {
    this.#sending.get(id)?.abort()
    this.#sending.delete(id)
    this.#resting.delete(id)
  }

  rest(id: string): void {
    const pause = Math.min(LONGEST_PAUSE, 2 * (this.#resting.get(id)?.pause ?? FIRST_PAUSE / 2))
    this.#resting.set(id, { until: this.#clock.monotonic() + pause, pause })
  }

  wake(id: string): void {
    this.#resting.delete(id)
  }

  rests(id: string): boolean {
    const resting = this.#resting.get(id)
    return resting !== undefined && this.#clock.monotonic() < resting.until
  }
}
