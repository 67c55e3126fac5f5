/** Reads the config: file, then environment, then defaults. Every mistake is found before anything is said. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError, type Mistake, reasonOf } from '../errors.ts'
import type { DeferredPlugin, Plugin } from '../plugin.ts'
import { crossCheck } from './cross-check.ts'
import { loadMentioned, mentionIn } from './deferred.ts'
import { type ConfigDocument, parseYaml } from './document.ts'
import { effectiveConfig, type Origin } from './effective.ts'
import { defaultGatewayId } from './identity.ts'
import { explain, type Finding, type Issue } from './issue.ts'
import { jsonSchema } from './json-schema.ts'
import { applyEnvironment } from './override.ts'
import { inOrder, report } from './report.ts'
import { type Config, type Parsed, type SectionName, sections } from './schema.ts'

/** Where packages and images put it. */
export const SYSTEM_FILE = '/etc/sluice/sluice.yaml'

const MAX_FILE = 4 * 1024 * 1024

export interface LoadOptions {
  /** Built-in plugins; one that the config does not name is not loaded. */
  readonly plugins: readonly (Plugin | DeferredPlugin)[]
  /** From `--config`. Absent: the system's file when there is one, else the defaults. */
  readonly file?: string | undefined
  /** Stands for the file's content: what would be if it were written there. */
  readonly text?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly systemFile?: string
  /** Loads a plugin of the person's own; a rejection is a mistake at its place in `plugins`. */
  readonly loadPlugin?: (file: string) => Promise<Plugin>
  readonly gatewayId?: () => string
}

export interface Loaded {
  readonly config: Config
  /** As given; undefined when there is none. */
  readonly file: string | undefined
  /** The built-in ones and those of the config. */
  readonly plugins: readonly Plugin[]
  /** By dotted path, one per value. */
  readonly origins: Readonly<Record<string, Origin>>
  /** As written, defaults filled in, secrets hidden; for people. */
  readonly effective: unknown
  /** A path of the config, relative to its file; to the working directory when there is none. */
  resolve(path: string): string
}

/** @throws ConfigError with every mistake */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const { loaded, mistakes } = await examine(options)
  if (loaded === undefined || mistakes.length > 0) throw new ConfigError(mistakes)
  return loaded
}

/** For `sluice check`. */
export async function checkConfig(file: string, options: Omit<LoadOptions, 'file'>): Promise<readonly Mistake[]> {
  return (await examine({ ...options, file })).mistakes
}

export interface Examined {
  /** When there are no mistakes. */
  readonly loaded?: Loaded
  readonly mistakes: readonly Mistake[]
}

/** What the config is, or every mistake in it. */
export async function examine(options: LoadOptions): Promise<Examined> {
  const { env = process.env } = options
  const document = await open(options)
  if (document.broken) return { mistakes: inOrder(document.mistakes, document.file) }
  const file = document.file === '' ? undefined : document.file
  const absolute = (path: string) => resolve(file === undefined ? '.' : dirname(file), path)

  const builtIn = await loadMentioned(options.plugins, mentionIn(document.value, env))
  const own = await ownPlugins(document.value, builtIn, absolute, options.loadPlugin)
  const plugins = [...builtIn, ...own.plugins]
  const schema = once(() => jsonSchema(plugins))
  const { value: raw, overrides, mistakes } = applyEnvironment(document.value, schema, env)
  const value = withoutEmpty(raw)
  const { parsed, issues } = parseSections(value, plugins)
  const explained = issues.length > 0 ? explain(issues, value, schema()) : []
  const findings = [...own.findings, ...explained, ...crossCheck(parsed, value)]
  const all = inOrder([...document.mistakes, ...report(findings, document, overrides), ...mistakes], document.file)
  if (all.length > 0) return { mistakes: all }
  const view = once(() => effectiveConfig(value, schema(), document, overrides))
  const loaded: Loaded = {
    config: complete(parsed as Parsed, options.gatewayId ?? defaultGatewayId),
    file,
    plugins,
    get origins() {
      return view().origins
    },
    get effective() {
      return view().values
    },
    resolve: absolute,
  }
  return { loaded, mistakes: [] }
}

/** Makes it when it is first asked for: a start without mistakes and overrides does without the JSON Schema. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function complete(parsed: Parsed, gatewayId: () => string): Config {
  return { ...parsed, gateway: { id: parsed.gateway.id ?? gatewayId() } }
}

/** A section that holds nothing, as when all its lines are comments, is as if it were not there. */
function withoutEmpty(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, section]) => section !== null))
}

function parseSections(value: unknown, plugins: readonly Plugin[]): { parsed: Partial<Parsed>; issues: Issue[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { parsed: {}, issues: [{ code: 'invalid_type', expected: 'object', path: [], message: '', input: value }] }
  }
  const given = value as Readonly<Record<string, unknown>>
  const known = sections(plugins)
  const parsed: Partial<Record<SectionName, unknown>> = {}
  const issues: Issue[] = []
  for (const [name, schema] of Object.entries(known) as [SectionName, (typeof known)[SectionName]][]) {
    const result = schema.safeParse(Object.hasOwn(given, name) ? given[name] : undefined)
    if (result.success) parsed[name] = result.data
    else issues.push(...result.error.issues.map((issue) => ({ ...issue, path: [name, ...issue.path] })))
  }
  const keys = Object.keys(given).filter((key) => !Object.hasOwn(known, key))
  if (keys.length > 0)
    issues.push({ code: 'unrecognized_keys', keys, path: [], message: 'Unrecognized keys', input: given })
  return { parsed: parsed as Partial<Parsed>, issues }
}

async function open(options: LoadOptions): Promise<ConfigDocument> {
  const { file, systemFile = SYSTEM_FILE } = options
  const path = file ?? systemFile
  if (options.text !== undefined) return parseYaml(file ?? systemFile, options.text)
  try {
    const bytes = await readFile(path)
    if (bytes.length > MAX_FILE) throw new Error(`it is larger than ${MAX_FILE / 1024 / 1024} MiB`)
    return parseYaml(path, new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (file === undefined && code === 'ENOENT') return parseYaml('', '')
    return {
      ...parseYaml(path, ''),
      broken: true,
      mistakes: [{ file: path, line: 1, column: 1, message: unreadable(code, error) }],
    }
  }
}

function unreadable(code: unknown, error: unknown): string {
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES') return 'this file may not be read by the user that runs the gateway'
  if (code === 'EISDIR') return 'this is a directory, name the file in it'
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'this file is not UTF-8 text'
  return `the file cannot be read: ${reasonOf(error)}`
}

/** Plugins come first: without their schemas nothing can be said of their options. */
async function ownPlugins(
  value: unknown,
  builtIn: readonly Plugin[],
  absolute: (path: string) => string,
  load: ((file: string) => Promise<Plugin>) | undefined,
): Promise<{ plugins: Plugin[]; findings: Finding[] }> {
  const listed =
    typeof value === 'object' && value !== null && 'plugins' in value && Array.isArray(value.plugins)
      ? value.plugins
      : []
  const plugins: Plugin[] = []
  const findings: Finding[] = []
  for (const [i, path] of listed.entries()) {
    if (typeof path !== 'string' || load === undefined) continue
    try {
      const plugin = await load(absolute(path))
      if ([...builtIn, ...plugins].some(({ name }) => name === plugin.name))
        throw new Error(`there is already a plugin \`${plugin.name}\``)
      plugins.push(plugin)
    } catch (error) {
      findings.push({ path: ['plugins', i], at: 'value', message: `plugin ${path}: ${reasonOf(error)}` })
    }
  }
  return { plugins, findings }
}
