/** The sources that the journal knows: their names by the index that entries carry, and where their readings went. */
import { createSourceLedger, type SourceLedger } from './ledger.ts'

export class SourceTable {
  readonly #names: string[] = []
  readonly #ledgers = new Map<string, SourceLedger>()

  /** Index of a name, or -1 when it must be journaled first. */
  indexOf(name: string): number {
    return this.#names.indexOf(name)
  }

  nameOf(index: number): string {
    return this.#names[index] ?? `unknown-${index}`
  }

  set(index: number, name: string): void {
    this.#names[index] = name
  }

  /** In the order of their indexes. */
  get names(): readonly string[] {
    return this.#names
  }

  ledger(name: string): SourceLedger {
    let ledger = this.#ledgers.get(name)
    if (!ledger) {
      ledger = createSourceLedger(name)
      this.#ledgers.set(name, ledger)
    }
    return ledger
  }

  ledgers(): readonly SourceLedger[] {
    return [...this.#ledgers.values()]
  }

  restore(names: readonly string[], ledgers: readonly SourceLedger[]): void {
    this.#names.push(...names)
    for (const { dead, dropped, ...saved } of ledgers) {
      const ledger = this.ledger(saved.name)
      Object.assign(ledger, saved)
      Object.assign(ledger.dead, dead)
      Object.assign(ledger.dropped, dropped)
    }
  }
}
