/** Decode rules as the config gives them, and compiled: what each field name means under a rule. */
import { BOOLEAN, type Kind, NUMBER, TEXT } from '../reading.ts'
import type { TimeUnit } from './event-time.ts'
import { compilePattern, type TopicPattern } from './topic-pattern.ts'

export type Codec = 'auto' | 'json' | 'senml' | 'cbor' | 'csv' | 'text'
export type FieldType = 'number' | 'integer' | 'text' | 'boolean'
export type Unknown = 'accept' | 'refuse' | 'ignore'

/** What is declared of one field. */
export interface FieldRule {
  readonly type: FieldType
  /** Shown to people, not converted. */
  readonly unit?: string | undefined
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** A reading without it is refused as `missing`. */
  readonly required?: boolean | undefined
}

/** Adds columns of a table's row as tags. */
export interface LookupRule {
  /** Name of the table. */
  readonly table: string
  /** A tag, `device`, `stream` or a field; its text is the key of the row. */
  readonly by: string
  /** Columns that become tags. */
  readonly add: readonly string[]
}

/** One entry of the `decode` list. Names of fields inside objects are dotted paths. */
export interface DecodeRule {
  /** See topic-pattern.ts. */
  readonly topic: string
  /** Default `auto`: by content type, then by the first bytes. */
  readonly codec?: Codec | undefined
  /** The field that holds the event time. It is no field of the reading. */
  readonly time?: string | undefined
  readonly timeUnit?: TimeUnit | undefined
  /** CSV: names of the first columns; '', '_' and '-' are read over. */
  readonly columns?: readonly string[] | undefined
  /** CSV: the first line of each message holds names. */
  readonly header?: boolean | undefined
  /** CSV: one character, default comma. */
  readonly delimiter?: string | undefined
  /** The field that names the device, instead of the topic. It is no field of the reading. */
  readonly deviceField?: string | undefined
  readonly fields?: Readonly<Record<string, FieldRule>> | undefined
  /** What becomes of fields that are not declared, default `accept`. */
  readonly unknown?: Unknown | undefined
  /** Fields left out, with all that is inside them. */
  readonly exclude?: readonly string[] | undefined
  /** Fields that become tags instead. */
  readonly tags?: readonly string[] | undefined
  /** Constant tags. */
  readonly set?: Readonly<Record<string, string>> | undefined
  readonly lookup?: readonly LookupRule[] | undefined
  /** How far ahead of the gateway's clock a time may be, ms, default one hour. */
  readonly future?: number | undefined
  /** The tag that tells device types apart where field types are shown. */
  readonly deviceType?: string | undefined
}

/** What a field name means under a rule. */
export const FIELD = 0
export const TIME = 1
export const DEVICE = 2
export const TAG = 3
export const SKIP = 4
export const REFUSE = 5
export type Role = typeof FIELD | typeof TIME | typeof DEVICE | typeof TAG | typeof SKIP | typeof REFUSE

export interface FieldPlan {
  readonly role: Role
  /** Undefined when any kind is taken as it comes. */
  readonly kind: Kind | undefined
  readonly integer: boolean
  /** Infinite where there is no bound. */
  readonly min: number
  readonly max: number
  /** Position in the rule's `tags` when the role is TAG. */
  readonly tag: number
}

export interface CompiledRule {
  readonly options: DecodeRule
  readonly pattern: TopicPattern
  readonly codec: Codec
  readonly timeUnit: TimeUnit
  /** ms */
  readonly future: number
  readonly tags: readonly string[]
  readonly lookups: readonly LookupRule[]
  /** Names of declared fields that must be there. */
  readonly required: readonly string[]
  planOf(name: string): FieldPlan
}

const KINDS = { number: NUMBER, integer: NUMBER, text: TEXT, boolean: BOOLEAN } as const
const HOUR = 3_600_000

/** @throws StartError `SLUICE_TOPIC_PATTERN` */
export function compileRule(options: DecodeRule): CompiledRule {
  const fields = Object.entries(options.fields ?? {})
  const tags = [...new Set(options.tags ?? [])]
  const plans = fieldPlans(options, tags)
  const excluded = new Set(options.exclude ?? [])
  const unknown = plan(options.unknown === 'refuse' ? REFUSE : options.unknown === 'ignore' ? SKIP : FIELD)
  const skip = plan(SKIP)
  return {
    options,
    pattern: compilePattern(options.topic),
    codec: options.codec ?? 'auto',
    timeUnit: options.timeUnit ?? 'auto',
    future: options.future ?? HOUR,
    tags,
    lookups: options.lookup ?? [],
    required: fields.flatMap(([name, rule]) => (rule.required && plans.get(name)?.role === FIELD ? [name] : [])),
    planOf: (name) => plans.get(name) ?? (isInside(excluded, name) ? skip : unknown),
  }
}

/** Plans of all names that the rule mentions; later ones win: a time field is the time whatever else is said of it. */
function fieldPlans(options: DecodeRule, tags: readonly string[]): Map<string, FieldPlan> {
  const plans = new Map<string, FieldPlan>()
  for (const [name, rule] of Object.entries(options.fields ?? {})) plans.set(name, declared(rule))
  for (const name of options.exclude ?? []) plans.set(name, plan(SKIP))
  for (const [i, name] of tags.entries()) plans.set(name, { ...plan(TAG), tag: i })
  if (options.deviceField !== undefined) plans.set(options.deviceField, plan(DEVICE))
  if (options.time !== undefined) plans.set(options.time, plan(TIME))
  return plans
}

function declared(rule: FieldRule): FieldPlan {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = rule
  return { ...plan(FIELD), kind: KINDS[rule.type], integer: rule.type === 'integer', min, max }
}

function plan(role: Role): FieldPlan {
  const { NEGATIVE_INFINITY: min, POSITIVE_INFINITY: max } = Number
  return { role, kind: undefined, integer: false, min, max, tag: -1 }
}

/** Whether an object around the field is left out: `meta.radio.rssi` is inside `meta`. */
function isInside(excluded: ReadonlySet<string>, name: string): boolean {
  if (excluded.size === 0) return false
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (excluded.has(name.slice(0, dot))) return true
  }
  return false
}
