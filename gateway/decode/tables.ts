/**
 * The look-up tables that messages are decoded with. They are part of the state: the journal holds each table's rows as
 * they were when messages came, so that a replay adds the same tags though the file has changed since. A large table
 * comes in several parts and counts from the last one on.
 */
import type { Tags } from '../reading.ts'

/** What decoding asks. */
export interface LookupTable {
  readonly name: string
  /** The columns of the row with that key; the same frozen object until the table has other rows. */
  get(key: string): Tags | undefined
}

/** A part of a table, as it is journaled; plain JSON. */
export interface TablePart {
  readonly name: string
  /** Of all rows: see `digestOf`. Empty for a table that left the config. */
  readonly digest: string
  /** Counts from 0. */
  readonly part: number
  readonly parts: number
  readonly rows: readonly TableRow[]
}

export type TableRow = readonly [key: string, columns: Tags]

/** Plain JSON, for a checkpoint. */
export interface TableState {
  readonly name: string
  readonly digest: string
  readonly rows: readonly TableRow[]
  /** A newer table of which the last part has not come. */
  readonly coming?: { readonly digest: string; readonly parts: number; readonly rows: readonly TableRow[] }
}

/** Rows per part: some ten KB of journal each. */
const PART_ROWS = 256

/** What is journaled of a table. */
export function partsOf(name: string, digest: string, rows: readonly TableRow[]): TablePart[] {
  const parts = Math.max(1, Math.ceil(rows.length / PART_ROWS))
  return Array.from({ length: parts }, (_, part) => {
    return { name, digest, part, parts, rows: rows.slice(part * PART_ROWS, (part + 1) * PART_ROWS) }
  })
}

interface Coming {
  readonly digest: string
  parts: number
  readonly rows: TableRow[]
}

class Table implements LookupTable {
  readonly name: string
  digest = ''
  rows: ReadonlyMap<string, Tags> = new Map()
  coming: Coming | undefined

  constructor(name: string) {
    this.name = name
  }

  get(key: string): Tags | undefined {
    return this.rows.get(key)
  }

  become(digest: string, rows: readonly TableRow[]): void {
    this.digest = digest
    this.rows = new Map(rows)
    for (const columns of this.rows.values()) Object.freeze(columns)
  }
}

export class Tables {
  readonly #tables = new Map<string, Table>()

  /** The table of that name, also when it has no rows yet: it always is the same object. */
  get(name: string): LookupTable {
    return this.#named(name)
  }

  /** Which rows are in use; empty when there are none. */
  digest(name: string): string {
    return this.#tables.get(name)?.digest ?? ''
  }

  /** Those that have rows. */
  names(): string[] {
    return [...this.#tables.values()].flatMap(({ name, digest }) => (digest === '' ? [] : [name]))
  }

  take({ name, digest, part, parts, rows }: TablePart): void {
    const table = this.#named(name)
    if (part === 0) table.coming = { digest, parts: 0, rows: [] }
    const { coming } = table
    if (coming?.digest !== digest || coming.parts !== part) return
    coming.rows.push(...rows)
    coming.parts++
    if (coming.parts < parts) return
    table.coming = undefined
    table.become(digest, coming.rows)
  }

  state(): TableState[] {
    return [...this.#tables.values()].map(({ name, digest, rows, coming }) => {
      return { name, digest, rows: [...rows], ...(coming ? { coming: { ...coming, rows: [...coming.rows] } } : {}) }
    })
  }

  restore(states: readonly TableState[]): void {
    for (const { name, digest, rows, coming } of states) {
      const table = this.#named(name)
      table.become(digest, rows)
      table.coming = coming && { ...coming, rows: [...coming.rows] }
    }
  }

  #named(name: string): Table {
    let table = this.#tables.get(name)
    if (!table) {
      table = new Table(name)
      this.#tables.set(name, table)
    }
    return table
  }
}
