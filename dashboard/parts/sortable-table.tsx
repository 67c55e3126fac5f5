import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { natural } from '../app/format.ts'

export interface Column<T> {
  readonly head: string
  readonly number?: boolean
  readonly sort?: (row: T) => string | number
  readonly cell: (row: T) => ComponentChildren
}

interface SortableParts<T> {
  readonly label: string
  readonly rows: readonly T[]
  readonly columns: readonly Column<T>[]
  readonly id: (row: T) => string
  /** Rows drawn at most. */
  readonly most: number
}

/** What scrolls must be reachable by the keyboard. */
const REACHABLE = { tabIndex: 0 }

export function SortableTable<T>({ label, rows, columns, id, most }: SortableParts<T>) {
  const [by, setBy] = useState<{ at: number; down: boolean }>({ at: 0, down: false })
  const sorted = sort(rows, columns[by.at]?.sort, by.down, id)
  return (
    <section class="scroll" aria-label={label} {...REACHABLE}>
      <table>
        <thead>
          <tr>
            {columns.map(({ head, number, sort: sortable }, at) => (
              <th
                key={head}
                scope="col"
                class={number ? 'number' : undefined}
                aria-sort={by.at !== at ? undefined : by.down ? 'descending' : 'ascending'}
              >
                {sortable ? (
                  <button type="button" onClick={() => setBy({ at, down: by.at === at && !by.down })}>
                    {head} {by.at === at ? (by.down ? '↓' : '↑') : ''}
                  </button>
                ) : (
                  head
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, most).map((row) => (
            <tr key={id(row)}>
              {columns.map(({ head, number, cell }) => (
                <td key={head} class={number ? 'number' : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Equal ones by their id, so that rows stay where they are. What is compared is worked out once per row. */
function sort<T>(rows: readonly T[], by: Column<T>['sort'], down: boolean, id: (row: T) => string): readonly T[] {
  if (!by) return rows
  const way = down ? -1 : 1
  return rows
    .map((row) => ({ row, key: keyOf(by(row)), id: id(row) }))
    .sort((a, b) => way * compare(a.key, b.key) || (a.id < b.id ? -1 : 1))
    .map(({ row }) => row)
}

function keyOf(value: string | number): string | number {
  return typeof value === 'string' ? natural(value) : value
}

/** What is no number stands last. */
function compare(a: string | number, b: string | number): number {
  if (typeof a === 'string' || typeof b === 'string') return a === b ? 0 : a < b ? -1 : 1
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a - b
}
