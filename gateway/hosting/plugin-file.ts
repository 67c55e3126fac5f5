/**
 * Plugins from files of a person's own: `plugins: [./my-plugin.js]`. The file exports `(sluice) => plugin`, as a module's
 * default or as `module.exports`; it imports nothing of ours, `sluice` holds what it needs.
 */
import { z } from 'zod'
import { NotConnectedError, PartialWriteError, RefusedError, reasonOf, SluiceError } from '../errors.ts'
import type { Plugin, PluginKit } from '../plugin.ts'
import { importFile } from './import-file.ts'

const kit: PluginKit = { z, NotConnectedError, PartialWriteError, RefusedError }
const ROLES = ['source', 'sink', 'commander']

/**
 * @param file absolute path
 * @throws SluiceError SLUICE_PLUGIN_FILE it cannot be loaded, or makes no plugin
 */
export async function loadPluginFile(file: string): Promise<Plugin> {
  try {
    const exported = functionOf(await importFile(file))
    if (!exported) throw new TypeError('it exports no function (sluice) => plugin')
    return checked(exported(kit))
  } catch (error) {
    throw new SluiceError('SLUICE_PLUGIN_FILE', reasonOf(error), { cause: error })
  }
}

type Maker = (sluice: PluginKit) => unknown

/** A CommonJS file seen through `import()` has its exports under `default`, sometimes twice. */
function functionOf(exported: unknown): Maker | undefined {
  let found = exported
  for (let depth = 0; depth < 3; depth++) {
    if (typeof found === 'function') return found as Maker
    if (typeof found !== 'object' || found === null || !('default' in found)) return undefined
    found = found.default
  }
  return undefined
}

function checked(made: unknown): Plugin {
  const plugin = made as Partial<Plugin> | null
  if (typeof plugin !== 'object' || plugin === null) throw new TypeError('its function returns no plugin')
  if (typeof plugin.name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(plugin.name))
    throw new TypeError('the plugin’s `name` must be lower-case letters, digits and dashes')
  if (typeof plugin.create !== 'function') throw new TypeError('the plugin has no `create`')
  if (typeof plugin.config?.safeParse !== 'function')
    throw new TypeError('the plugin’s `config` is no zod schema: use sluice.z')
  if (!Array.isArray(plugin.roles) || plugin.roles.length === 0 || !plugin.roles.every((role) => ROLES.includes(role)))
    throw new TypeError(`the plugin’s \`roles\` must name some of ${ROLES.join(', ')}`)
  return { summary: plugin.name, ...plugin } as Plugin
}
