/** Plugins that are loaded only when the config names them. Until then their name and roles are enough. */
import { z } from 'zod'
import { SluiceError } from '../errors.ts'
import type { DeferredPlugin, Plugin } from '../plugin.ts'

/** @param mentioned whether a name occurs anywhere in what the person wrote */
export function loadMentioned(
  plugins: readonly (Plugin | DeferredPlugin)[],
  mentioned: (name: string) => boolean,
): Promise<Plugin[]> {
  return Promise.all(
    plugins.map((plugin) => {
      if (!('load' in plugin)) return plugin
      return mentioned(plugin.name) ? plugin.load() : standIn(plugin)
    }),
  )
}

function standIn({ name, roles }: DeferredPlugin): Plugin {
  return {
    name,
    roles,
    summary: '',
    config: z.unknown(),
    create: () => {
      throw new SluiceError('SLUICE_PLUGIN_UNKNOWN', `plugin ${name} was not loaded: the config does not name it`)
    },
  }
}

/** Looks for a name in the document and in the environment's overrides. */
export function mentionIn(
  document: unknown,
  env: Readonly<Record<string, string | undefined>>,
): (name: string) => boolean {
  const overrides = Object.entries(env).filter(([key]) => key.startsWith('SLUICE__'))
  const text = `${JSON.stringify(document)}${overrides.flat().join(' ')}`.toLowerCase()
  return (name) => text.includes(name)
}
