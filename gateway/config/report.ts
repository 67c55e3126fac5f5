/** Gives findings their file, line and column: in the config file, or in the variable of the environment that set the value. */
import type { Mistake } from '../errors.ts'
import type { ConfigDocument, Path } from './document.ts'
import type { Finding } from './issue.ts'
import type { Override } from './override.ts'

export function report(
  findings: readonly Finding[],
  document: ConfigDocument,
  overrides: readonly Override[],
): Mistake[] {
  return findings.map((finding) => locate(finding, document, overrides))
}

/** The config file first, then variables as they appear; in each by line and column. */
export function inOrder(mistakes: readonly Mistake[], file: string): Mistake[] {
  const files = [...new Set([file, ...mistakes.map((mistake) => mistake.file)])]
  const unique = new Map(mistakes.map((mistake) => [JSON.stringify(mistake), mistake]))
  return [...unique.values()].sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  )
}

function locate({ path, at, message }: Finding, document: ConfigDocument, overrides: readonly Override[]): Mistake {
  // Later ones were applied on top, so the last that reaches the path has the say.
  const above = overrides.findLast((override) => startsWith(path, override.path))
  if (above)
    return { file: above.document.file, ...above.document.position(path.slice(above.path.length), at), message }
  const below = document.has(path) ? undefined : overrides.findLast((override) => startsWith(override.path, path))
  if (below) return { file: below.document.file, line: 1, column: 1, message }
  return { file: document.file, ...document.position(path, at), message }
}

function startsWith(path: Path, start: Path): boolean {
  return start.length <= path.length && start.every((part, i) => String(part) === String(path[i]))
}
