/**
 * Open commands on their way: sent when a device is there, sent again, answered, and ended by their deadline. Each is
 * looked at when something happens to it, and at its moment of the agenda; never all of them.
 */
import type { Clock } from '../clock.ts'
import { NotConnectedError, reasonOf } from '../errors.ts'
import type { CommandResult, PluginLog } from '../plugin.ts'
import { Agenda } from './agenda.ts'
import { type CommandDeclaration, type CommandOptions, unmet } from './checks.ts'
import type { Change, CommandFact, LedgerCommand, TakenCommand } from './command.ts'
import { isFinal } from './command.ts'
import type { Ledger } from './ledger.ts'
import type { Transport } from './transport.ts'
import { Ways } from './ways.ts'

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

/** How often a way that cannot tell is asked whether it reaches a device, and what found no room is tried again, ms. */
const ASK_AGAIN = 1000
/** A wall clock that moves otherwise than time by more than this was set, ms. */
const STEP = 500
/** Nothing waits longer for a look: the config or what a device is described as may change. */
const LONGEST = 10_000

export class Pursuit {
  readonly counts = { answersIgnored: 0, sendFailures: 0 }
  readonly #ledger: Ledger
  readonly #parts: CommandParts
  readonly #ways: Ways
  readonly #agenda = new Agenda()
  /** Changes that found no room in the journal, by command. */
  readonly #later = new Map<string, Change>()
  #runtime: CommandRuntime | undefined
  /** Wall clock less monotonic clock, at the last look. */
  #skew = 0

  constructor(ledger: Ledger, parts: CommandParts) {
    this.#ledger = ledger
    this.#parts = parts
    this.#ways = new Ways(parts.clock)
  }

  start(runtime: CommandRuntime): void {
    this.#runtime = runtime
    this.#ways.open(runtime.transports, (device) => this.#reachable(device))
    this.#lookAtAll()
  }

  stop(): void {
    this.#runtime = undefined
    this.#ways.close()
  }

  /** A device answers. False when nobody asked it. */
  answered(device: string, name: string, id: string, { ok, result, reason }: CommandResult): boolean {
    const command = this.#ledger.find(id)
    if (command?.device !== device || command.command !== name || command.state !== 'sent') {
      this.counts.answersIgnored++
      return false
    }
    const why = ok ? {} : { reason: reason ?? 'the device refused' }
    this.change(command, {
      state: ok ? 'acknowledged' : 'failed',
      ...(result === undefined ? {} : { result }),
      ...why,
    })
    return true
  }

  /** Journals what found no room before; false when there is still none. */
  makeUp(): boolean {
    for (const [id, change] of this.#later) {
      const command = this.#ledger.find(id)
      if (command && !this.#journal(command, change)) return false
    }
    return true
  }

  lookAtDue(): void {
    const { clock } = this.#parts
    const skew = clock.now() - clock.monotonic()
    // Deadlines are of the wall clock: when that is set, they are nearer or further than the agenda says.
    if (Math.abs(skew - this.#skew) > STEP) this.#lookAtAll()
    this.#skew = skew
    for (const id of this.#agenda.take(clock.monotonic())) {
      const command = this.#ledger.find(id)
      if (command) this.look(command)
    }
  }

  #lookAtAll(): void {
    for (const { id } of this.#ledger.open().values()) this.#agenda.settle(id, Number.NEGATIVE_INFINITY)
  }

  /** Does what is due for a command. */
  look(command: LedgerCommand): void {
    if (!isFinal(command.state) && !this.#later.has(command.id)) {
      if (this.#parts.clock.now() >= command.deadline) this.#tooLate(command)
      else if (command.state === 'accepted') this.#pursue(command)
      else this.#retry(command)
    }
    this.#settle(command)
  }

  /** It is looked at again when that may be of use. */
  #settle(command: LedgerCommand): void {
    if (isFinal(command.state)) return
    const { clock, options } = this.#parts
    const now = clock.now()
    const { attempts, after } = options().retry
    let wait = LONGEST
    if (command.state === 'accepted') {
      if (!this.#ways.tell || this.#ways.to(command)) wait = ASK_AGAIN
    } else if (command.attempts < attempts) {
      const rest = command.time + after - now
      wait = Math.min(LONGEST, rest > 0 ? rest : ASK_AGAIN)
    }
    this.#agenda.settle(command.id, clock.monotonic() + Math.min(wait, Math.max(0, command.deadline - now)))
  }

  #tooLate(command: LedgerCommand): void {
    if (command.state === 'accepted') this.change(command, { state: 'expired', reason: this.#reasonNotSent(command) })
    else this.change(command, { state: 'unconfirmed', reason: 'no answer by the deadline: it may have been done' })
  }

  #reasonNotSent(command: LedgerCommand): string {
    if (!this.#ways.to(command)) return `waited in vain for ${this.#ways.missing(command)}`
    return command.reason ?? 'there was no time to send it'
  }

  #pursue(command: LedgerCommand): void {
    if (this.#ways.rests(command.id)) return
    const transport = this.#ways.to(command)
    if (!transport) {
      if (command.ifOffline === 'fail') this.change(command, { state: 'failed', reason: 'the device is offline' })
      return
    }
    const { onlyIf } = command
    const problem = onlyIf && unmet(onlyIf, this.#parts.lastValue(command.device, onlyIf.field))
    if (problem !== undefined) this.change(command, { state: 'rejected', reason: problem })
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
  reasonToWait(command: TakenCommand): string | undefined {
    if (command.ifOffline === 'fail' || this.#ways.to(command)) return undefined
    return `waits for ${this.#ways.missing(command)}`
  }

  /** `sent` is on disk before the first byte leaves. */
  #send(command: LedgerCommand, transport: Transport): void {
    if (!this.change(command, { state: 'sent' })) return
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
    this.counts.sendFailures++
    if (!this.#runtime || command.state !== 'sent') return
    const { id, device } = command
    this.#parts.log.warn({ id, device, reason: reasonOf(failure) }, `command ${id} could not be sent to ${device}`)
    // What an earlier attempt did is not known.
    if (!(failure instanceof NotConnectedError) || command.attempts > 1) return
    this.#ways.rest(id)
    this.change(command, { state: 'accepted', reason: `not sent: ${reasonOf(failure)}` })
  }

  /** @param device `*`: whoever waits */
  #reachable(device: string): void {
    const waiting = device === '*' ? this.#ledger.open().values() : this.#ledger.openOf(device)
    for (const command of [...waiting]) {
      this.#ways.wake(command.id)
      if (command.state === 'accepted') this.look(command)
    }
  }

  change(command: LedgerCommand, change: Omit<Change, 'id' | 'time'>): boolean {
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
    if (isFinal(command.state)) {
      this.#ways.end(command.id)
      this.#agenda.end(command.id)
    } else this.#settle(command)
    return true
  }
}
