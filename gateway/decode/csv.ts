/**
 * CSV (RFC 4180) as devices send it: cells in quotes may hold delimiters, line breaks and doubled quotes; other cells
 * are trimmed; lines end in LF or CRLF; empty lines mean nothing.
 */
import { DecodeError } from '../errors.ts'

/** @throws DecodeError `csv` when a quote is not closed or stands in the middle of a cell */
export function splitCsv(text: string, delimiter = ','): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let i = 0
  while (i < text.length) {
    const cell =
      text[skipBlanks(text, i, delimiter)] === '"' ? quotedEnd(text, i, delimiter) : plainEnd(text, i, delimiter)
    row.push(cellText(text, i, cell))
    i = cell
    if (text.startsWith(delimiter, i)) {
      i += delimiter.length
      if (i === text.length) row.push('')
      else if (text[i] !== '\n' && text[i] !== '\r') continue
      else row.push('')
    }
    if (text[i] === '\r') i++
    if (text[i] === '\n') i++
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
  }
  if (row.length > 0) rows.push(row)
  return rows
}

function skipBlanks(text: string, from: number, delimiter: string): number {
  let i = from
  while ((text[i] === ' ' || text[i] === '\t') && text[i] !== delimiter) i++
  return i
}

function plainEnd(text: string, from: number, delimiter: string): number {
  let i = from
  while (i < text.length && text[i] !== '\n' && !(text[i] === '\r' && text[i + 1] === '\n') && text[i] !== delimiter)
    i++
  return i
}

function quotedEnd(text: string, from: number, delimiter: string): number {
  let close = text.indexOf('"', text.indexOf('"', from) + 1)
  while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2)
  if (close < 0) throw new DecodeError('csv', 'a quoted cell is not closed')
  const end = skipBlanks(text, close + 1, delimiter)
  if (end < text.length && text[end] !== delimiter && text[end] !== '\n' && text[end] !== '\r') {
    throw new DecodeError('csv', 'a quoted cell goes on after its closing quote')
  }
  return end
}

function cellText(text: string, start: number, end: number): string {
  const cell = text.slice(start, end).trim()
  return cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell
}
