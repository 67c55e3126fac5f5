// Finds the stable codes where they are raised: `new SomeError('SLUICE_CODE', 'message')` in the sources.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Use {
  readonly code: string
  /** Class of gateway/errors.ts; '' where the code stands in a table. */
  readonly raised: string
  readonly message: string
  readonly folder: string
}

const CALL = /new (\w+)\(\s*(?:(\d{3}),\s*)?'(SLUICE_[A-Z][A-Z0-9_]*)'(?:,\s*('(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`))?/g
const LITERAL = /'(SLUICE_[A-Z][A-Z0-9_]*[A-Z0-9])'/g
const DEAD = /new DecodeError\(\s*'(\w+)',\s*('(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)/g

/** docs/reference/errors.md */
export function errorPage(folders: readonly string[]): string {
  const files = folders.flatMap(sources)
  const uses = files.flatMap(usesIn)
  const codes = [...new Set(uses.map((use) => use.code))].sort()
  const rows = codes.map((code) =>
    row(
      code,
      uses.filter((use) => use.code === code),
    ),
  )
  return `# Error codes

Made by \`npm run docs\` from the sources; do not edit.

Codes are stable: match on them, not on messages. In a message \`…\` stands for what is filled in.

| code | class | messages | in |
|---|---|---|---|
${rows.join('\n')}

## What a class means

| class | the gateway |
|---|---|
| ConfigError | refuses to start (exit 78); at a reload the running config stays |
| StartError | refuses to start (exit 1) |
| NotConnectedError | backs off and tries again |
| RefusedError | does not send this again, counts it, and records a gap |
| PartialWriteError | sends the rest again |
| DecodeError | keeps the message as a dead letter, counted by reason |
| BusyError | has no room now; the sender comes back later |
| RequestError | answers with the HTTP status beside the code |
| DamageError | found bytes on disk that are not what was written |

## Why messages become dead letters

| reason | messages |
|---|---|
${deadLetters(files).join('\n')}
`
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return sources(path)
      return path.endsWith('.ts') ? [path] : []
    })
}

function usesIn(file: string): Use[] {
  const text = readFileSync(file, 'utf8')
  const folder = file.split('/').slice(0, -1).join('/')
  const raised = [...text.matchAll(CALL)].map(([, name = '', status, code = '', message]): Use => {
    return { code, raised: status ? `${name} ${status}` : name, message: plain(message), folder }
  })
  const others = [...text.matchAll(LITERAL)]
    .filter(([, code]) => !raised.some((use) => use.code === code))
    .map(([, code = '']): Use => ({ code, raised: '', message: '', folder }))
  return [...raised, ...others]
}

function row(code: string, uses: readonly Use[]): string {
  const distinct = (values: readonly string[]) => [...new Set(values.filter((value) => value !== ''))].sort()
  const messages = distinct(uses.map((use) => use.message)).join('<br>')
  const places = distinct(uses.map((use) => `\`${use.folder}\``)).join(', ')
  return `| \`${code}\` | ${distinct(uses.map((use) => use.raised)).join(', ')} | ${messages} | ${places} |`
}

function deadLetters(files: readonly string[]): string[] {
  const messages = new Map<string, Set<string>>()
  for (const file of files) {
    for (const [, reason = '', message] of readFileSync(file, 'utf8').matchAll(DEAD)) {
      messages.set(reason, (messages.get(reason) ?? new Set()).add(plain(message)))
    }
  }
  return [...messages]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([reason, texts]) => `| \`${reason}\` | ${[...texts].sort().join('<br>')} |`)
}

/** A literal's text as a cell: what is filled in becomes `…`. */
function plain(literal: string | undefined): string {
  if (literal === undefined) return ''
  const filled = literal.slice(1, -1).replace(/\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}/g, '…')
  return filled
    .replace(/\\(.)/g, '$1')
    .replace(/\s+/g, ' ')
    .replace(/[|<>]/g, (char) => `\\${char}`)
}
