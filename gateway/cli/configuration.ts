/** The configuration as the commands see it, around the one the gateway takes. */
import { resolve } from 'node:path'
import { type Loaded, type LoadOptions, loadConfig } from '../config/load.ts'
import type { ConfigChoice, LoadedConfig } from './actions.ts'

export interface Configuration extends LoadedConfig {
  /** What `startGateway` takes. */
  readonly loaded: Loaded
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
  options: Pick<LoadOptions, 'plugins' | 'loadPlugin'>,
): Promise<Configuration> {
  const overridden = choice.data === undefined ? env : { ...env, SLUICE__DATA: JSON.stringify(resolve(choice.data)) }
  const loaded = await loadConfig({ ...options, file: choice.config, env: overridden })
  const { log, mqtt, data } = loaded.config
  return {
    loaded,
    file: loaded.file,
    data: resolve(data),
    logLevel: log.level,
    logPretty: log.format === 'auto' ? undefined : log.format === 'pretty',
    passwordFile: mqtt.passwordFile === undefined ? undefined : loaded.resolve(mqtt.passwordFile),
  }
}
