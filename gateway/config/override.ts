/**
 * Overrides from the environment: SLUICE__SECTION__KEY=value.
 *
 *   SLUICE__MQTT__LISTEN=0.0.0.0:1883                         keys in any case, without their dashes
 *   SLUICE__WINDOWS__PER_DEVICE__TUMBLING=30s
 *   SLUICE__DECODE__0__TIME=ts                                 lists by position, from 0
 *   SLUICE__UPSTREAMS={cloud: {mqtt: {url: "mqtt://a"}}}       a whole mapping, in YAML's flow form, replaces what is there
 *
 * An empty value is as if it were not set.
 */
import type { Mistake } from '../errors.ts'
import { type ConfigDocument, type Path, parseYaml } from './document.ts'
import { childSchema, type JsonSchema, keysOf } from './json-schema.ts'
import { plainName, suggestion } from './suggest.ts'

const PREFIX = 'SLUICE__'

/** One variable: where its value belongs, and the value with its positions. */
export interface Override {
  readonly path: Path
  readonly document: ConfigDocument
}

export interface Overridden {
  readonly value: unknown
  readonly overrides: readonly Override[]
  readonly mistakes: readonly Mistake[]
}

/** @param value what the file holds; it is not changed */
export function applyEnvironment(
  value: unknown,
  schemaOf: () => JsonSchema,
  env: Readonly<Record<string, string | undefined>>,
): Overridden {
  const overrides: Override[] = []
  const mistakes: Mistake[] = []
  const given = variables(env)
  let result: unknown = value ?? {}
  if (given.length === 0) return { value: result, overrides, mistakes }
  const schema = schemaOf()
  for (const [variable, text] of given) {
    const file = `env:${variable}`
    const found = resolve(variable.slice(PREFIX.length).split('__'), schema, result)
    if (typeof found === 'string') {
      mistakes.push({ file, line: 1, column: 1, message: found })
      continue
    }
    const document = readValue(file, text, found.schema)
    overrides.push({ path: found.path, document })
    result = put(result, found.path, document.value, schema)
  }
  return { value: result, overrides, mistakes }
}

/** Whole sections before their parts, whatever the order of the environment. */
function variables(env: Readonly<Record<string, string | undefined>>): [string, string][] {
  return Object.entries(env)
    .flatMap(([name, text]): [string, string][] => (name.startsWith(PREFIX) && text ? [[name, text]] : []))
    .sort(([a], [b]) => a.split('__').length - b.split('__').length || (a < b ? -1 : 1))
}

function resolve(
  parts: readonly string[],
  root: JsonSchema,
  value: unknown,
): { path: Path; schema: JsonSchema | undefined } | string {
  const path: (string | number)[] = []
  let schema: JsonSchema | undefined = root
  let here = value
  for (const part of parts) {
    if (part === '') return 'an empty part in the name: write SLUICE__SECTION__KEY'
    const key = resolveKey(part, schema, here ?? schema?.default)
    if (key === undefined) return `unknown key \`${part}\`${suggestion(part, keysOf(schema))}`
    path.push(key)
    here = valueAt(here ?? schema?.default, key)
    schema = childSchema(schema, key)
  }
  return { path, schema }
}

function resolveKey(part: string, schema: JsonSchema | undefined, value: unknown): string | number | undefined {
  if (/^\d+$/.test(part) && childSchema(schema, 0) !== undefined && !isMapping(value)) return Number(part)
  const known = [...keysOf(schema), ...(isMapping(value) ? Object.keys(value) : [])]
  const same = known.find((key) => plainName(key) === plainName(part))
  if (same !== undefined) return same
  return typeof schema?.additionalProperties === 'object' || (schema && Object.keys(schema).length === 0)
    ? part.toLowerCase().replaceAll('_', '-')
    : undefined
}

/** What is text stays text, although it looks like a number or is no YAML: tokens, `[::1]:1883`. */
function readValue(file: string, text: string, schema: JsonSchema | undefined): ConfigDocument {
  const document = parseYaml(file, text)
  const scalar = document.value === null || typeof document.value !== 'object'
  const keepsText =
    schema?.type === 'string' && schema.enum === undefined && scalar && typeof document.value !== 'string'
  if (!keepsText && !document.broken) return document
  return { ...document, value: text, mistakes: [], broken: false }
}

function put(root: unknown, path: Path, value: unknown, schema: JsonSchema): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  // A part of a default: the rest of the default stays.
  const base = root ?? structuredClone(schema.default) ?? (typeof key === 'number' ? [] : {})
  if (Array.isArray(base)) {
    const index = Math.min(Number(key), base.length)
    return replaced(base, index, put(base[index], rest, value, childSchema(schema, key) ?? {}))
  }
  // Something else stands there: the file's mistake is reported, not hidden.
  if (!isMapping(base)) return base
  return { ...base, [key]: put(valueAt(base, key), rest, value, childSchema(schema, key) ?? {}) }
}

function replaced(list: readonly unknown[], index: number, value: unknown): unknown[] {
  return [...list.slice(0, index), value, ...list.slice(index + 1)]
}

function valueAt(value: unknown, key: string | number): unknown {
  if (Array.isArray(value)) return value[Number(key)]
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

function isMapping(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
