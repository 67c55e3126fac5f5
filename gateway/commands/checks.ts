/** Whether a command may be given: who may command what, what the device is declared to know, what must be true. */
import type { CommandOrder, Precondition } from './command.ts'

/** One permission; a pattern may hold `*`. What is absent matches everything. */
export interface Permission {
  readonly by?: string
  readonly device?: string
  readonly command?: string
}

/** Durations in ms. */
export interface CommandOptions {
  /** For orders that name no deadline. */
  readonly deadline: number
  readonly retry: { readonly attempts: number; readonly after: number }
  readonly maxOpen: number
  readonly allow?: readonly Permission[]
}

export interface ArgumentDeclaration {
  readonly type: 'number' | 'text' | 'boolean'
  readonly min?: number
  readonly max?: number
  readonly oneOf?: readonly string[]
  readonly unit?: string
  readonly optional: boolean
}

export interface CommandDeclaration {
  readonly kind: string
  readonly name?: string
  readonly args: Readonly<Record<string, ArgumentDeclaration>>
}

/** It is a level of the topic and of the path by which a device hears of it. */
export function isCommandName(name: string): boolean {
  return name !== '' && !/[/+#\p{Cc}\p{Surrogate}]/u.test(name)
}

/** @returns why not, or undefined when it may */
export function refusedBy(
  allow: readonly Permission[] | undefined,
  by: string,
  order: CommandOrder,
): string | undefined {
  if (allow === undefined) return undefined
  const { device, command } = order
  const may = allow.some(
    (rule) => matches(rule.by, by) && matches(rule.device, device) && matches(rule.command, command),
  )
  return may ? undefined : `${by} may not send ${command} to ${device}`
}

function matches(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined || pattern === '*' || pattern === text) return true
  if (!pattern.includes('*')) return false
  const escaped = pattern.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
  return new RegExp(`^${escaped.join('.*')}$`, 's').test(text)
}

/** @returns what is wrong with the command by what the device is declared to know; undefined when nothing is */
export function undeclared(
  commands: Readonly<Record<string, CommandDeclaration>> | undefined,
  { device, command, args }: CommandOrder,
): string | undefined {
  if (commands === undefined) return undefined
  const declared = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (declared === undefined)
    return `device ${device} has no command ${command}: it has ${Object.keys(commands).join(', ')}`
  const names = Object.keys(declared.args)
  if (args !== undefined && args !== null && (typeof args !== 'object' || Array.isArray(args)))
    return `args of ${command} must be an object`
  const given = (args ?? {}) as Readonly<Record<string, unknown>>
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined) return `${command} has no argument ${unknown}`
  for (const name of names) {
    const problem = wrongArgument(name, declared.args[name] as ArgumentDeclaration, given[name])
    if (problem !== undefined) return problem
  }
  return undefined
}

function wrongArgument(name: string, declared: ArgumentDeclaration, value: unknown): string | undefined {
  const { type, min, max, oneOf, unit, optional } = declared
  if (value === undefined) return optional ? undefined : `argument ${name} is missing`
  const found = typeof value === 'string' ? 'text' : typeof value
  if (found !== type || (typeof value === 'number' && !Number.isFinite(value)))
    return `argument ${name} must be a ${type}`
  const of = unit === undefined ? '' : ` ${unit}`
  if (min !== undefined && Number(value) < min) return `argument ${name} is ${value}${of}, the least is ${min}${of}`
  if (max !== undefined && Number(value) > max) return `argument ${name} is ${value}${of}, the most is ${max}${of}`
  if (oneOf !== undefined && !oneOf.includes(String(value)))
    return `argument ${name} is ${String(value)}, not one of ${oneOf.join(', ')}`
  return undefined
}

/** @returns why the condition does not hold for `value`, the field's last; undefined when it holds */
export function unmet(condition: Precondition, value: number | string | boolean | undefined): string | undefined {
  const { field, equals, above, below } = condition
  if (value === undefined) return `the device has reported no ${field}`
  if (equals !== undefined && value !== equals) return `${field} is ${value}, not ${equals}`
  if (above !== undefined && !(Number(value) > above)) return `${field} is ${value}, not above ${above}`
  if (below !== undefined && !(Number(value) < below)) return `${field} is ${value}, not below ${below}`
  return undefined
}
