/** The config as people change it over HTTP: looked over, put in the file, taken as SIGHUP does. */
import { readFile } from 'node:fs/promises'
import type { Examined, Loaded } from '../config/load.ts'
import { planReload } from '../config/reload.ts'
import { digestOf, restoreConfig, saveConfig } from '../config/save.ts'
import { ConfigError, RequestError, reasonOf, StartError } from '../errors.ts'
import type { ConfigCheck, ConfigFile } from '../http/schemas.ts'
import { tryRules } from '../rules/trial.ts'
import type { Running } from './running.ts'

/** Where the config comes from. */
export interface ConfigSource {
  /** What it would be with this text in place of the file's. */
  examine(text: string): Promise<Examined>
  /** Reads the file again. @throws ConfigError */
  load(): Promise<Loaded>
}

export interface Configuring {
  /** @throws RequestError 404 the gateway runs on its defaults */
  file(): Promise<ConfigFile>
  check(text: string): Promise<ConfigCheck>
  /**
   * @param digest of the text that was changed, as `file` gave it
   * @throws RequestError 400 it has mistakes, 409 it cannot be written, or was changed meanwhile
   */
  apply(text: string, digest: string | undefined): Promise<ConfigCheck>
}

export interface ConfiguringParts {
  readonly running: Running
  /** Absent in a gateway that was given a config and not a file. */
  readonly source: ConfigSource | undefined
  readonly reload: (next: Loaded) => Promise<void>
}

export function createConfiguring({ running, source, reload }: ConfiguringParts): Configuring {
  const fileOf = (): string => {
    const { file } = running.loaded
    if (file !== undefined) return file
    throw new RequestError(
      404,
      'SLUICE_NO_CONFIG_FILE',
      'the gateway runs on its defaults: start it with --config FILE',
    )
  }
  const examine = async (text: string): Promise<Examined> => {
    if (source === undefined)
      throw new RequestError(404, 'SLUICE_NO_CONFIG_FILE', 'the config of this gateway is no file')
    return source.examine(text)
  }
  const read = async (): Promise<string> => {
    const file = fileOf()
    return readFile(file, 'utf8').catch((error) => {
      throw new RequestError(409, 'SLUICE_CONFIG_UNREADABLE', `${file} cannot be read: ${reasonOf(error)}`)
    })
  }
  const apply = async (text: string, digest: string | undefined): Promise<ConfigCheck> => {
    const file = fileOf()
    const before = await read()
    if (digest !== undefined && digest !== digestOf(before))
      throw new RequestError(409, 'SLUICE_CONFIG_CHANGED', `${file} was changed meanwhile: load it again`)
    const check = checkOf(await examine(text), running)
    if (!check.valid) throw new RequestError(400, 'SLUICE_CONFIG', wordsOf(check))
    const backup = await saveConfig(file, text)
    try {
      if (source) await reload(await source.load())
    } catch (error) {
      // As a bad file at SIGHUP: the old config stays, and here the old file too.
      await restoreConfig(file, before)
      if (error instanceof StartError || error instanceof ConfigError)
        throw new RequestError(400, 'SLUICE_CONFIG', `the old config stays: ${error.message}`, { cause: error })
      throw error
    }
    return { ...check, backup }
  }
  /** One at a time. */
  let last: Promise<unknown> = Promise.resolve()
  return {
    async file() {
      const yaml = await read()
      return { file: fileOf(), yaml, digest: digestOf(yaml) }
    },
    check: async (text) => checkOf(await examine(text), running),
    apply(text, digest) {
      const mine = last.then(() => apply(text, digest))
      last = mine.catch(() => undefined)
      return mine
    },
  }
}

function checkOf({ loaded, mistakes }: Examined, running: Running): ConfigCheck {
  if (loaded === undefined) {
    const found = mistakes.map(({ file, line, column, message }) => ({ file, line, column, message }))
    return { valid: false, mistakes: found, failedTests: [], apply: [], restart: [] }
  }
  return {
    valid: true,
    mistakes: [],
    failedTests: [...tryRules(loaded.config.rules)],
    apply: [...planReload(running.loaded.config, loaded.config).apply],
    // What still waits for a restart since an earlier change waits on.
    restart: planReload(running.first.config, loaded.config).restart.map((one) => ({ ...one })),
  }
}

function wordsOf({ mistakes }: ConfigCheck): string {
  return mistakes.map(({ line, column, message }) => `${line}:${column}: ${message}`).join('\n')
}
