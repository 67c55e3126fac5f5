/** What a rule is, with every duration in ms. Plain JSON: definitions are journaled when they change. */
import type { IfOffline, Precondition } from '../commands/command.ts'

export type Value = string | number | boolean

/** True or false of one key at a time. A field that a reading does not carry keeps its last value. */
export type Condition =
  | { readonly and: readonly Condition[] }
  | { readonly or: readonly Condition[] }
  | { readonly not: Condition }
  | Leaf

export type Leaf =
  | Threshold
  | { readonly field: string; readonly equals: Value }
  | { readonly field: string; readonly oneOf: readonly Value[] }
  /** True on a reading whose value differs from the one before. */
  | { readonly field: string; readonly changes: true | { readonly from?: Value; readonly to?: Value } }
  | { readonly field: string; readonly rate: Rate }
  /** Nothing was heard, or nothing of that field, for so long; ms of the gateway's clock. */
  | { readonly absent: number; readonly field?: string }

/** `between` and `outside` are two numbers, the smaller one first. */
export interface Threshold {
  readonly field: string
  readonly above?: number
  readonly below?: number
  readonly between?: readonly number[]
  readonly outside?: readonly number[]
  /** Once true, it stays so until the value is back by this much. */
  readonly hysteresis?: number
}

export interface Rate {
  readonly above?: number
  readonly below?: number
  /** ms */
  readonly per: number
}

/** Texts may hold `{device}` and other parts of the key, `{rule}`, `{value}`, `{severity}`. */
export type Effect =
  | { readonly alert: true }
  | {
      readonly command: {
        readonly device: string
        readonly command: string
        readonly args?: unknown
        /** As in a command's body. */
        readonly deadline?: string
        readonly ifOffline?: IfOffline
        readonly onlyIf?: Precondition
      }
    }
  | { readonly publish: { readonly topic: string; readonly payload?: unknown; readonly retain: boolean } }

/** A rule of the config as the stage takes it. */
export function definitionsOf(
  rules: Readonly<Record<string, Omit<RuleDefinition, 'name'> & { readonly tests: unknown }>>,
): RuleDefinition[] {
  return Object.entries(rules).map(([name, { tests: _, ...rule }]) => ({ name, ...rule }))
}

export interface RuleDefinition {
  readonly name: string
  /** `readings`, or the name of a window. */
  readonly on: string
  /** Of readings; results have their own key. */
  readonly by: readonly string[]
  /** Only keys whose parts, or readings whose tags, match; `*` stands for anything. */
  readonly where: Readonly<Record<string, string>>
  readonly when: Condition
  /** Ends it; without one it ends when `when` does. */
  readonly clear?: Condition
  /** For at least so long, ms; of event time, or of the gateway's clock when nothing comes. */
  readonly for: number
  readonly severity: string
  /** Says it again so often while it lasts and nobody acknowledged it, ms; 0: never. */
  readonly repeat: number
  readonly effects: readonly Effect[]
  readonly onClear: readonly Effect[]
  /** Also readings and results older than the newest of their key. */
  readonly late: boolean
  /** Also corrections of results. */
  readonly corrections: boolean
  /** Alerts raised per minute; further ones are only counted. */
  readonly maxPerMinute: number
}
