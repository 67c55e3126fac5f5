/**
 * The live side of the commands: takes orders, checks and journals them, and has them pursued.
 *
 *   order ─▶ checks ─▶ fact `accepted` ─▶ reachable? ─▶ fact `sent` ─▶ durable ─▶ transport ─▶ answer ─▶ fact
 *                                          │ no: waits for the device, until the deadline
 *
 * Whatever is decided here is a fact in the journal first; the ledger follows the facts, here and on replay. So a
 * gateway that starts again finds every command where it was: what waited goes on waiting, what was sent is not sent
 * again unless the retry policy says so, and becomes `unconfirmed` at its deadline.
 */
import { isDeviceId } from '../decode/devices.ts'
import { BusyError } from '../errors.ts'
import type { CommandResult } from '../plugin.ts'
import type { CommandRecord } from '../record.ts'
import { isCommandName, refusedBy, undeclared } from './checks.ts'
import { type CommandFact, type CommandOrder, isFinal, type LedgerCommand } from './command.ts'
import { Ledger, type LedgerState } from './ledger.ts'
import { type CommandParts, type CommandRuntime, Pursuit } from './pursuit.ts'
import { takeOrder } from './take.ts'

export const STAGE = 'commands'

export interface Submitted {
  readonly repeated: boolean
  readonly command: LedgerCommand
}

/** What happened to answers and transports, for the metrics. */
export interface CommandCounts {
  /** Since the gateway started. */
  readonly taken: number
  readonly ended: number
  readonly open: number
  readonly answersIgnored: number
  readonly sendFailures: number
}

/** Watches the pipeline: its facts, and the replay of them. */
export class CommandStage {
  readonly ledger: Ledger
  readonly #parts: CommandParts
  #append: (record: CommandRecord) => void = () => undefined
  #runtime: CommandRuntime | undefined
  readonly #pursuit: Pursuit
  #draining = false

  constructor(parts: CommandParts) {
    this.#parts = parts
    this.ledger = new Ledger((record) => this.#append(record))
    this.#pursuit = new Pursuit(this.ledger, parts)
  }

  attach(pipeline: { append(recordClass: 'event', record: CommandRecord): void }): void {
    this.#append = (record) => pipeline.append('event', record)
  }

  fact(stage: string, fact: unknown): void {
    if (stage === STAGE) this.ledger.apply(fact as CommandFact)
  }

  snapshot(): LedgerState {
    return this.ledger.state()
  }

  restore(state: unknown): void {
    if (state !== undefined) this.ledger.restore(state as LedgerState)
  }

  /** A rule orders a command, while an entry is processed; it is taken when that is over. */
  order(by: string, order: CommandOrder): void {
    this.ledger.order(by, order)
    if (this.#runtime === undefined || this.#draining) return
    this.#draining = true
    queueMicrotask(() => this.#drain())
  }

  /** The replay is over: from now on commands go out. */
  start(runtime: CommandRuntime): void {
    this.#runtime = runtime
    this.#pursuit.start(runtime)
    this.poke()
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#runtime = undefined
    this.#pursuit.stop()
  }

  /**
   * Resolves when the command is durable, in whatever state.
   *
   * @param by who asked, e.g. `api`, `upstream:cloud`
   * @throws RequestError the order makes no sense
   * @throws BusyError no room in the journal now
   */
  async submit(order: CommandOrder, by: string): Promise<Submitted> {
    const runtime = this.#live()
    const known = order.id === undefined ? undefined : this.ledger.find(order.id)
    const command = known ?? this.#take(order, by)
    await this.#durable(runtime)
    return { repeated: known !== undefined, command }
  }

  /** Resolves when the cancellation is durable; undefined when there is no such command. One that is done stays so. */
  async cancel(id: string, by: string): Promise<LedgerCommand | undefined> {
    const runtime = this.#live()
    const command = this.ledger.find(id)
    if (!command || isFinal(command.state)) return command
    const sent = command.state === 'sent' ? ' after it was sent: it may have been done' : ''
    this.#pursuit.change(command, { state: 'failed', reason: `cancelled by ${by}${sent}` })
    await this.#durable(runtime)
    return command
  }

  /** A device answers. False when nobody asked it. */
  answered(device: string, name: string, id: string, result: CommandResult): boolean {
    return this.#pursuit.answered(device, name, id, result)
  }

  /** Looks at deadlines, retries and what waits; called about ten times a second. */
  poke(): void {
    if (!this.#runtime || !this.#pursuit.makeUp()) return
    if (this.ledger.orders().size > 0) this.#drain()
    this.#pursuit.lookAtDue()
  }

  counts(): CommandCounts {
    const { taken, ended } = this.ledger.counts
    return {
      taken,
      ended,
      open: this.ledger.open().size,
      ...this.#pursuit.counts,
    }
  }

  #live(): CommandRuntime {
    if (!this.#runtime) throw new BusyError('SLUICE_STARTING', 'the gateway is starting or stopping')
    return this.#runtime
  }

  #durable(runtime: CommandRuntime): Promise<void> {
    return new Promise((resolve, reject) => {
      runtime.whenDurable((error) => (error ? reject(error) : resolve()))
    })
  }

  /** What rules ordered becomes commands. */
  #drain(): void {
    this.#draining = false
    if (!this.#runtime) return
    for (const { number, by, order } of [...this.ledger.orders().values()]) {
      try {
        this.#take(order, by, number)
      } catch (error) {
        // No room: the order stays in the ledger and is taken at the next look.
        if (error instanceof BusyError) return
        throw error
      }
    }
  }

  /** @throws BusyError @throws RequestError */
  #take(order: CommandOrder, by: string, number?: number): LedgerCommand {
    const runtime = this.#live()
    const { clock, options } = this.#parts
    const command = takeOrder(order, by, clock.now(), options().deadline)
    const refused = this.#refused(order, by)
    const reason = refused ?? this.#pursuit.reasonToWait(command)
    const entry = runtime.journal({
      type: 'new',
      command,
      state: refused === undefined ? 'accepted' : 'rejected',
      ...(reason === undefined ? {} : { reason }),
      ...(number === undefined ? {} : { order: number }),
    })
    const taken = this.ledger.find(command.id)
    if (entry < 0 || !taken) throw new BusyError('SLUICE_BUSY', 'no room in the journal now')
    this.#pursuit.look(taken)
    return taken
  }

  #refused(order: CommandOrder, by: string): string | undefined {
    const { allow, maxOpen } = this.#parts.options()
    if (!isDeviceId(order.device)) return 'the device is no device id'
    if (!isCommandName(order.command)) return 'a command is a name without /, +, # and control characters'
    if (this.ledger.open().size >= maxOpen) return `${maxOpen} commands are open already`
    return refusedBy(allow, by, order) ?? undeclared(this.#parts.declared(order.device), order)
  }
}
