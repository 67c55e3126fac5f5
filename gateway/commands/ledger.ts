/**
 * The command ledger: what the journaled facts add up to. Nothing here looks at a clock or at the outside; live traffic
 * and replay give the same ledger and the same records.
 *
 * Commands that reached a final state are remembered so that a repeated id is recognised: at most `MAX_FINAL`, and none
 * for longer than a day.
 */
import type { CommandRecord } from '../record.ts'
import { type Change, type CommandFact, type CommandOrder, isFinal, type LedgerCommand } from './command.ts'

/** What a rule wants done, until the live stage has taken it. */
export interface Order {
  readonly number: number
  readonly by: string
  readonly order: CommandOrder
}

export interface LedgerState {
  readonly commands: readonly LedgerCommand[]
  readonly orders: readonly Order[]
  readonly nextOrder: number
}

export const MAX_FINAL = 10_000
const DAY = 86_400_000

export class Ledger {
  /** By id; final ones in the order in which they were made. */
  readonly #all = new Map<string, LedgerCommand>()
  readonly #open = new Map<string, LedgerCommand>()
  readonly #ofDevice = new Map<string, Set<LedgerCommand>>()
  readonly #orders = new Map<number, Order>()
  readonly #append: (record: CommandRecord) => void
  #nextOrder = 1
  /** Since the process started, those of the replay included. */
  readonly counts = { taken: 0, ended: 0 }

  constructor(append: (record: CommandRecord) => void) {
    this.#append = append
  }

  find(id: string): LedgerCommand | undefined {
    return this.#all.get(id)
  }

  /** Commands that are not done, oldest first. */
  open(): ReadonlyMap<string, LedgerCommand> {
    return this.#open
  }

  /** Commands for a device that are not done, oldest first. */
  openOf(device: string): Iterable<LedgerCommand> {
    return this.#ofDevice.get(device) ?? []
  }

  /** Newest first. */
  *newest(): Generator<LedgerCommand> {
    const all = [...this.#all.values()]
    for (let i = all.length - 1; i >= 0; i--) yield all[i] as LedgerCommand
  }

  orders(): ReadonlyMap<number, Order> {
    return this.#orders
  }

  /** A rule orders a command; part of the processing of an entry, live and on replay. */
  order(by: string, order: CommandOrder): void {
    const number = this.#nextOrder++
    this.#orders.set(number, { number, by, order })
  }

  apply(fact: CommandFact): void {
    if (fact.type === 'change') {
      this.#change(fact)
      return
    }
    if (fact.order !== undefined) this.#orders.delete(fact.order)
    if (this.#all.has(fact.command.id)) return
    const { reason } = fact
    const command: LedgerCommand = { ...fact.command, state: 'accepted', time: fact.command.created, attempts: 0 }
    this.#all.set(command.id, command)
    this.counts.taken++
    this.#opened(command)
    this.#forget(command.created)
    this.#set(command, {
      id: command.id,
      state: fact.state,
      time: command.created,
      ...(reason === undefined ? {} : { reason }),
    })
    this.#append(recordOf(command))
  }

  state(): LedgerState {
    return {
      commands: [...this.#all.values()].map((command) => ({ ...command })),
      orders: [...this.#orders.values()],
      nextOrder: this.#nextOrder,
    }
  }

  restore({ commands, orders, nextOrder }: LedgerState): void {
    for (const saved of commands) {
      const command = { ...saved }
      this.#all.set(command.id, command)
      if (!isFinal(command.state)) this.#opened(command)
    }
    for (const order of orders) this.#orders.set(order.number, order)
    this.#nextOrder = nextOrder
  }

  /** A command that is done stays as it is: an answer that comes too late changes nothing. Sent again is no change. */
  #change(change: Change): void {
    const command = this.#open.get(change.id)
    if (!command) return
    const again = command.state === change.state
    this.#set(command, change)
    if (!again) this.#append(recordOf(command))
  }

  #set(command: LedgerCommand, { id, state, time, result, reason }: Change): void {
    command.state = state
    command.time = time
    if (state === 'sent') command.attempts++
    // Nothing left: that attempt was none.
    else if (state === 'accepted' && command.attempts > 0) command.attempts--
    if (result !== undefined) command.result = result
    if (reason === undefined) delete command.reason
    else command.reason = reason
    if (!isFinal(state)) return
    this.counts.ended++
    this.#open.delete(id)
    const others = this.#ofDevice.get(command.device)
    others?.delete(command)
    if (others?.size === 0) this.#ofDevice.delete(command.device)
  }

  #opened(command: LedgerCommand): void {
    this.#open.set(command.id, command)
    const others = this.#ofDevice.get(command.device) ?? new Set()
    others.add(command)
    this.#ofDevice.set(command.device, others)
  }

  #forget(now: number): void {
    let surplus = this.#all.size - this.#open.size - MAX_FINAL
    for (const [id, command] of this.#all) {
      if (this.#open.has(id)) continue
      if (surplus <= 0 && command.time > now - DAY) return
      this.#all.delete(id)
      surplus--
    }
  }
}

function recordOf({ id, device, command, state, time, by, result, reason }: LedgerCommand): CommandRecord {
  return {
    kind: 'command',
    id,
    device,
    command,
    state,
    time: new Date(time).toISOString(),
    by,
    ...(result === undefined ? {} : { result }),
    ...(reason === undefined ? {} : { reason }),
  }
}
