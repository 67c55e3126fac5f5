/** Whether a new connection may come in at all, decided before a byte of it is read. */
import type { Clock } from '../clock.ts'
import type { Counters } from './counters.ts'
import type { BrokerLimits } from './options.ts'
import type { RareLog } from './rare-log.ts'

export class Admission {
  readonly #clock: Clock
  readonly #counters: Counters
  readonly #rareLog: RareLog
  readonly #perAddress = new Map<string, number>()
  readonly #limits: BrokerLimits
  #total = 0
  /** Connections that may come in at once; refills with time. */
  #allowance: number
  #refilled: number

  constructor(clock: Clock, limits: BrokerLimits, counters: Counters, rareLog: RareLog) {
    this.#clock = clock
    this.#limits = limits
    this.#counters = counters
    this.#rareLog = rareLog
    this.#allowance = limits.connectRate
    this.#refilled = clock.monotonic()
  }

  get total(): number {
    return this.#total
  }

  /** True: it counts from now on, until `leave`. */
  enter(address: string): boolean {
    const reason = this.#reasonAgainst(address)
    if (reason) {
      this.#counters.refuse(reason)
      this.#rareLog.warn(`${reason} ${address}`, { reason, address }, 'mqtt connection refused')
      return false
    }
    this.#allowance--
    this.#total++
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
    return true
  }

  leave(address: string): void {
    this.#total--
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
  }

  #reasonAgainst(address: string): string | null {
    const now = this.#clock.monotonic()
    const { connections, connectionsPerAddress, connectRate } = this.#limits
    this.#allowance = Math.min(connectRate, this.#allowance + ((now - this.#refilled) * connectRate) / 1000)
    this.#refilled = now
    if (this.#total >= connections) return 'connections'
    if ((this.#perAddress.get(address) ?? 0) >= connectionsPerAddress) return 'connections_per_address'
    return this.#allowance < 1 ? 'connect_rate' : null
  }
}
