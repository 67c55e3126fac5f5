/** The config as JSON Schema (2020-12): what a person writes, durations and sizes as text. For editors, and for the reference page. */
import { z } from 'zod'
import type { Plugin } from '../plugin.ts'
import { formatDuration } from './duration.ts'
import { configSchema } from './schema.ts'

/** The keywords we use of JSON Schema. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  /** What the text is: `duration`, `bytes` or `address`; JSON Schema's own format `duration` is that of ISO 8601. */
  readonly 'x-value'?: string
  readonly writeOnly?: boolean
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

export function jsonSchema(plugins: readonly Plugin[]): JsonSchema {
  const schema = z.toJSONSchema(configSchema(plugins), {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: node }) => {
      const { def } = zodSchema._zod
      // zod leaves out the default of what it transforms; of a duration it can be written back.
      if (def.type === 'default' && node.default === undefined && String(node.pattern).includes('(ms|s|m|h|d')) {
        if (typeof def.defaultValue === 'number') node.default = formatDuration(def.defaultValue)
      }
      if (!('example' in node)) return
      node.examples = [node.example]
      delete node.example
    },
  })
  return { title: 'Sluice config', ...schema } as JsonSchema
}

/** What the schema says of a key, in whichever form of the value has it. */
export function childSchema(schema: JsonSchema | undefined, key: string | number): JsonSchema | undefined {
  if (schema === undefined) return undefined
  const own = schema.properties?.[key]
  if (own && Object.hasOwn(schema.properties ?? {}, key)) return own
  if (typeof schema.additionalProperties === 'object') return schema.additionalProperties
  if (schema.items && Number.isInteger(Number(key))) return schema.items
  for (const form of schema.anyOf ?? []) {
    const found = childSchema(form, key)
    if (found) return found
  }
  return undefined
}

export function schemaAt(schema: JsonSchema, path: readonly (string | number)[]): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>(childSchema, schema)
}

/** The keys that a mapping may have; empty when a person chooses them. */
export function keysOf(schema: JsonSchema | undefined): string[] {
  if (schema === undefined) return []
  return [...Object.keys(schema.properties ?? {}), ...(schema.anyOf ?? []).flatMap(keysOf)]
}
