/** An entry that holds exactly one plugin's name with that plugin's options, beside keys of the section's own. */
import { z } from 'zod'
import type { Plugin } from '../plugin.ts'
import { exactlyOne, ON_MAPPINGS } from './entry.ts'
import { suggestion } from './suggest.ts'

export interface PluginPlace<Common extends z.ZodRawShape> {
  readonly role: 'source' | 'sink'
  readonly section: string
  readonly common: Common
  /** As a person would write it. */
  readonly example: string
}

export function pluginEntry<Common extends z.ZodRawShape>(plugins: readonly Plugin[], place: PluginPlace<Common>) {
  const fitting = plugins.filter((plugin) => mayStand(plugin, place.role))
  const keys = fitting.map((plugin) => plugin.name)
  const options = Object.fromEntries(
    fitting.map((plugin) => [plugin.name, plugin.config.optional().describe(plugin.summary)]),
  )
  const common = z.strictObject(place.common)
  return z
    .strictObject({ ...options, ...place.common }, { error: (issue) => unknownKeys(issue, plugins, place) })
    .superRefine(
      exactlyOne(keys, {
        none: `name one plugin with its options, such as \`${place.example}\`${keys.length > 0 ? `; there are ${keys.join(', ')}` : ''}`,
        many: (found) => `an entry has one plugin only, but here are ${found}: make two entries`,
      }),
      ON_MAPPINGS,
    )
    .transform((value) => {
      const entries = Object.entries(value)
      const [plugin = '', chosen] = entries.find(([key]) => keys.includes(key)) ?? []
      const rest = Object.fromEntries(entries.filter(([key]) => !keys.includes(key))) as z.output<typeof common>
      return { plugin, options: chosen as unknown, rest }
    })
    .meta({ oneOf: keys.map((key) => ({ type: 'object', properties: { [key]: {} }, required: [key] })) })
}

/** What only commands devices is reached through its source entry. */
function mayStand(plugin: Plugin, role: 'source' | 'sink'): boolean {
  return plugin.roles.includes(role) || (role === 'source' && plugin.roles.includes('commander'))
}

function unknownKeys(
  issue: { readonly code?: string; readonly keys?: unknown },
  plugins: readonly Plugin[],
  place: PluginPlace<z.ZodRawShape>,
): string | undefined {
  if (issue.code !== 'unrecognized_keys' || !Array.isArray(issue.keys)) return undefined
  return issue.keys.map((key) => unknownKey(String(key), plugins, place)).join('\n')
}

function unknownKey(
  key: string,
  plugins: readonly Plugin[],
  { role, section, common }: PluginPlace<z.ZodRawShape>,
): string {
  const other = role === 'sink' ? 'sources' : 'upstreams'
  if (plugins.some((plugin) => plugin.name === key))
    return `plugin \`${key}\` cannot stand under ${section}: it belongs under ${other}`
  const fitting = plugins.filter((plugin) => mayStand(plugin, role))
  const inside = fitting
    .filter((plugin) => optionNames(plugin).includes(key))
    .map(({ name }) => `\`${name}: { ${key}: … }\``)
  if (inside.length > 0) return `\`${key}\` is an option of the plugin: write ${inside.join(' or ')}`
  const known = [...fitting.map(({ name }) => name), ...Object.keys(common)]
  return `unknown plugin or key \`${key}\`${suggestion(key, known)}`
}

function optionNames(plugin: Plugin): string[] {
  return Object.keys(z.toJSONSchema(plugin.config, { io: 'input', unrepresentable: 'any' }).properties ?? {})
}
