/**
 * A command and what is known of it.
 *
 *   accepted ──▶ sent ──▶ acknowledged        the device did it
 *      │ ▲        │  ├──▶ failed              the device refused, or a person cancelled
 *      │ └────────┘  └──▶ unconfirmed         no answer by the deadline: it may have been done
 *      │  nothing left
 *      ├──▶ expired                           never sent before its deadline
 *      ├──▶ failed                            cancelled, or the device was offline and the sender did not want to wait
 *      └──▶ rejected                          not allowed, not valid, or a condition does not hold
 *
 * Every change is a fact in the journal before anything is done about it; the ledger is what the facts add up to.
 */
import type { CommandState } from '../record.ts'

/** What must be true of the device's last reading when the command is sent. */
export interface Precondition {
  readonly field: string
  readonly equals?: string | number | boolean | undefined
  readonly above?: number | undefined
  readonly below?: number | undefined
}

export const IF_OFFLINE = ['wait', 'fail'] as const
export type IfOffline = (typeof IF_OFFLINE)[number]

/** What somebody asks for. */
export interface CommandOrder {
  readonly id?: string | undefined
  readonly device: string
  readonly command: string
  readonly args?: unknown
  /** A duration such as `30s`, seconds as a number, or an ISO 8601 time. */
  readonly deadline?: string | number | undefined
  readonly ifOffline?: IfOffline | undefined
  readonly onlyIf?: Precondition | undefined
}

/** A command as it was taken. Plain JSON; times are wall clock, ms since the epoch. */
export interface TakenCommand {
  readonly id: string
  readonly device: string
  readonly command: string
  readonly args?: unknown
  readonly by: string
  readonly created: number
  readonly deadline: number
  readonly ifOffline: IfOffline
  readonly onlyIf?: Precondition
}

/** A command in the ledger. */
export interface LedgerCommand extends TakenCommand {
  state: CommandState
  /** Of the last change. */
  time: number
  /** How often it was sent. */
  attempts: number
  result?: unknown
  reason?: string
}

export interface Change {
  readonly id: string
  readonly state: CommandState
  readonly time: number
  readonly result?: unknown
  readonly reason?: string
}

/** What the stage journals. `order` is the number of the rule's order that this command came of. */
export type CommandFact =
  | {
      readonly type: 'new'
      readonly command: TakenCommand
      readonly state: 'accepted' | 'rejected'
      readonly reason?: string
      readonly order?: number
    }
  | ({ readonly type: 'change' } & Change)

const FINAL: ReadonlySet<CommandState> = new Set(['acknowledged', 'failed', 'expired', 'unconfirmed', 'rejected'])

export function isFinal(state: CommandState): boolean {
  return FINAL.has(state)
}
