/**
 * Values a person writes as one text: durations, sizes, addresses, topics. Each is parsed once, here; what leaves the
 * config layer is numbers and plain objects.
 */
import { z } from 'zod'

/** What the JSON Schema and the reference page say about the written form. */
export interface Written {
  readonly type?: string | readonly string[]
  readonly pattern?: string
  readonly example?: unknown
  readonly [keyword: string]: unknown
}

/** What is wrong with a value, at `path` below it. */
export class Wrong extends Error {
  readonly path: readonly (string | number)[]

  constructor(message: string, path: readonly (string | number)[] = []) {
    super(message)
    this.path = path
  }
}

/** A schema around `parse`, which throws `Wrong`. A missing value never reaches it. */
export function scalar<T>(parse: (value: unknown) => T, written: Written) {
  return z
    .unknown()
    .transform((value, context): T => {
      if (value === undefined) {
        context.addIssue({ code: 'invalid_type', expected: 'nonoptional', input: undefined })
        return z.NEVER
      }
      try {
        return parse(value)
      } catch (error) {
        if (!(error instanceof Wrong)) throw error
        context.addIssue({ code: 'custom', message: error.message, path: [...error.path], input: value })
        return z.NEVER
      }
    })
    .meta(written)
}

/** Text that `check` finds nothing wrong with. */
export function text(check: (value: string) => string | undefined, written: Written) {
  return scalar(
    (value) => {
      if (typeof value !== 'string') throw new Wrong(`expected text, got ${shown(value)}${quotesHint(value)}`)
      const problem = check(value)
      if (problem !== undefined) throw new Wrong(problem)
      return value
    },
    { type: 'string', ...written },
  )
}

/** One value or a list of them, always given on as a list. */
export function oneOrMore<T>(parse: (value: unknown) => T, written: Written) {
  const each = (value: unknown, i: number): T => {
    try {
      return parse(value)
    } catch (error) {
      throw error instanceof Wrong ? new Wrong(error.message, [i]) : error
    }
  }
  const { example, ...one } = written
  return scalar((value) => (Array.isArray(value) ? value.map(each) : [parse(value)]), {
    anyOf: [one, { type: 'array', items: one }],
    example,
  })
}

/** YAML takes 12345 for a number and true for a truth; a token of that form must be quoted. */
export function quotesHint(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? `: put it in quotes, "${value}"` : ''
}

/** A value as a message shows it: `text "abc"`, `number 5`, `a list`. */
export function shown(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') return `text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`
  return `${typeof value} ${String(value)}`
}
