/** The reference page, made of the JSON Schema: a table per section and per plugin. */
import { stringify } from 'yaml'
import type { Plugin } from '../plugin.ts'
import { type JsonSchema, jsonSchema } from './json-schema.ts'

const INTRODUCTION = `# Config reference

Made by \`npm run docs\` from the schema; do not edit.

The config is one YAML file: the one of \`--config\`, else \`/etc/sluice/sluice.yaml\`, else the defaults below. \`sluice check --config FILE\`
lists every mistake with line, column and fix. [config.schema.json](config.schema.json) is the same as JSON Schema, for editors.

- **Environment**: \`SLUICE__SECTION__KEY=value\` overrides one value: \`SLUICE__MQTT__LISTEN=0.0.0.0:1883\`, \`SLUICE__WINDOWS__PER_DEVICE__TUMBLING=30s\`,
  \`SLUICE__DECODE__0__TIME=ts\`. Upper or lower case and dashes do not matter. Values are YAML scalars or flow mappings; a whole mapping replaces what the file has. An empty value counts as not set.
- **Durations** are a number and a unit: \`250ms\`, \`30s\`, \`5m\`, \`1h30m\`, \`7d\`. **Sizes** too: \`512KB\` (1000 bytes each), \`1MiB\` (1024 × 1024).
- **Addresses** are \`host:port\`: \`127.0.0.1:1883\`, \`[::1]:1883\`, \`0.0.0.0:1883\` or \`:1883\` for every interface. Port 0 picks a free one.
- **Paths** are relative to the config file; \`data\` is relative to the working directory.
`

export function referencePage(plugins: readonly Plugin[]): string {
  const { properties = {} } = jsonSchema(plugins)
  const sections = Object.entries(properties)
  const contents = sections.map(([name]) => `[\`${name}\`](#${name})`).join(' · ')
  const body = sections.map(([name, schema]) => section(name, schema, plugins))
  return [INTRODUCTION, `${contents} · [plugins](#plugin-options)\n`, ...body, pluginChapter(plugins)].join('\n')
}

/** A plugin's options as a table, also for its README. */
export function pluginTable(plugin: Plugin): string {
  const place = plugin.roles.includes('sink') ? 'upstreams' : 'sources'
  const entry = jsonSchema([plugin]).properties?.[place]?.additionalProperties
  const options = typeof entry === 'object' ? entry.properties?.[plugin.name] : undefined
  return table(rowsBelow(options ?? {}, '', new Set()))
}

function section(name: string, schema: JsonSchema, plugins: readonly Plugin[]): string {
  const names = new Set(plugins.map((plugin) => plugin.name))
  const rows = rowsBelow(schema, '', names)
  const own = rows.length === 0 ? [row('', name, schema, false)] : rows
  const example = schema.examples?.[0]
  const yaml =
    example === undefined ? '' : `\n\`\`\`yaml\n${stringify({ [name]: example }, { collectionStyle: 'any' })}\`\`\`\n`
  return `## ${name}\n\n${schema.description ?? ''}\n${yaml}${wholeDefault(schema)}\n${table(own)}`
}

function wholeDefault({ default: value }: JsonSchema): string {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return ''
  return `\nDefault: ${code(flow(value))}\n`
}

function pluginChapter(plugins: readonly Plugin[]): string {
  const chapters = plugins.map((plugin) => {
    const places = [
      ...(plugin.roles.some((role) => role !== 'sink') ? ['`sources`'] : []),
      ...(plugin.roles.includes('sink') ? ['`upstreams`'] : []),
    ]
    return `### Plugin ${plugin.name}\n\n${plugin.summary} Stands under ${places.join(' and ')}.\n\n${pluginTable(plugin)}`
  })
  return ['## Plugin options\n', ...chapters].join('\n')
}

interface Row {
  readonly key: string
  readonly type: string
  readonly fallback: string
  readonly description: string
  readonly example: string
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ key, type, fallback, description, example }) =>
      `| ${[key, type, fallback, description, example].map(cell).join(' | ')} |`,
  )
  return ['| key | type | default | what it does | example |', '|---|---|---|---|---|', ...lines, ''].join('\n')
}

/** One row per key, nested keys with dots; `<name>` is chosen by a person, `[]` is each item of a list. */
function rowsBelow(schema: JsonSchema, prefix: string, plugins: ReadonlySet<string>): Row[] {
  if (schema.properties) {
    const required = new Set(schema.required ?? [])
    return Object.entries(schema.properties).flatMap(([key, child]) => {
      if (plugins.has(key)) return [pluginRow(prefix, key, child)]
      return [row(prefix, key, child, required.has(key)), ...rowsBelow(child, `${prefix}${key}.`, plugins)]
    })
  }
  if (typeof schema.additionalProperties === 'object')
    return rowsBelow(schema.additionalProperties, `${prefix}<name>.`, plugins)
  if (schema.items?.properties) return rowsBelow(schema.items, `${prefix.replace(/\.$/, '')}[].`, plugins)
  const form = schema.anyOf?.find((one) => one.properties || one.items?.properties)
  return form ? rowsBelow(form, prefix, plugins) : []
}

function row(prefix: string, key: string, schema: JsonSchema, required: boolean): Row {
  const { default: value, description = '' } = schema
  const isWhole = typeof value === 'object' && value !== null && !Array.isArray(value)
  const example = exampleOf(schema)
  return {
    key: code(prefix + key),
    type: typeOf(schema),
    fallback: required ? 'required' : value === undefined || isWhole ? '' : code(flow(value)),
    description,
    example: example === undefined ? '' : code(`${key}: ${flow(example)}`),
  }
}

/** The schema's own example, else the default, else what its type suggests. */
function exampleOf(schema: JsonSchema): unknown {
  const { examples, default: value, items, type } = schema
  if (examples?.[0] !== undefined) return examples[0]
  if (Array.isArray(value) ? value.length > 0 : value !== undefined && typeof value !== 'object') return value
  const item = items && exampleOf(items)
  if (item !== undefined) return [item]
  if (schema.enum) return schema.enum[0]
  return type === 'boolean' ? true : undefined
}

function pluginRow(prefix: string, key: string, { description = '' }: JsonSchema): Row {
  const type = `[options](#plugin-${key})`
  return { key: code(prefix + key), type, fallback: '', description: `Plugin: ${description}`, example: '' }
}

function typeOf(schema: JsonSchema): string {
  const { 'x-value': value, pattern, anyOf, type, items } = schema
  if (schema.enum) return schema.enum.map((value) => code(String(value))).join(' or ')
  if (schema.const !== undefined) return code(String(schema.const))
  if (value === 'bytes') return 'size'
  if (value === 'duration' || pattern?.includes('(ms|s|m|h|d')) return 'duration'
  if (value === 'address') return 'address'
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' or ')
  if (type === 'array') return items ? `list of ${typeOf(items)}` : 'list'
  const names: Readonly<Record<string, string>> = {
    object: 'mapping',
    string: 'text',
    integer: 'whole number',
    boolean: '`true` or `false`',
  }
  const types = typeof type === 'string' ? [type] : (type ?? ['anything'])
  return types.map((one) => names[one] ?? one).join(' or ')
}

function flow(value: unknown): string {
  if (typeof value === 'string') return stringify(value, { lineWidth: 0 }).trim()
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: true }).trim()
}

function code(text: string): string {
  return `\`${text}\``
}

/** In a table a bar ends the cell, also inside code. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
