/** Aligned tables for a person: numbers to the right, text to the left, nothing at the line's end. */
import { harmless, type Paint } from './terminal.ts'

export interface Column<Row> {
  readonly head: string
  /** Undefined shows as a dash. */
  readonly cell: (row: Row) => string | number | undefined
  /** Numbers stand right. */
  readonly right?: boolean
}

export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const cells = rows.map((row) => columns.map((column) => shown(column.cell(row))))
  const widths = columns.map((column, i) => Math.max(column.head.length, ...cells.map((line) => width(line[i] ?? ''))))
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => pad(text, widths[i] ?? 0, columns[i]?.right === true))
      .join('  ')
      .trimEnd()
  return [paint.dim(line(columns.map((column) => column.head))), ...cells.map(line)].join('\n')
}

function shown(cell: string | number | undefined): string {
  return cell === undefined || cell === '' ? '-' : harmless(String(cell))
}

/** Code points, near enough to columns. */
function width(text: string): number {
  return [...text].length
}

function pad(text: string, to: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, to - width(text)))
  return right ? space + text : text + space
}
