/** A YAML text with its positions: what it holds, what is wrong with it as YAML, and where each path of it stands. */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
} from 'yaml'
import type { Mistake } from '../errors.ts'
import { reasonOf } from '../errors.ts'

export type Path = readonly (string | number)[]

/** Lines and columns count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface ConfigDocument {
  readonly file: string
  readonly value: unknown
  readonly mistakes: readonly Mistake[]
  /** The text is no YAML: what it holds is a guess. */
  readonly broken: boolean
  has(path: Path): boolean
  /** Of the key or the value at the path, or of what stands nearest above it. */
  position(path: Path, at: 'key' | 'value'): Position
}

const FIXES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab indents this line: YAML takes spaces only',
  BLOCK_AS_IMPLICIT_KEY: 'a second `: ` in one line: put the value in quotes, or begin a new line',
  MULTILINE_IMPLICIT_KEY: 'this is no `key: value` line, or its indentation is wrong',
  MULTIPLE_DOCS: 'a second document begins here: keep one, without `---`',
  BAD_SCALAR_START: 'a value cannot begin with this character: put it in quotes',
}

export function parseYaml(file: string, text: string): ConfigDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error', merge: true })
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const errors = [...document.errors, ...document.warnings]
  const mistakes = errors.map((error) => ({
    file,
    ...place(error.pos[0]),
    message: explain(error, text, document, place),
  }))
  const { value, problem } = read(document)
  if (problem !== undefined) mistakes.push({ file, line: 1, column: 1, message: problem })
  return {
    file,
    value,
    mistakes,
    broken: problem !== undefined || errors.some((error) => error.code !== 'DUPLICATE_KEY'),
    has: (path) => find(document, path).exact,
    position: (path, at) => place(find(document, path)[at]),
  }
}

function read(document: Document): { value: unknown; problem?: string } {
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) }
  } catch (error) {
    return { value: undefined, problem: reasonOf(error).replace(/^[A-Z]/, (letter) => letter.toLowerCase()) }
  }
}

function explain(error: YAMLError, text: string, document: Document, place: (offset: number) => Position): string {
  if (error.code === 'DUPLICATE_KEY') {
    const key = /^["']?([^"':\s,}]+)/.exec(text.slice(error.pos[0]))?.[1] ?? ''
    const first = firstOf(document.contents, key, error.pos[0])
    return `\`${key}\` stands twice here${first === undefined ? '' : `, first in line ${place(first).line}`}: keep one`
  }
  return (
    FIXES[error.code] ??
    `this is no YAML: ${error.message.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())}`
  )
}

/** Where the key that is repeated at `offset` stands first, in the same mapping. */
function firstOf(node: unknown, key: string, offset: number): number | undefined {
  if (!isNode(node) || !node.range || offset < node.range[0] || offset > node.range[2]) return undefined
  if (isSeq(node)) return firstDefined(node.items.map((item) => firstOf(item, key, offset)))
  if (!isMap(node)) return undefined
  const inside = firstDefined(node.items.map((pair) => firstOf(pair.value, key, offset)))
  if (inside !== undefined) return inside
  const starts = node.items.flatMap((pair) =>
    isScalar(pair.key) && String(pair.key.value) === key ? [pair.key.range?.[0]] : [],
  )
  return starts.includes(offset) ? starts[0] : undefined
}

function firstDefined(values: readonly (number | undefined)[]): number | undefined {
  return values.find((value) => value !== undefined)
}

interface Found {
  readonly exact: boolean
  readonly key: number
  readonly value: number
}

function find(document: Document, path: Path): Found {
  let node: unknown = document.contents
  let key = startOf(node) ?? 0
  let value = key
  for (const [i, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    const step = child(node, part)
    if (!step) return { exact: i === path.length, key, value }
    node = step.node
    key = step.key ?? startOf(node) ?? key
    // The value of a block begins on another line: its key is what a person looks for.
    value = isCollection(node) && !node.flow ? key : (startOf(node) ?? key)
  }
  return { exact: true, key, value }
}

function child(node: unknown, part: string | number): { node: unknown; key?: number | undefined } | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(part)]
    return item === undefined ? undefined : { node: item }
  }
  if (!isMap(node)) return undefined
  const pair = node.items.findLast((one) => isScalar(one.key) && String(one.key.value) === String(part))
  return pair && { node: pair.value, key: startOf(pair.key) }
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}
