/** What only the clock or a person decides: a fact in the journal before the rules act on it. */
import type { RuleDefinition } from './definition.ts'

export const STAGE = 'rules'

/** Times are wall clock, ms since the epoch. */
export type RuleFact =
  | { readonly type: 'define'; readonly rules: readonly RuleDefinition[]; readonly now: number }
  | { readonly type: 'start'; readonly now: number }
  | { readonly type: 'tick'; readonly now: number }
  /** The wall clock was set; `by` ms. */
  | { readonly type: 'step'; readonly by: number; readonly now: number }
  | ({ readonly type: 'acknowledge'; readonly id: string; readonly now: number } & Seen)

/** Who has seen an alert, and what they have to say about it. */
export interface Seen {
  readonly by: string
  readonly note?: string
}
