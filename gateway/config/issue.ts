/** Turns what a schema found into sentences: what is wrong, and how to mend it. */
import type { z } from 'zod'
import type { Path } from './document.ts'
import { type JsonSchema, keysOf, schemaAt } from './json-schema.ts'
import { quotesHint, shown } from './scalar.ts'
import { nearest, suggestion } from './suggest.ts'

export type Issue = z.core.$ZodIssue

/** A mistake before it has a line and a column. */
export interface Finding {
  readonly path: Path
  readonly at: 'key' | 'value'
  readonly message: string
}

const TYPES: Readonly<Record<string, string>> = {
  object: 'a mapping (`key: value`)',
  record: 'a mapping (`key: value`)',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

/** @param value the whole config as written @param schema of the whole config */
export function explain(issues: readonly Issue[], value: unknown, schema: JsonSchema): Finding[] {
  const unknownAt = new Set(
    issues.filter((issue) => issue.code === 'unrecognized_keys').map((issue) => issue.path.join('\0')),
  )
  return issues.flatMap((issue) => {
    const params = issue.code === 'custom' ? issue.params : undefined
    if (params?.unlessUnknown && unknownAt.has(issue.path.join('\0'))) return []
    return explainOne(issue, value, schema)
  })
}

function explainOne(issue: Issue, value: unknown, schema: JsonSchema): Finding[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
  const written = at(value, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key, i) => ({
        path: [...path, key],
        at: 'key',
        message: unknownKey(issue, key, i, path, schema),
      }))
    case 'invalid_union':
      return union(issue, path, written, value, schema)
    case 'invalid_key':
      return [{ path, at: 'key', message: issue.issues.map((inner) => plain(inner.message)).join(', ') }]
    case 'custom':
      return [{ path, at: issue.params?.at === 'key' ? 'key' : 'value', message: plain(issue.message) }]
    default:
      if (written === undefined && isAbsence(issue)) return [missing(path, schema)]
      return [{ path, at: 'value', message: sentence(issue, written) }]
  }
}

function isAbsence(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union'
}

function missing(path: Path, schema: JsonSchema): Finding {
  const key = String(path.at(-1))
  const { examples, description } = schemaAt(schema, path) ?? {}
  const example = examples?.[0]
  const written = example === undefined ? '…' : typeof example === 'string' ? example : JSON.stringify(example)
  const meaning = example === undefined && description ? ` (${description.replace(/\.$/, '')})` : ''
  const fix = `add \`${key}: ${written}\`${meaning}`
  return { path: path.slice(0, -1), at: 'key', message: `\`${key}\` is missing: ${fix}` }
}

function unknownKey(issue: Issue, key: string, index: number, path: Path, schema: JsonSchema): string {
  // A schema that knows better has said it, one line per key.
  if (!issue.message.startsWith('Unrecognized key')) return issue.message.split('\n')[index] ?? issue.message
  const known = keysOf(schemaAt(schema, path))
  const meant = nearest(key, known)
  const home = meant === undefined && path.length === 0 ? sectionsWith(key, schema) : []
  if (home.length > 0)
    return `unknown key \`${key}\`: it belongs under ${home.map((section) => `\`${section}\``).join(' or ')}`
  return `unknown key \`${key}\`${suggestion(key, known)}`
}

function sectionsWith(key: string, schema: JsonSchema): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([section, { properties }]) =>
    properties && Object.hasOwn(properties, key) ? [section] : [],
  )
}

function sentence(issue: Issue, written: unknown): string {
  if (issue.code === 'invalid_type')
    return `expected ${TYPES[issue.expected] ?? issue.expected}, got ${shown(written)}${typeHint(issue.expected, written)}`
  if (issue.code === 'invalid_value') {
    const known = issue.values.map(String)
    if (typeof written !== 'string') return `expected ${orList(known)}, got ${shown(written)}`
    const meant = nearest(written, known)
    return `\`${written}\` is not known here${meant ? `, did you mean \`${meant}\`?` : `: write ${orList(known)}`}`
  }
  if (issue.code === 'too_small' && issue.message.startsWith('Too small'))
    return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`
  if (issue.code === 'too_big' && issue.message.startsWith('Too big'))
    return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`
  return plain(issue.message)
}

/** The sentence of a schema, or zod's own in our form. */
function plain(message: string): string {
  return message.replace(/^Invalid input: /, '').replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())
}

function typeHint(expected: string, written: unknown): string {
  if (expected === 'string') return quotesHint(written)
  if (typeof written !== 'string') return ''
  if (expected === 'boolean' && /^(yes|on)$/i.test(written)) return ': write true'
  if (expected === 'boolean' && /^(no|off)$/i.test(written)) return ': write false'
  if (expected === 'number' && written.trim() !== '' && Number.isFinite(Number(written)))
    return `: write ${Number(written)} without quotes`
  if (expected === 'array') return `: write [${written}]`
  return ''
}

/** Says what each form wants, or what is wrong inside the form that was probably meant. */
function union(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  written: unknown,
  value: unknown,
  schema: JsonSchema,
): Finding[] {
  const forms = issue.errors.filter((issues) => issues.length > 0)
  const inside = forms.find(
    (issues) =>
      !issues.some((inner) => inner.path.length === 0 && inner.code !== 'unrecognized_keys' && isAbsence(inner)),
  )
  if (inside && written !== undefined) {
    return inside.flatMap((inner) => explainOne({ ...inner, path: [...issue.path, ...inner.path] }, value, schema))
  }
  if (written === undefined) return [missing(path, schema)]
  const wanted = forms.flatMap((issues) =>
    issues.flatMap((inner) => (inner.path.length === 0 ? expectations(inner) : [])),
  )
  if (wanted.length === 0) return [{ path, at: 'value', message: plain(issue.message) }]
  return [{ path, at: 'value', message: `expected ${orList([...new Set(wanted)])}, got ${shown(written)}` }]
}

function expectations(issue: Issue): string[] {
  if (issue.code === 'invalid_type' && issue.expected === 'boolean') return ['true', 'false']
  if (issue.code === 'invalid_type') return [TYPES[issue.expected] ?? issue.expected]
  if (issue.code === 'invalid_value') return issue.values.map(String)
  return []
}

function orList(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((here, key) => {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined
    return (here as Record<string | number, unknown>)[key]
  }, value)
}
