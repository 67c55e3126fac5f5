/**
 * CSV (RFC 4180) as devices send it: cells in quotes may hold delimiters, line breaks and doubled quotes; other cells
 * are trimmed; lines end in LF, CRLF or CR; empty lines mean nothing.
 */
import { DecodeError } from '../errors.ts'

/** @throws DecodeError `csv` when a quote is not closed or stands in the middle of a cell */
export function splitCsv(text: string, delimiter = ','): string[][] {
  const comma = delimiter.charCodeAt(0)
  const rows: string[][] = []
  let row: string[] = []
  let i = 0
  while (i < text.length) {
    const quoted = text.charCodeAt(skipBlanks(text, i, comma)) === QUOTE
    const end = quoted ? quotedEnd(text, i, comma) : plainEnd(text, i, comma)
    row.push(cellText(text, i, end))
    i = end
    if (text.charCodeAt(i) === comma) {
      i++
      if (i < text.length && !isBreak(text.charCodeAt(i))) continue
      row.push('')
    }
    if (text.charCodeAt(i) === RETURN) i++
    if (text.charCodeAt(i) === LINE) i++
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
  }
  return rows
}

const QUOTE = 34
const LINE = 10
const RETURN = 13

function isBreak(c: number): boolean {
  return c === LINE || c === RETURN
}

function skipBlanks(text: string, from: number, comma: number): number {
  let i = from
  for (let c = text.charCodeAt(i); (c === 32 || c === 9) && c !== comma; c = text.charCodeAt(i)) i++
  return i
}

function plainEnd(text: string, from: number, comma: number): number {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === comma || isBreak(c)) return i
  }
  return text.length
}

function quotedEnd(text: string, from: number, comma: number): number {
  let close = text.indexOf('"', text.indexOf('"', from) + 1)
  while (close >= 0 && text.charCodeAt(close + 1) === QUOTE) close = text.indexOf('"', close + 2)
  if (close < 0) throw new DecodeError('csv', 'a quoted cell is not closed')
  const end = skipBlanks(text, close + 1, comma)
  const c = text.charCodeAt(end)
  if (end < text.length && c !== comma && !isBreak(c)) {
    throw new DecodeError('csv', 'a quoted cell goes on after its closing quote')
  }
  return end
}

function cellText(text: string, start: number, end: number): string {
  const cell = text.slice(start, end).trim()
  return cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell
}
