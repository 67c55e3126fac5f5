/** The configuration as the commands see it, around the one the gateway takes. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConfigSource } from '../assembly/configuring.ts'
import { examine, type Loaded, type LoadOptions, loadConfig, SYSTEM_FILE } from '../config/load.ts'
import type { Plugin } from '../plugin.ts'
import { tryRules } from '../rules/trial.ts'
import type { ConfigChoice, LoadedConfig } from './actions.ts'
import { CONTAINER_DATA, type ContainerDefaults, containerDefaults, inContainer } from './container.ts'

export interface Configuration extends LoadedConfig {
  /** What `startGateway` takes. */
  readonly loaded: Loaded
  /** For a running gateway that is to look at it, or take it, again. */
  readonly source: ConfigSource
}

/**
 * `--data` goes the way of an environment variable, so that it is over the file and over the environment; such a value
 * is YAML, of which a JSON string is one.
 *
 * @throws ConfigError with every mistake
 */
export async function loadConfiguration(
  choice: ConfigChoice,
  env: NodeJS.ProcessEnv,
  options: Pick<LoadOptions, 'plugins' | 'loadPlugin' | 'systemFile'>,
): Promise<Configuration> {
  const overridden = choice.data === undefined ? env : { ...env, SLUICE__DATA: JSON.stringify(resolve(choice.data)) }
  const container = await forContainer(choice, overridden, options.systemFile)
  const again = { ...options, file: choice.config, env: { ...container?.env, ...overridden } }
  const loaded = await loadConfig(again)
  const { log, mqtt, data } = loaded.config
  return {
    loaded,
    source: {
      load: () => loadConfig(again),
      examine: (text) => examine({ ...again, text, loadPlugin: known(loaded, options) }),
    },
    file: loaded.file,
    data: resolve(data),
    logLevel: log.level,
    logPretty: log.format === 'auto' ? undefined : log.format === 'pretty',
    testRules: () => tryRules(loaded.config.rules),
    passwordFile: mqtt.passwordFile === undefined ? undefined : loaded.resolve(mqtt.passwordFile),
    ...(container?.notice === undefined ? {} : { notice: container.notice }),
  }
}

/** Undefined outside of a container, and in one that was given a config. */
async function forContainer(
  choice: ConfigChoice,
  env: NodeJS.ProcessEnv,
  systemFile = SYSTEM_FILE,
): Promise<ContainerDefaults | undefined> {
  if (!inContainer(env) || choice.config !== undefined || existsSync(systemFile)) return undefined
  const data = resolve(choice.data ?? (env.SLUICE__DATA || CONTAINER_DATA))
  const { env: defaults, ...rest } = await containerDefaults(data, env)
  return { ...rest, env: { SLUICE__DATA: JSON.stringify(data), ...defaults } }
}

/** A text that is looked over runs no code: only plugins that the gateway started with are loaded. */
function known(loaded: Loaded, { loadPlugin }: Pick<LoadOptions, 'loadPlugin'>) {
  const files = loaded.config.plugins.map((path) => loaded.resolve(path))
  return async (file: string): Promise<Plugin> => {
    if (loadPlugin && files.includes(file)) return loadPlugin(file)
    throw new Error('the gateway did not start with it: name it in the file itself, and start again')
  }
}
