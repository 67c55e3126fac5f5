/** Brings look-up tables into the journal: messages are decoded with what is journaled, never with a file. */
import type { LookupFile } from '../decode/lookup.ts'
import { partsOf, type TablePart } from '../decode/tables.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Intake } from './intake.ts'

/** Parts of a table that are journaled in one go: some hundred KB. Large tables take several. */
const AT_ONCE = 16

export interface TableJournal {
  /**
   * Journals rows of tables that are not those in use, at most some hundred KB of them.
   *
   * @returns true when nothing is left to journal; false also when there is no room
   */
  go(): boolean
}

export function createTableJournal(
  files: Readonly<Record<string, LookupFile>>,
  { tables }: Pick<Pipeline, 'tables'>,
  intake: Pick<Intake, 'control'>,
): TableJournal {
  let parts: readonly TablePart[] = []
  let next = 0

  /** A table that changed again while it is on its way begins anew. */
  const isUpToDate = ({ name, digest }: TablePart) => digest === (files[name]?.digest ?? '')

  const findWork = (): readonly TablePart[] => {
    for (const file of Object.values(files))
      if (tables.digest(file.name) !== file.digest) return partsOf(file.name, file.digest, file.rows)
    const gone = tables.names().find((name) => files[name] === undefined)
    return gone === undefined ? [] : partsOf(gone, '', [])
  }

  const nextPart = (): TablePart | undefined => {
    const part = parts[next]
    if (part && isUpToDate(part)) return part
    parts = findWork()
    next = 0
    return parts[0]
  }

  return {
    go() {
      for (let i = 0; i < AT_ONCE; i++) {
        const table = nextPart()
        if (!table) return true
        if (!intake.control({ type: 'table', table })) return false
        next++
      }
      return false
    },
  }
}
