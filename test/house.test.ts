import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sources(path)
    return entry.name.endsWith('.ts') ? [path] : []
  })
}

/** Lines of the runtime, its plugins and what both may use that match, but for those of `except`. */
function linesThat(match: RegExp, except: readonly string[] = []): string[] {
  return ['gateway', 'plugins', 'codec']
    .flatMap(sources)
    .filter((file) => !except.includes(file))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, i) => (match.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
    )
}

test('timers and the clocks of the machine are used in clock.ts only', () => {
  const timers = /\bDate\.now\(|\bperformance\.now\(|(?<![.\w])set(Timeout|Interval)\(/
  assert.deepEqual(linesThat(timers, ['gateway/clock.ts']), [])
})

test('the bundle can be a CommonJS file: nothing asks for import.meta', () => {
  assert.deepEqual(linesThat(/\bimport\.meta\b/), [])
})

test('nothing is looked away from', () => {
  assert.deepEqual(linesThat(/@ts-ignore|@ts-expect-error|biome-ignore|\bas any\b|: any\s*[;,)=]|<any>/), [])
})
