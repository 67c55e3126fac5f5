/** Pieces that several sections share. */
import { z } from 'zod'
import { scalar, shown, text, type Written, Wrong } from './scalar.ts'
import { nearest } from './suggest.ts'

/** True or false. */
export function flag() {
  return z.boolean()
}

/** A path, relative to the config file. */
export function path(written: Written = {}) {
  return text((value) => (value.trim() === '' ? 'a path cannot be empty' : undefined), written)
}

/** Text that is not empty. */
export function name(written: Written = {}) {
  return text((value) => (value.trim() === '' ? 'it cannot be empty' : undefined), written)
}

/** A value that must not show in logs or on pages. */
export function secret(written: Written = {}) {
  return text((value) => (value === '' ? 'it cannot be empty: leave the key out instead' : undefined), {
    writeOnly: true,
    ...written,
  })
}

/** A whole number within bounds. */
export function whole(min: number, max: number, written: Written = {}) {
  return scalar(
    (value) => {
      if (typeof value !== 'number') throw new Wrong(`expected a whole number, got ${shown(value)}`)
      if (!Number.isInteger(value)) throw new Wrong(`${value} is not a whole number`)
      if (value < min) throw new Wrong(`${value} is too small: at least ${min}`)
      if (value > max) throw new Wrong(`${value} is too large: at most ${max}`)
      return value
    },
    { type: 'integer', minimum: min, maximum: max, ...written },
  )
}

export function durability() {
  return z.enum(['fsync', 'interval', 'none'])
}

export const DURABILITY =
  'When a sender is told that its message is safe: `fsync` once it is on disk, `interval` once it is written (on disk within a second), `none` at once, without journal.'

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** A mapping from names that people choose to entries. */
export function named<Entry extends z.ZodType>(what: string, entry: Entry) {
  return z.record(z.string(), entry).superRefine((entries, context) => {
    for (const key of Object.keys(entries)) {
      if (NAME.test(key)) continue
      const message = `${what} name ${JSON.stringify(key)} is not allowed: use letters, digits, dot, dash and underscore, at most 64`
      context.addIssue({ code: 'custom', message, path: [key], params: { at: 'key' } })
    }
  }, ON_MAPPINGS)
}

/** For checks on which keys are there: they run on any mapping, although a value in it is wrong, so that all mistakes come at once. */
export const ON_MAPPINGS = {
  when: ({ value }: { readonly value: unknown }) =>
    typeof value === 'object' && value !== null && !Array.isArray(value),
}

/** A check that exactly one of some keys is there. That none is there is not said beside an unknown key: it is the same slip. */
export function exactlyOne(
  keys: readonly string[],
  say: { readonly none: string; readonly many: (found: string) => string },
) {
  return (value: object, context: z.RefinementCtx): void => {
    const found = keys.filter((key) => Object.hasOwn(value, key))
    if (found.length === 1) return
    const message = found.length === 0 ? say.none : say.many(found.map((key) => `\`${key}\``).join(' and '))
    const at = found[1] === undefined ? [] : [found[1]]
    context.addIssue({ code: 'custom', message, path: at, params: { at: 'key', unlessUnknown: found.length === 0 } })
  }
}

/** Text that must be one of some, with a suggestion. */
export function oneOf(
  what: string,
  known: readonly string[],
  check: (value: string) => boolean,
  written: Written = {},
) {
  return text((value) => {
    if (check(value)) return undefined
    const meant = nearest(value, known)
    return `\`${value}\` is not a ${what}${meant ? `, did you mean \`${meant}\`?` : `: one of ${known.join(', ')}`}`
  }, written)
}

/** A template such as `stats/{device}`: the names in braces. */
export function placeholders(template: string): string[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1] ?? '')
}
