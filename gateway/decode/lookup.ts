/**
 * Lookup tables: a CSV or JSON file whose rows add tags to readings by a key, loaded again when the file changes.
 *
 *   postcode,place,latitude,longitude        or   [{"postcode": "2000", "place": "Sydney", …}, …]
 *   2000,Sydney,-33.86,151.21                or   {"2000": {"place": "Sydney", …}, …}
 */
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { reasonOf, SluiceError, StartError } from '../errors.ts'
import type { Tags } from '../reading.ts'
import { splitCsv } from './csv.ts'
import type { LookupTable, TableRow } from './tables.ts'

/** A table's file, watched. */
export interface LookupFile extends LookupTable {
  readonly size: number
  /** Counts how often the file was loaded. */
  readonly version: number
  /** Of the rows: the same for the same rows in the same order, whatever the file looks like. */
  readonly digest: string
  readonly rows: readonly TableRow[]
  /** Looks whether the file has changed, and loads it. Resolves true when it was loaded; never rejects. */
  refresh(): Promise<boolean>
  close(): void
}

export interface LookupOptions {
  readonly name: string
  readonly path: string
  /** Column of the key, default the first one. */
  readonly key?: string | undefined
  /** Default by the file's name, else by its first character. */
  readonly format?: 'csv' | 'json' | undefined
  /** CSV: one character, default comma. */
  readonly delimiter?: string | undefined
  /** How often the file is looked at, ms, default 5 s. */
  readonly every?: number | undefined
  readonly clock: Clock
  /** Called when a changed file can't be used; the rows loaded before stay. */
  readonly report: (error: SluiceError) => void
  /** Called when a changed file was loaded. */
  readonly reloaded?: (rows: number) => void
}

type Rows = ReadonlyMap<string, Tags>

/** @throws StartError `SLUICE_LOOKUP` when the file can't be used at start */
export async function openLookup(options: LookupOptions): Promise<LookupFile> {
  let stamp = ''
  let digest = ''
  let version = 0
  let rows: Rows = new Map()
  let closed = false
  let pending: Promise<boolean> | undefined

  /** Remembers the stamp before reading: a bad file is reported once, not every few seconds. */
  async function refresh(): Promise<boolean> {
    const next = await stampOf(options.path)
    if (next === stamp || closed) return false
    stamp = next
    rows = parseTable(await readFile(options.path), options)
    digest = digestOf(rows)
    version++
    return true
  }

  await refresh().catch((error) => {
    throw new StartError('SLUICE_LOOKUP', `lookup ${options.name}: ${reasonOf(error)}`, { cause: error })
  })
  function keepOld(error: unknown): boolean {
    const text = `lookup ${options.name}: ${reasonOf(error)}; the rows loaded before stay in use`
    options.report(new SluiceError('SLUICE_LOOKUP', text, { cause: error }))
    return false
  }

  function quietly(): Promise<boolean> {
    pending ??= refresh()
      .then((loaded) => {
        if (loaded) options.reloaded?.(rows.size)
        return loaded
      })
      .catch(keepOld)
      .finally(() => {
        pending = undefined
      })
    return pending
  }

  const timer = options.clock.every(options.every ?? 5000, quietly)
  return {
    name: options.name,
    get size() {
      return rows.size
    },
    get version() {
      return version
    },
    get digest() {
      return digest
    },
    get rows() {
      return [...rows]
    },
    get: (key) => rows.get(key),
    refresh: quietly,
    close() {
      closed = true
      timer.cancel()
    },
  }
}

function digestOf(rows: Rows): string {
  return createHash('sha256')
    .update(JSON.stringify([...rows]))
    .digest('hex')
}

/** Modification time and size; 'gone' when it can't be read, so that an absent file is reported once. */
async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs}/${size}/${ino}`
  } catch {
    return 'gone'
  }
}

/** @throws Error when the file is no table */
export function parseTable(bytes: Buffer, options: Pick<LookupOptions, 'path' | 'key' | 'format' | 'delimiter'>): Rows {
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '')
  const byName = options.path.endsWith('.json') ? 'json' : options.path.endsWith('.csv') ? 'csv' : undefined
  const format = options.format ?? byName ?? (/^\s*[[{]/.test(text) ? 'json' : 'csv')
  return format === 'json' ? jsonRows(text, options.key) : csvRows(text, options.key, options.delimiter)
}

function csvRows(text: string, key: string | undefined, delimiter: string | undefined): Rows {
  const [header, ...lines] = splitCsv(text, delimiter)
  if (!header) throw new Error('the file is empty')
  const at = key === undefined ? 0 : header.indexOf(key)
  if (at < 0) throw new Error(`it has no column ${key}`)
  const rows = new Map<string, Tags>()
  for (const line of lines) {
    const columns = header.flatMap((name, i) => (line[i] === undefined || line[i] === '' ? [] : [[name, line[i]]]))
    const value = line[at]
    if (value) rows.set(value, Object.freeze(Object.fromEntries(columns)))
  }
  return rows
}

function jsonRows(text: string, key: string | undefined): Rows {
  const data: unknown = JSON.parse(text)
  const rows = new Map<string, Tags>()
  if (Array.isArray(data)) {
    for (const entry of data) {
      const row = columnsOf(entry)
      const value = row[key ?? Object.keys(row)[0] ?? '']
      if (value !== undefined) rows.set(value, row)
    }
    if (rows.size === 0 && data.length > 0) throw new Error(`no row has the key ${key ?? 'in its first column'}`)
  } else if (typeof data === 'object' && data !== null) {
    for (const [value, entry] of Object.entries(data)) rows.set(value, columnsOf(entry))
  } else throw new Error('it is neither a list of objects nor an object of objects')
  return rows
}

function columnsOf(entry: unknown): Tags {
  if (typeof entry !== 'object' || entry === null) throw new Error('a row is no object')
  const columns = Object.entries(entry).flatMap(([name, value]) =>
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? [[name, String(value)]] : [],
  )
  return Object.freeze(Object.fromEntries(columns))
}
