/** What waited for one sink, and how fast it came and left. */
import { useState } from 'preact/hooks'
import { api, type OutboxHistory, type OutboxSink } from '../app/api.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { Chart } from './chart.tsx'
import { spanOf } from './field-chart.tsx'

type Span = '1h' | '24h'
const SPANS: Readonly<Record<Span, number>> = { '1h': 3600, '24h': 86_400 }
const EVERY = 5000

export function SinkCharts({ sink }: { sink: OutboxSink }) {
  const [span, setSpan] = useState<Span>('1h')
  const { data } = useLoaded(() => api.outboxHistory(span), EVERY, span)
  const { times, waiting, into, out } = totals(data, sink.name)
  const shown = spanOf(times[0], SPANS[span])
  const { waitingChart, rateChart } = texts.outbox
  return (
    <>
      <fieldset class="group" aria-label={texts.chart.range}>
        {(Object.keys(SPANS) as Span[]).map((one) => (
          <button key={one} type="button" aria-pressed={one === span} onClick={() => setSpan(one)}>
            {texts.chart.ranges[one]}
          </button>
        ))}
      </fieldset>
      <div class="charts">
        <div>
          <h3 class="small quiet">{waitingChart}</h3>
          <Chart
            label={waitingChart}
            times={times}
            span={shown}
            fromZero
            lines={[{ label: texts.outbox.waiting, values: waiting }]}
          />
        </div>
        <div>
          <h3 class="small quiet">{rateChart}</h3>
          <Chart
            label={rateChart}
            times={times}
            span={shown}
            fromZero
            unit={texts.flow.perSecond}
            lines={[
              { label: texts.outbox.in, values: into },
              { label: texts.outbox.out, values: out, tone: 'second' },
            ]}
          />
        </div>
      </div>
    </>
  )
}

/** Of all classes together. */
function totals(history: OutboxHistory | undefined, name: string) {
  const series = history?.series.filter(({ sink }) => sink === name) ?? []
  const times = history?.times.map((at) => at / 1000) ?? []
  const sum = (pick: 'records' | 'in' | 'out') =>
    times.map((_, i) => series.reduce((n, { [pick]: values }) => n + (values[i] ?? 0), 0))
  return { times, waiting: sum('records'), into: sum('in'), out: sum('out') }
}
