// `npm run docs`: writes every generated page. Add a generator to the list; running it twice gives the same bytes.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jsonSchema } from '../gateway/config/json-schema.ts'
import { pluginTable, referencePage } from '../gateway/config/reference.ts'
import { openapi } from '../gateway/http/openapi.ts'
import type { Plugin } from '../gateway/plugin.ts'
import { allPlugins } from '../plugins/index.ts'
import { commandLinePage, manual } from './command-line.ts'
import { bashCompletion, fishCompletion } from './completions.ts'
import { errorPage } from './error-codes.ts'

interface Generator {
  /** Relative to the repository. */
  readonly file: string
  make(): string | Promise<string>
}

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'))

const plugins = await allPlugins()

const GENERATORS: readonly Generator[] = [
  { file: 'docs/reference/config.md', make: () => referencePage(plugins) },
  { file: 'docs/reference/config.schema.json', make: () => json(jsonSchema(plugins)) },
  { file: 'docs/reference/openapi.json', make: async () => json(await openapi()) },
  { file: 'docs/reference/errors.md', make: () => errorPage(['gateway', 'plugins']) },
  { file: 'docs/reference/command-line.md', make: commandLinePage },
  { file: 'packaging/deb/sluice.1', make: manual },
  { file: 'packaging/deb/sluice.bash', make: bashCompletion },
  { file: 'packaging/deb/sluice.fish', make: fishCompletion },
  ...plugins.filter((plugin) => existsSync(readmeOf(plugin))).map(pluginReadme),
]

for (const { file, make } of GENERATORS) {
  const text = await make()
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  console.log(`wrote ${file}`)
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** The table of options between two marks of the plugin's README, at its end at first; the rest is written by hand. */
function pluginReadme(plugin: Plugin): Generator {
  const make = () => {
    const written = readFileSync(readmeOf(plugin), 'utf8')
    const generated = `<!-- options, made by npm run docs -->\n\n${pluginTable(plugin)}\n<!-- end of options -->`
    const marks = /<!-- options, made by npm run docs -->[\s\S]*?<!-- end of options -->/
    if (marks.test(written)) return written.replace(marks, () => generated)
    return `${written.trimEnd()}\n\n## Options\n\n${generated}\n`
  }
  return { file: readmeOf(plugin), make }
}

function readmeOf(plugin: Plugin): string {
  return `plugins/${plugin.name}/README.md`
}
