/**
 * The live side of the commands: takes orders, decides, journals, sends, and hears the answers.
 *
 *   order ─▶ checks ─▶ fact `accepted` ─▶ reachable? ─▶ fact `sent` ─▶ durable ─▶ transport ─▶ answer ─▶ fact
 *                                          │ no: waits for the device, until the deadline
 *
 * Whatever is decided here is a fact in the journal first; the ledger follows the facts, here and on replay. So a
 * gateway that starts again finds every command where it was: what waited goes on waiting, what was sent is not sent
 * again unless the retry policy says so, and becomes `unconfirmed` at its deadline.
 */
import type { Clock } from '../clock.ts'
import { isDeviceId } from '../decode/devices.ts'
import { BusyError, NotConnectedError, reasonOf } from '../errors.ts'
import type { CommandResult, PluginLog } from '../plugin.ts'
import type { CommandRecord } from '../record.ts'
import { type CommandDeclaration, type CommandOptions, isCommandName, refusedBy, undeclared, unmet } from './checks.ts'
import type { Change, CommandFact, CommandOrder, LedgerCommand, TakenCommand } from './command.ts'
import { isFinal } from './command.ts'
import { Ledger, type LedgerState } from './ledger.ts'
import { takeOrder } from './take.ts'
import type { Transport } from './transport.ts'
import { Ways } from './ways.ts'

export const STAGE = 'commands'

export interface CommandParts {
  readonly clock: Clock
  readonly log: PluginLog
  readonly options: () => CommandOptions
  /** What a device is declared to know; undefined: anything goes. */
  readonly declared: (device: string) => Readonly<Record<string, CommandDeclaration>> | undefined
  /** The field's value in the device's last reading. */
  readonly lastValue: (device: string, field: string) => number | string | boolean | undefined
}

/** What the stage needs once the gateway is live. */
export interface CommandRuntime {
  /** Journals a fact and acts on it; its entry, or -1 when there is no room. */
  journal(fact: CommandFact): number
  /** Calls back when all that was journaled so far is on disk, or with an error when that will not happen. In order. */
  whenDurable(callback: (error: Error | null) => void): void
  /** Asked in this order. */
  readonly transports: readonly Transport[]
}

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

/** How often the ways are asked whether they reach the devices of commands that wait, ms. */
const ASK_AGAIN = 1000

/** Watches the pipeline: its facts, and the replay of them. */
export class CommandStage {
  readonly ledger: Ledger
  readonly #parts: CommandParts
  #append: (record: CommandRecord) => void = () => undefined
  #runtime: CommandRuntime | undefined
  /** Changes that found no room in the journal, by command. */
  readonly #later = new Map<string, Change>()
  readonly #ways: Ways
  #draining = false
  /** Monotonic ms. */
  #askedAll = Number.NEGATIVE_INFINITY
  #answersIgnored = 0
  #sendFailures = 0

  constructor(parts: CommandParts) {
    this.#parts = parts
    this.#ways = new Ways(parts.clock)
    this.ledger = new Ledger((record) => this.#append(record))
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
    this.#ways.open(runtime.transports, (device) => this.#reachable(device))
    this.poke()
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#runtime = undefined
    this.#ways.close()
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
    this.#change(command, { state: 'failed', reason: `cancelled by ${by}${sent}` })
    await this.#durable(runtime)
    return command
  }

  /** A device answers. False when nobody asked it. */
  answered(device: string, name: string, id: string, { ok, result, reason }: CommandResult): boolean {
    const command = this.ledger.find(id)
    if (command?.device !== device || command.command !== name || command.state !== 'sent') {
      this.#answersIgnored++
      return false
    }
    const why = ok ? {} : { reason: reason ?? 'the device refused' }
    this.#change(command, {
      state: ok ? 'acknowledged' : 'failed',
      ...(result === undefined ? {} : { result }),
      ...why,
    })
    return true
  }

  /** Looks at deadlines, retries and what waits; called about ten times a second. */
  poke(): void {
    if (!this.#runtime) return
    for (const [id, change] of this.#later) {
      const command = this.ledger.find(id)
      if (command && !this.#journal(command, change)) return
    }
    if (this.ledger.orders().size > 0) this.#drain()
    const { clock } = this.#parts
    // Ways say when a device appears; this is for those that cannot.
    const asksAll = clock.monotonic() - this.#askedAll >= ASK_AGAIN
    if (asksAll) this.#askedAll = clock.monotonic()
    const now = clock.now()
    for (const command of [...this.ledger.open().values()])
      if (asksAll || command.state === 'sent' || now >= command.deadline) this.#look(command)
  }

  counts(): CommandCounts {
    const { taken, ended } = this.ledger.counts
    return {
      taken,
      ended,
      open: this.ledger.open().size,
      answersIgnored: this.#answersIgnored,
      sendFailures: this.#sendFailures,
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
    const reason = refused ?? this.#reasonToWait(command)
    const entry = runtime.journal({
      type: 'new',
      command,
      state: refused === undefined ? 'accepted' : 'rejected',
      ...(reason === undefined ? {} : { reason }),
      ...(number === undefined ? {} : { order: number }),
    })
    const taken = this.ledger.find(command.id)
    if (entry < 0 || !taken) throw new BusyError('SLUICE_BUSY', 'no room in the journal now')
    this.#look(taken)
    return taken
  }

  #refused(order: CommandOrder, by: string): string | undefined {
    const { allow, maxOpen } = this.#parts.options()
    if (!isDeviceId(order.device)) return 'the device is no device id'
    if (!isCommandName(order.command)) return 'a command is a name without /, +, # and control characters'
    if (this.ledger.open().size >= maxOpen) return `${maxOpen} commands are open already`
    return refusedBy(allow, by, order) ?? undeclared(this.#parts.declared(order.device), order)
  }

  /** Does what is due for a command. */
  #look(command: LedgerCommand): void {
    if (isFinal(command.state) || this.#later.has(command.id)) return
    if (this.#parts.clock.now() >= command.deadline) this.#tooLate(command)
    else if (command.state === 'accepted') this.#pursue(command)
    else this.#retry(command)
  }

  #tooLate(command: LedgerCommand): void {
    if (command.state === 'accepted') this.#change(command, { state: 'expired', reason: this.#reasonNotSent(command) })
    else this.#change(command, { state: 'unconfirmed', reason: 'no answer by the deadline: it may have been done' })
  }

  #reasonNotSent(command: LedgerCommand): string {
    if (!this.#ways.to(command)) return `waited in vain for ${this.#ways.missing(command)}`
    return command.reason ?? 'there was no time to send it'
  }

  #pursue(command: LedgerCommand): void {
    if (this.#ways.rests(command.id)) return
    const transport = this.#ways.to(command)
    if (!transport) {
      if (command.ifOffline === 'fail') this.#change(command, { state: 'failed', reason: 'the device is offline' })
      return
    }
    const { onlyIf } = command
    const problem = onlyIf && unmet(onlyIf, this.#parts.lastValue(command.device, onlyIf.field))
    if (problem !== undefined) this.#change(command, { state: 'rejected', reason: problem })
    else this.#send(command, transport)
  }

  /** Again, under the same id: a device drops what it has had. */
  #retry(command: LedgerCommand): void {
    const { attempts, after } = this.#parts.options().retry
    if (command.attempts >= attempts || this.#parts.clock.now() - command.time < after) return
    const transport = this.#ways.to(command)
    if (transport) this.#send(command, transport)
  }

  /** Undefined when it can be sent at once, or does not want to wait. */
  #reasonToWait(command: TakenCommand): string | undefined {
    if (command.ifOffline === 'fail' || this.#ways.to(command)) return undefined
    return `waits for ${this.#ways.missing(command)}`
  }

  /** `sent` is on disk before the first byte leaves. */
  #send(command: LedgerCommand, transport: Transport): void {
    if (!this.#change(command, { state: 'sent' })) return
    const { attempts } = command
    this.#runtime?.whenDurable((error) => {
      if (error || command.state !== 'sent' || command.attempts !== attempts) return
      this.#transmit(command, transport).catch((failure) => this.#failed(command, failure))
    })
  }

  async #transmit(command: LedgerCommand, transport: Transport): Promise<void> {
    if (!this.#runtime) return
    const result = await this.#ways.send(command, transport)
    if (result) this.answered(command.device, command.command, command.id, result)
  }

  #failed(command: LedgerCommand, failure: unknown): void {
    this.#sendFailures++
    if (!this.#runtime || command.state !== 'sent') return
    const { id, device } = command
    this.#parts.log.warn({ id, device, reason: reasonOf(failure) }, `command ${id} could not be sent to ${device}`)
    // What an earlier attempt did is not known.
    if (!(failure instanceof NotConnectedError) || command.attempts > 1) return
    this.#ways.rest(id)
    this.#change(command, { state: 'accepted', reason: `not sent: ${reasonOf(failure)}` })
  }

  /** @param device `*`: whoever waits */
  #reachable(device: string): void {
    const waiting = device === '*' ? this.ledger.open().values() : this.ledger.openOf(device)
    for (const command of [...waiting]) {
      this.#ways.wake(command.id)
      if (command.state === 'accepted') this.#look(command)
    }
  }

  #change(command: LedgerCommand, change: Omit<Change, 'id' | 'time'>): boolean {
    if (this.#later.has(command.id)) return false
    return this.#journal(command, { id: command.id, time: this.#parts.clock.now(), ...change })
  }

  /** False when there is no room now: it is tried again. */
  #journal(command: LedgerCommand, change: Change): boolean {
    const entry = this.#runtime?.journal({ type: 'change', ...change }) ?? -1
    if (entry < 0) {
      // Nothing was done about `sent` yet: it is decided anew.
      if (change.state !== 'sent') this.#later.set(command.id, change)
      return false
    }
    this.#later.delete(command.id)
    if (isFinal(command.state)) this.#ways.end(command.id)
    return true
  }
}
