/** The latest result of each key, sortable, and one of them as a chart over time. */
import { useEffect, useState } from 'preact/hooks'
import { api, type WindowPage } from '../app/api.ts'
import { count, statistic } from '../app/format.ts'
import { follow, pointsOf, type Range, useHistory } from '../app/history.ts'
import { state, useRefreshed } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { resultPoints, useSeen, type WindowResult } from '../app/results.ts'
import { texts } from '../app/texts.ts'
import { FieldChart } from '../parts/field-chart.tsx'
import { keyText } from '../parts/key.tsx'
import { RangeChoice } from '../parts/range-choice.tsx'
import { SortableTable } from '../parts/sortable-table.tsx'
import { Empty, Failure, Loading } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

const MAX_ROWS = 300
/** Newest results looked at, and how often, ms. */
const MOST = 2000
const EVERY = 2000

interface Line {
  readonly id: string
  readonly result: WindowResult
  readonly field: string
  readonly statistics: Readonly<Record<string, unknown>>
}

export function Windows() {
  const { data, error } = useLoaded(() => api.windows(MOST), EVERY)
  const refreshed = useRefreshed()
  const [chosen, choose] = useState('')
  const [shown, show] = useState<string>()
  const lines = linesOf(data?.results ?? [], chosen)
  const first = lines.find((one) => 'mean' in one.statistics)
  const line = lines.find((one) => one.id === shown) ?? first
  // The one that is shown stays, whichever is the newest.
  useEffect(() => {
    if (line && line.id !== shown) show(line.id)
  }, [line?.id])
  if (!error && !(data && refreshed)) return <Loading title={texts.pages.windows} />
  return (
    <>
      <h1>{texts.pages.windows}</h1>
      <Failure error={error} />
      <Definitions definitions={data?.definitions ?? []} chosen={chosen} onChoose={choose} />
      {data && lines.length === 0 && (
        <section class="card">
          <Empty title={texts.windows.none} hint={texts.windows.noneHint} />
        </section>
      )}
      {line && <KeyChart key={line.id} line={line} />}
      {lines.length > 0 && <Results lines={lines} shown={line?.id} onShow={show} />}
    </>
  )
}

interface DefinitionParts {
  readonly definitions: WindowPage['definitions']
  readonly chosen: string
  readonly onChoose: (name: string) => void
}

/** One tile per window; choosing one shows its results alone. */
function Definitions({ definitions, chosen, onChoose }: DefinitionParts) {
  const { by: byText, keys: keysText, emitted: emittedText, late: lateText } = texts.windows
  return (
    <div class="tiles">
      {definitions.map(({ name, kind, by, keys, emitted, late = 0 }) => (
        <button
          key={name}
          type="button"
          class="card tile"
          aria-pressed={name === chosen}
          onClick={() => onChoose(name === chosen ? '' : name)}
        >
          <b class="one-line">{name}</b>
          <span class="quiet">
            {kind} {byText(by.join(', ') || texts.windows.all)}
          </span>
          <span class="quiet">
            {keysText(count(keys))} · {emittedText(count(emitted))} · {lateText(count(late))}
          </span>
        </button>
      ))}
    </div>
  )
}

/** A line per field of the newest result of each key. */
function linesOf(results: readonly WindowResult[], chosen: string): Line[] {
  const newest = new Map<string, WindowResult>()
  for (const result of results) {
    const key = JSON.stringify([result.window, result.key])
    if (!newest.has(key) && (chosen === '' || result.window === chosen)) newest.set(key, result)
  }
  return [...newest].flatMap(([key, result]) =>
    Object.entries(result.fields).map(([field, statistics]) => ({ id: `${key} ${field}`, result, field, statistics })),
  )
}

interface ResultParts {
  readonly lines: readonly Line[]
  readonly shown: string | undefined
  readonly onShow: (id: string) => void
}

function Results({ lines, shown, onShow }: ResultParts) {
  const { key, field, definition, end, count: n, mean, min, max, stddev, show } = texts.windows
  const keyOf = ({ result }: Line) => keyText(result.key) || texts.windows.all
  const number = (name: string) => (line: Line) => Number(line.statistics[name] ?? Number.NaN)
  return (
    <section class="card">
      <SortableTable
        label={texts.pages.windows}
        rows={lines}
        most={MAX_ROWS}
        id={(line) => line.id}
        columns={[
          { head: key, sort: (line) => keyOf(line), cell: (line) => keyOf(line) },
          { head: field, sort: (line) => line.field, cell: (line) => line.field },
          {
            head: mean,
            number: true,
            sort: number('mean'),
            cell: ({ statistics }) => <Mean statistics={statistics} />,
          },
          { head: min, number: true, sort: number('min'), cell: ({ statistics }) => statistic(statistics.min) },
          { head: max, number: true, sort: number('max'), cell: ({ statistics }) => statistic(statistics.max) },
          {
            head: stddev,
            number: true,
            sort: number('stddev'),
            cell: ({ statistics }) => statistic(statistics.stddev),
          },
          { head: n, number: true, sort: number('count'), cell: ({ statistics }) => statistic(statistics.count) },
          {
            head: definition,
            sort: ({ result }) => result.window,
            cell: ({ result }) => <span class="name">{result.window}</span>,
          },
          {
            head: end,
            sort: ({ result }) => result.end,
            cell: ({ result }) => (
              <>
                <When at={result.end} />
                {result.kind === 'correction' && <span class="tag warn"> {texts.windows.correction}</span>}
              </>
            ),
          },
          {
            head: '\u00a0',
            cell: (line) =>
              'mean' in line.statistics && (
                <button
                  type="button"
                  class="plain"
                  aria-pressed={line.id === shown}
                  aria-label={`${show}: ${keyOf(line)} ${line.field}`}
                  onClick={() => {
                    onShow(line.id)
                    scrollTo({ top: 0 })
                  }}
                >
                  {show}
                </button>
              ),
          },
        ]}
      />
    </section>
  )
}

/** The mean, or of a text field how often each value came. */
function Mean({ statistics }: { statistics: Readonly<Record<string, unknown>> }) {
  const { mean, values } = statistics
  if (typeof mean === 'number') return <b>{statistic(mean)}</b>
  const entries = Object.entries((values ?? {}) as Record<string, number>)
  return <>{entries.map(([name, n]) => `${name} ×${count(n)}`).join(', ')}</>
}

function KeyChart({ line: { field, result } }: { line: Line }) {
  const [range, setRange] = useState<Range>('15m')
  const kept = useHistory({ window: result.window, key: JSON.stringify(result.key), field }, range)
  const seen = useSeen([result])
  const title = texts.windows.chart(field, keyText(result.key))
  return (
    <section class="card">
      <div class="head">
        <h2>{title}</h2>
        <span class="quiet">{result.window}</span>
        <span class="end">
          <RangeChoice range={range} onChange={setRange} />
        </span>
      </div>
      <FieldChart
        label={title}
        unit={state.devices.get(result.key.device ?? '')?.units?.[field]}
        range={range}
        points={follow(pointsOf(kept), resultPoints(seen, field))}
      />
    </section>
  )
}
