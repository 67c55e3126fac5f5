/** A field over time: mean within its extent, and what a window says of it. */
import { useMemo } from 'preact/hooks'
import { type Point, RANGES, type Range } from '../app/history.ts'
import { texts } from '../app/texts.ts'
import { Chart, type Line } from './chart.tsx'

/** Shortest time axis, s. */
const LEAST = 60

interface FieldChartParts {
  readonly label: string
  readonly unit: string | undefined
  readonly range: Range
  readonly points: readonly Point[]
  /** Means of a window, and its name. */
  readonly window?: { readonly name: string; readonly points: readonly Point[] } | undefined
}

export function FieldChart({ label, unit, range, points, window }: FieldChartParts) {
  const { times, lines } = useMemo(
    () => columnsOf(points, window),
    [points.length, points[0]?.at, points.at(-1)?.at, window?.points.at(-1)?.at, window?.points.length],
  )
  return <Chart label={label} times={times} lines={lines} unit={unit} band span={spanOf(times[0], RANGES[range])} />
}

/** A young device has its short life fill the chart; nothing is shown before it. */
export function spanOf(first: number | undefined, length: number): [number, number] {
  const now = Math.ceil(Date.now() / 2000) * 2
  return [Math.max(now - length, Math.min(first ?? now, now - LEAST)), now]
}

function columnsOf(points: readonly Point[], window: FieldChartParts['window']): { times: number[]; lines: Line[] } {
  const own = new Map(points.map((point) => [point.at, point]))
  const means = new Map(window?.points.map(({ at, mean }) => [at, mean]))
  const times = [...new Set([...own.keys(), ...means.keys()])].sort((a, b) => a - b)
  const pick = (name: 'min' | 'max' | 'mean') => times.map((at) => own.get(at)?.[name] ?? null)
  const { max, min, mean } = texts.windows
  const lines: Line[] = [
    { label: max, values: pick('max'), tone: 'soft' },
    { label: min, values: pick('min'), tone: 'soft' },
    { label: mean, values: pick('mean') },
  ]
  if (window && window.points.length > 0)
    lines.push({ label: window.name, values: times.map((at) => means.get(at) ?? null), tone: 'second' })
  return { times, lines }
}
