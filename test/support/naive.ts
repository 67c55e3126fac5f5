/** Statistics as anyone would compute them who keeps all values. */
import assert from 'node:assert/strict'

export interface NaiveWindow<T> {
  readonly key: Readonly<Record<string, string>>
  /** ms since the epoch */
  readonly start: number
  readonly end: number
  readonly rows: T[]
}

/** Every window that holds a row, by a text that names it. Windows are half-open and aligned to the epoch. */
export function naiveWindows<T>(
  rows: Iterable<T>,
  geometry: { readonly size: number; readonly slide?: number },
  timeOf: (row: T) => number,
  keyOf: (row: T) => Readonly<Record<string, string>>,
): Map<string, NaiveWindow<T>> {
  const { size, slide = size } = geometry
  const windows = new Map<string, NaiveWindow<T>>()
  for (const row of rows) {
    const time = timeOf(row)
    const key = keyOf(row)
    for (let start = Math.floor(time / slide) * slide; start > time - size; start -= slide) {
      const name = windowName(key, start)
      const window = windows.get(name) ?? { key, start, end: start + size, rows: [] }
      windows.set(name, window)
      window.rows.push(row)
    }
  }
  return windows
}

export function windowName(key: Readonly<Record<string, string>>, start: number | string): string {
  const parts = Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${JSON.stringify(parts)} from ${new Date(start).toISOString()}`
}

export function naiveNumbers(values: readonly number[]): Record<string, number> {
  const count = values.length
  const sum = values.reduce((a, b) => a + b, 0)
  const mean = sum / count
  const ssd = values.reduce((a, b) => a + (b - mean) ** 2, 0)
  const stddev = Math.sqrt(ssd / count)
  return { count, min: Math.min(...values), max: Math.max(...values), sum, mean, ssd, stddev }
}

export function naiveTexts(values: readonly string[]): { count: number; values: Record<string, number> } {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return { count: values.length, values: counts }
}

/** Equal, but for what another order of additions does to the last digits. */
export function assertNumbers(
  actual: Readonly<Record<string, unknown>> | undefined,
  expected: Readonly<Record<string, number>>,
  where: string,
): void {
  assert.deepEqual(Object.keys(actual ?? {}).sort(), Object.keys(expected).sort(), where)
  for (const [name, value] of Object.entries(expected)) {
    const got = Number(actual?.[name])
    assert.ok(Math.abs(got - value) <= 1e-9 * Math.max(1, Math.abs(value)), `${where}: ${name} is ${got}, not ${value}`)
  }
}
