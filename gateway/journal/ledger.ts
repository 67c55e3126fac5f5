/**
 * The loss ledger's first identity, per source: `in = decoded + dead(reason) + dropped(reason)`. Readings are counted;
 * a message that can't be decoded counts as one. The second identity, per source and window, is kept by the windows.
 *
 * It is part of the state that a checkpoint holds and that replay of the journal rebuilds.
 */

/** Losses of one reason; times are wall clock, ms since the epoch. */
export interface Loss {
  count: number
  first: number
  last: number
  /** Losses whose number nobody knows, e.g. what a source with `durability: none` held at a crash. */
  unknown?: number
}

export interface SourceLedger {
  readonly name: string
  in: number
  decoded: number
  bytes: number
  messages: number
  readonly dead: Record<string, Loss>
  readonly dropped: Record<string, Loss>
}

export function createSourceLedger(name: string): SourceLedger {
  return { name, in: 0, decoded: 0, bytes: 0, messages: 0, dead: Object.create(null), dropped: Object.create(null) }
}

/** Adds `count` losses of `reason`, seen between `from` and `to`. */
export function addLoss(losses: Record<string, Loss>, reason: string, count: number, from: number, to: number): void {
  const known = losses[reason]
  if (known) {
    known.count += count
    known.first = Math.min(known.first, from)
    known.last = Math.max(known.last, to)
  } else {
    losses[reason] = { count, first: from, last: to }
  }
}

export function sumOf(losses: Readonly<Record<string, Loss>>): number {
  let sum = 0
  for (const reason in losses) sum += (losses[reason] as Loss).count
  return sum
}

/** What does not balance, 0 when all is well. */
export function imbalance(ledger: SourceLedger): number {
  return ledger.in - ledger.decoded - sumOf(ledger.dead) - sumOf(ledger.dropped)
}
