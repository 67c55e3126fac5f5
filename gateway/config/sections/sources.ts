import type { Plugin } from '../../plugin.ts'
import { DURABILITY, durability, named, ON_MAPPINGS } from '../entry.ts'
import { pluginEntry } from '../plugin-entry.ts'

export interface SourceConfig {
  /** The plugin's name; `options` is what its schema made of them. */
  readonly plugin: string
  readonly options: unknown
  readonly durability: 'fsync' | 'interval' | 'none'
}

/** The gateway's own inputs have these names in ledgers and metrics. */
const BUILT_IN = ['mqtt', 'http']

const common = { durability: durability().prefault('fsync').describe(DURABILITY) }

/** Plugins that bring messages in, or command devices, may stand here. */
export function sourcesSection(plugins: readonly Plugin[]) {
  const entry = pluginEntry(plugins, {
    role: 'source',
    section: 'sources',
    common,
    example: 'zeromq: { pull: "tcp://127.0.0.1:5557" }',
  }).transform(({ plugin, options, rest }): SourceConfig => ({ plugin, options, durability: rest.durability }))
  return named('source', entry)
    .superRefine((entries, context) => {
      for (const name of BUILT_IN.filter((own) => Object.hasOwn(entries, own))) {
        const message = `source name \`${name}\` is taken by the gateway's own ${name.toUpperCase()} input: call it something else, such as \`${name}-2\``
        context.addIssue({ code: 'custom', message, path: [name], params: { at: 'key' } })
      }
    }, ON_MAPPINGS)
    .prefault({})
    .describe('Further inputs by name: a plugin with its options. Several of one kind may run.')
    .meta({ example: { zmq: { zeromq: { pull: 'tcp://127.0.0.1:5557' } } } })
}
