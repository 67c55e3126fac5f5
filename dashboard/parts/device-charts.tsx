/** A device's fields over time: what it said, and what a window says of it. */
import { useState } from 'preact/hooks'
import type { ReadingEvent } from '../../gateway/http/live.ts'
import { api } from '../app/api.ts'
import { follow, type Point, pointsOf, type Range, useHistory } from '../app/history.ts'
import { useLoaded } from '../app/load.ts'
import { resultPoints, useSeen, type WindowResult } from '../app/results.ts'
import { texts } from '../app/texts.ts'
import { FieldChart } from './field-chart.tsx'
import { RangeChoice } from './range-choice.tsx'

const MAX_CHARTS = 8
/** ms */
const RESULTS_EVERY = 5000

interface ChartsParts {
  readonly id: string
  readonly fields: readonly string[]
  readonly units: Readonly<Record<string, string>> | undefined
  /** Readings since the page was opened, oldest first. */
  readonly news: readonly ReadingEvent[]
}

export function DeviceCharts({ id, fields, units, news }: ChartsParts) {
  const [range, setRange] = useState<Range>('15m')
  const window = useResults(id)
  return (
    <>
      <div class="bar">
        <RangeChoice range={range} onChange={setRange} />
      </div>
      <div class="charts">
        {fields.slice(0, MAX_CHARTS).map((field) => (
          <FieldCard key={field} {...{ id, field, range, window, news }} unit={units?.[field]} />
        ))}
      </div>
    </>
  )
}

interface OwnWindow {
  readonly name: string
  /** Oldest first. */
  readonly results: readonly WindowResult[]
}

/** Results, since the page was opened, of the first window that has some for this device alone. */
function useResults(id: string): OwnWindow | undefined {
  const { data } = useLoaded(() => api.windowsOf(id), RESULTS_EVERY, id)
  const own = data?.results.filter(({ key }) => Object.keys(key).join() === 'device') ?? []
  const name = data?.definitions.find((one) => own.some(({ window }) => window === one.name))?.name
  const results = useSeen(own.filter(({ window }) => window === name).reverse())
  return name === undefined ? undefined : { name, results }
}

interface FieldParts {
  readonly id: string
  readonly field: string
  readonly range: Range
  readonly window: OwnWindow | undefined
  readonly unit: string | undefined
  readonly news: readonly ReadingEvent[]
}

function FieldCard({ id, field, range, window, unit, news }: FieldParts) {
  const kept = useHistory({ device: id, field }, range)
  return (
    <section class="card">
      <h2>
        {field} <span class="quiet">{unit}</span>
      </h2>
      <FieldChart
        label={texts.devices.chart(field)}
        unit={unit}
        range={range}
        points={follow(pointsOf(kept), newsOf(news, field))}
        window={window && { name: window.name, points: resultPoints(window.results, field) }}
      />
    </section>
  )
}

function newsOf(news: readonly ReadingEvent[], field: string): Point[] {
  return news.flatMap(({ time, fields }) => {
    const v = Number(fields[field] ?? Number.NaN)
    return Number.isNaN(v) ? [] : [{ at: Date.parse(time) / 1000, min: v, max: v, mean: v }]
  })
}
