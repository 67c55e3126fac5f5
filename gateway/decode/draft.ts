/**
 * The general path's half-made reading: names and values in the order in which they came, checked one by one against
 * the rule, then put into the row. Every reason for which a field can be refused is here; the fast lane steps aside
 * whenever one of them could apply.
 */
import { DecodeError } from '../errors.ts'
import { BOOLEAN, type Kind, MAX_FIELDS, NUMBER, type Reading, type Shape, TEXT } from '../reading.ts'
import { readTime } from './event-time.ts'
import type { Found } from './found.ts'
import { type CompiledRule, DEVICE, type FieldPlan, REFUSE, SKIP, TAG, TIME } from './rule.ts'
import { isWellFormed, MAX_TEXT } from './text-cache.ts'

/** A field's value as a codec gives it; null and undefined are no value. */
export type Scalar = string | number | boolean | null | undefined

export interface Draft {
  /** Forgets what it holds. */
  begin(rule: CompiledRule): void
  /** Adds a field; one of the same name that came before keeps its place and takes the new value. @throws DecodeError */
  add(name: string, value: Scalar): void
  /** Adds a field from text that carries no type, as in CSV. @throws DecodeError */
  cell(name: string, text: string): void
  /** Says that the name holds an object or an array, whose values follow by their paths. @throws DecodeError */
  inside(name: string): void
  /** The event time, ms since the epoch, when it does not come from a field. */
  timeIs(ms: number): void
  /** Fills the row. @throws DecodeError `missing`, `empty` */
  finish(found: Found): void
}

const MAX_NAME = 256
/** As JSON writes numbers, with a sign or without a digit at either side of the point; 007 is no number but a text. */
const NUMERIC = /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const NUMERIC_DECLARED = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const NOT_FINITE = /^[+-]?(?:NaN|Infinity)$/

/** @param row where values go @param root the tree of shapes */
export function createDraft(row: Reading, root: Shape): Draft {
  const names: string[] = []
  const kinds: Kind[] = []
  const places = new Map<string, number>()
  const tagValues = new Map<number, string>()
  let rule: CompiledRule
  let shape = root
  let time = Number.NaN
  let device: string | undefined

  function put(name: string, kind: Kind, number: number, text: string): void {
    let at = places.get(name)
    if (at === undefined) {
      at = names.length
      if (at === MAX_FIELDS) throw new DecodeError('too_many_fields', `more than ${MAX_FIELDS} fields`)
      checkName(name)
      places.set(name, at)
      names.push(name)
    }
    kinds[at] = kind
    row.numbers[at] = number
    row.texts[at] = text
  }

  function addField(name: string, value: string | number | boolean, plan: FieldPlan): void {
    if (typeof value === 'boolean') {
      if (plan.kind !== undefined && plan.kind !== BOOLEAN) throw wrongType(name, plan, value)
      put(name, BOOLEAN, value ? 1 : 0, '')
    } else if (typeof value === 'number') {
      if (plan.kind !== undefined && plan.kind !== NUMBER) throw wrongType(name, plan, value)
      put(name, NUMBER, checkNumber(name, value, plan), '')
    } else if (plan.kind === NUMBER) {
      put(name, NUMBER, checkNumber(name, numberIn(name, value, plan), plan), '')
    } else {
      if (plan.kind === BOOLEAN) throw wrongType(name, plan, value)
      put(name, TEXT, 0, checkText(name, value))
    }
  }

  function addAs(name: string, value: string | number | boolean, plan: FieldPlan): void {
    if (plan.role === SKIP) return
    if (plan.role === REFUSE) throw new DecodeError('unknown', `field ${shown(name)} is not declared`)
    if (plan.role === TIME) time = readTime(value, rule.timeUnit)
    else if (plan.role === DEVICE) device = checkText(name, String(value))
    else if (plan.role === TAG) tagValues.set(plan.tag, checkText(name, String(value)))
    else addField(name, value, plan)
  }

  return {
    begin(next) {
      rule = next
      names.length = 0
      kinds.length = 0
      places.clear()
      tagValues.clear()
      time = Number.NaN
      device = undefined
    },

    add(name, value) {
      if (value === null || value === undefined) return
      addAs(name, value, rule.planOf(name))
    },

    cell(name, text) {
      const plan = rule.planOf(name)
      addAs(name, plan.role === SKIP ? text : typed(name, text, plan), plan)
    },

    inside(name) {
      const plan = rule.planOf(name)
      if (plan.role === TIME) throw new DecodeError('time', `time field ${shown(name)} is no time`)
      if (plan.role === DEVICE) throw new DecodeError('device', `field ${shown(name)} names no device`)
      if (plan.role === TAG || plan.kind !== undefined) {
        throw new DecodeError('type', `field ${shown(name)} is an object or an array`)
      }
    },

    timeIs(ms) {
      time = ms
    },

    finish(found) {
      for (const name of rule.required) {
        if (!places.has(name)) throw new DecodeError('missing', `field ${shown(name)} is missing`)
      }
      if (names.length === 0) throw new DecodeError('empty', 'it has no fields')
      if (!isOf(shape, names, kinds)) shape = shapeOf(root, names, kinds)
      found.shape = shape
      found.time = time
      found.device = device
      found.tagIndexes = tagValues.size === 0 ? NONE : tagIndexes(rule, tagValues)
      for (const [i, value] of tagValues) found.tagValues[i] = value
      found.lookupAt = rule.lookups.length === 0 ? NONE : rule.lookups.map(({ by }) => places.get(by) ?? -1)
    },
  }
}

const NONE: readonly number[] = []

/** Whether the shape has just these fields: most messages of a kind come one after the other. */
function isOf(shape: Shape, names: readonly string[], kinds: readonly Kind[]): boolean {
  if (shape.size !== names.length) return false
  for (let i = 0; i < names.length; i++) {
    if (shape.names[i] !== names[i] || shape.kinds[i] !== kinds[i]) return false
  }
  return true
}

function shapeOf(root: Shape, names: readonly string[], kinds: readonly Kind[]): Shape {
  let shape = root
  for (let i = 0; i < names.length; i++) shape = shape.with(names[i] as string, kinds[i] as Kind)
  return shape
}

function tagIndexes(rule: CompiledRule, values: ReadonlyMap<number, string>): readonly number[] {
  const indexes: number[] = []
  for (let i = 0; i < rule.tags.length; i++) if (values.has(i)) indexes.push(i)
  return indexes
}

function checkNumber(name: string, value: number, plan: FieldPlan): number {
  if (!Number.isFinite(value)) throw new DecodeError('number', `field ${shown(name)} is no finite number`)
  if (plan.integer && !Number.isInteger(value)) throw wrongType(name, plan, value)
  if (value < plan.min || value > plan.max) {
    throw new DecodeError('range', `field ${shown(name)} is ${value}, not within ${plan.min} and ${plan.max}`)
  }
  return value
}

function numberIn(name: string, text: string, plan: FieldPlan): number {
  const trimmed = text.trim()
  if (trimmed.length > 1000 || !NUMERIC_DECLARED.test(trimmed)) throw wrongType(name, plan, text)
  return Number(trimmed)
}

function checkText(name: string, text: string): string {
  // A character is at most three bytes per unit of length.
  if (text.length * 3 > MAX_TEXT && Buffer.byteLength(text) > MAX_TEXT) {
    throw new DecodeError('too_long', `field ${shown(name)} is longer than 64 KB`)
  }
  if (!isWellFormed(text)) throw new DecodeError('utf8', `field ${shown(name)} has half a surrogate pair`)
  return text
}

function checkName(name: string): void {
  if (name.length * 3 > MAX_NAME && Buffer.byteLength(name) > MAX_NAME) {
    throw new DecodeError('too_long', `field name ${shown(name)} is longer than ${MAX_NAME} bytes`)
  }
  if (!isWellFormed(name)) throw new DecodeError('utf8', 'a field name has half a surrogate pair')
}

/** The value that a text without a type means under the plan. */
function typed(name: string, text: string, plan: FieldPlan): string | number | boolean {
  if (plan.role === TIME || plan.role === DEVICE || plan.role === TAG || plan.kind === TEXT) return text
  if (NOT_FINITE.test(text)) throw new DecodeError('number', `field ${shown(name)} is no finite number`)
  if (plan.kind === NUMBER) return text
  if (plan.kind === BOOLEAN && (text === '1' || text === '0')) return text === '1'
  if (text === 'true' || text === 'false') return text === 'true'
  return text.length <= 1000 && NUMERIC.test(text) ? Number(text) : text
}

function wrongType(name: string, plan: FieldPlan, value: unknown): DecodeError {
  const wanted = plan.integer ? 'integer' : plan.kind === NUMBER ? 'number' : plan.kind === TEXT ? 'text' : 'boolean'
  return new DecodeError('type', `field ${shown(name)} is declared as ${wanted}, not ${shown(JSON.stringify(value))}`)
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
