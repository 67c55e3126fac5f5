/** What the demo shows: a block that is redrawn on a terminal, a line a second elsewhere. */
import type { WindowRecord } from '../record.ts'

export interface Totals {
  readonly seconds: number
  readonly devices: number
  readonly readings: number
  readonly bytesIn: number
  readonly windows: number
  readonly waiting: number
  readonly batches: number
  readonly records: number
  readonly bytesUp: number
  readonly dead: number
}

export interface Screen {
  result(record: WindowRecord): void
  show(totals: Totals): void
  done(totals: Totals): void
}

interface Output {
  readonly isTTY?: boolean
  write(text: string): unknown
}

const RECENT = 8

/** @param limit seconds the demo runs, or undefined when until Ctrl-C */
export function createScreen(output: Output, limit: number | undefined): Screen {
  const recent: string[] = []
  let drawn = 0
  let last: Totals | undefined
  const result = (record: WindowRecord) => {
    recent.push(resultLine(record))
    if (recent.length > RECENT) recent.shift()
  }
  const show = (totals: Totals) => {
    if (output.isTTY) {
      const lines = [...block(totals, last, limit), '', 'latest window results', ...recent]
      output.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.map((line) => `\x1b[2K${line}\n`).join('')}`)
      drawn = lines.length
    } else {
      output.write(`${summary(totals)}\n`)
      for (const line of recent.splice(0, 2)) output.write(`${line}\n`)
    }
    last = totals
  }
  const done = (totals: Totals) => output.write(`\nstopped: ${summary(totals)}\n`)
  return { result, show, done }
}

function block(now: Totals, last: Totals | undefined, limit: number | undefined): string[] {
  const seconds = Math.max(0.001, now.seconds - (last?.seconds ?? 0))
  const rate = (pick: (totals: Totals) => number) => ((pick(now) - (last ? pick(last) : 0)) / seconds).toFixed(0)
  const time = limit === undefined ? `${now.seconds.toFixed(0)} s, Ctrl-C stops` : progress(now.seconds, limit)
  return [
    time,
    `in       ${pad(now.readings)} readings  ${pad(rate((t) => t.readings))}/s   ${size(now.bytesIn)} from ${now.devices} devices`,
    `windows  ${pad(now.windows)} results   ${pad(rate((t) => t.windows))}/s   ${now.dead} dead letters`,
    `upstream ${pad(now.records)} records   ${pad(rate((t) => t.records))}/s   ${size(now.bytesUp)} in ${now.batches} batches, ${now.waiting} waiting`,
    `saved    ${saved(now)}`,
  ]
}

function progress(seconds: number, limit: number): string {
  const done = Math.min(1, seconds / limit)
  const width = 30
  const filled = Math.round(done * width)
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${seconds.toFixed(0)} of ${limit} s`
}

function summary(totals: Totals): string {
  const { readings, devices, windows, records, batches } = totals
  return (
    `${totals.seconds.toFixed(0)} s: ${readings} readings (${size(totals.bytesIn)}) from ${devices} devices, ` +
    `${windows} window results, ${records} records upstream in ${batches} batches (${size(totals.bytesUp)}), ${saved(totals)}`
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
  return `  ${record.start.slice(11, 19)} ${key.padEnd(12)} n=${String(record.count).padEnd(4)} ${fields.join(' · ')}`.slice(
    0,
    118,
  )
}

function values(statistics: object): string {
  const counts = 'values' in statistics ? (statistics.values as Record<string, number>) : {}
  return Object.entries(counts)
    .map(([value, count]) => `${value}×${count}`)
    .join(' ')
}

function pad(value: number | string): string {
  return String(value).padStart(7)
}

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(2)} MB`
}
