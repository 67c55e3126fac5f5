/** What the broker counts, for `/metrics`, `/api/status` and people. Everything only grows. */
export class Counters {
  connects = 0
  messagesIn = 0
  messagesOut = 0
  bytesIn = 0
  bytesOut = 0
  /** Connections refused or ended by us, by reason. */
  readonly refused = new Map<string, number>()
  /** Messages not delivered, by reason. */
  readonly dropped = new Map<string, number>()

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }

  drop(reason: string, count = 1): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + count)
  }
}
