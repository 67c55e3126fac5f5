/** What the demo shows: a block that is redrawn on a terminal, lines elsewhere. */
import { stripVTControlCharacters } from 'node:util'
import type { Paint } from '../cli/terminal.ts'
import type { AlertRecord, WindowRecord } from '../record.ts'

export interface Totals {
  readonly seconds: number
  readonly devices: number
  readonly readings: number
  readonly bytesIn: number
  readonly dead: number
  readonly windows: number
  readonly waiting: number
  readonly away: boolean
  readonly batches: number
  readonly records: number
  readonly bytesUp: number
}

export interface Screen {
  result(record: WindowRecord): void
  alert(record: AlertRecord): void
  show(totals: Totals): void
  done(totals: Totals): void
}

interface Output {
  /** Columns of a terminal, where what was written can be written over; undefined elsewhere. */
  readonly columns: number | undefined
  print(line: string): void
  write(text: string): void
}

const RECENT = 8
const EVENTS = 4
/** Widest bar of progress, characters. */
const BAR = 40

/** @param limit seconds the demo runs, or undefined when until Ctrl-C */
export function createScreen(output: Output, paint: Paint, limit: number | undefined): Screen {
  const { columns } = output
  const results: string[] = []
  const happened: string[] = []
  let drawn = 0
  let last: Totals | undefined
  const note = (seconds: number, text: string) => {
    const line = `${seconds.toFixed(0).padStart(4)} s  ${text}`
    if (columns === undefined) output.print(line)
    else keep(happened, line, EVENTS)
  }
  const look = (now: Totals) => {
    if (now.away === (last?.away ?? false)) return
    note(now.seconds, now.away ? 'the uplink is cut: records wait in the outbox' : 'the uplink is back')
  }
  return {
    result(record) {
      if (record.window === 'per-device') keep(results, resultLine(record), RECENT)
    },
    alert({ rule, key, state }) {
      note(last?.seconds ?? 0, `alert ${rule} for ${Object.values(key).join(' ')}: ${state}`)
    },
    show(now) {
      look(now)
      if (columns === undefined) {
        output.print(summary(now, last))
        for (const line of results.splice(0, 2)) output.print(line)
      } else {
        const lines = [...block(now, last, limit, paint), '', paint.dim('what happened'), ...fill(happened, EVENTS)]
        lines.push('', paint.dim('latest window results'), ...fill(results, RECENT))
        output.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.map((line) => draw(line, columns)).join('')}`)
        drawn = lines.length
      }
      last = now
    },
    done(totals) {
      output.print('')
      output.print(`stopped after ${summary(totals, undefined).trimStart()}`)
    },
  }
}

/** Wrapped lines could not be written over. */
function draw(line: string, columns: number): string {
  const bare = stripVTControlCharacters(line)
  return `\x1b[2K${bare.length < columns ? line : bare.slice(0, columns - 1)}\n`
}

function fill(lines: readonly string[], height: number): string[] {
  return Array.from({ length: height }, (_, i) => lines[i] ?? '')
}

function keep(lines: string[], line: string, most: number): void {
  lines.push(line)
  if (lines.length > most) lines.shift()
}

function block(now: Totals, last: Totals | undefined, limit: number | undefined, paint: Paint): string[] {
  const rate = (pick: (totals: Totals) => number) => `${pad(perSecond(now, last, pick), 5)}/s`
  const row = (name: string, n: number, what: string, speed: string, rest: string) =>
    `${paint.bold(name.padEnd(9))}${pad(n, 8)} ${what.padEnd(9)}${speed}   ${rest}`
  const state = now.away ? paint.red(`cut, ${now.waiting} wait`) : paint.green('up')
  const dead = now.dead === 1 ? '1 dead letter' : `${now.dead} dead letters`
  return [
    limit === undefined ? `${now.seconds.toFixed(0)} s, Ctrl-C stops` : progress(now.seconds, limit),
    '',
    row('in', now.readings, 'readings', rate(readings), `${size(now.bytesIn)} from ${now.devices} devices, ${dead}`),
    row('windows', now.windows, 'results', rate(windows), ''),
    row('upstream', now.records, 'records', rate(records), `${size(now.bytesUp)} in ${now.batches} batches, ${state}`),
    `${paint.bold('saved'.padEnd(9))}${saved(now)}`,
  ]
}

const readings = (totals: Totals) => totals.readings
const windows = (totals: Totals) => totals.windows
const records = (totals: Totals) => totals.records

function perSecond(now: Totals, last: Totals | undefined, pick: (totals: Totals) => number): string {
  const seconds = Math.max(0.001, now.seconds - (last?.seconds ?? 0))
  return ((pick(now) - (last ? pick(last) : 0)) / seconds).toFixed(0)
}

function progress(seconds: number, limit: number): string {
  const filled = Math.round(Math.min(1, seconds / limit) * BAR)
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${seconds.toFixed(0)} of ${limit} s`
}

function summary(now: Totals, last: Totals | undefined): string {
  const speed = last ? `, ${perSecond(now, last, readings)}/s` : ''
  return (
    `${now.seconds.toFixed(0).padStart(4)} s  ${now.readings} readings${speed} (${size(now.bytesIn)}) from ${now.devices} devices · ` +
    `${now.windows} window results · ${now.records} records upstream (${size(now.bytesUp)}), ${now.waiting} wait · ${saved(now)}`
  )
}

/** Only once there is something to compare. */
function saved(totals: Totals): string {
  if (totals.records === 0) return 'the first windows are still open'
  const share = 1 - totals.bytesUp / Math.max(1, totals.bytesIn)
  return share > 0 ? `${(share * 100).toFixed(0)} % of the bytes saved` : 'no bytes saved yet'
}

function resultLine(record: WindowRecord): string {
  const fields = Object.entries(record.fields).map(([name, statistics]) =>
    'mean' in statistics
      ? `${name} ${statistics.min}–${statistics.max}, mean ${Number(statistics.mean).toFixed(2)}`
      : `${name} ${values(statistics)}`,
  )
  const key = Object.values(record.key).join(' ')
  return `        ${record.end.slice(11, 19)}  ${key.padEnd(15)} ${String(record.count).padStart(3)} × ${fields.join(' · ')}`
}

function values(statistics: object): string {
  const counts = 'values' in statistics ? (statistics.values as Record<string, number>) : {}
  return Object.entries(counts)
    .map(([value, count]) => `${value} ${count}`)
    .join(', ')
}

function pad(value: number | string, width: number): string {
  return String(value).padStart(width)
}

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`
}
