/** The latest result of each key, sortable, and one of them as a chart over time. */
import { useState } from 'preact/hooks'
import { api } from '../app/api.ts'
import { count, value } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { type WindowResult, windowKey } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { Chart } from '../parts/chart.tsx'
import { SortableTable } from '../parts/sortable-table.tsx'
import { Empty } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

const MAX_ROWS = 300

interface Line {
  readonly id: string
  readonly result: WindowResult
  readonly field: string
  readonly statistics: Readonly<Record<string, unknown>>
}

export function Windows() {
  const { windows } = useNews()
  const { data } = useLoaded(() => api.windows(1), 5000)
  const [chosen, choose] = useState('')
  const [shown, show] = useState<string>()
  const definitions = data?.definitions ?? []
  const lines = linesOf(windows, chosen)
  const line = lines.find((one) => one.id === shown) ?? lines.find((one) => 'mean' in one.statistics)
  return (
    <>
      <h1>{texts.pages.windows}</h1>
      {lines.length === 0 && (
        <section class="card">
          <Empty title={texts.windows.none} hint={texts.windows.noneHint} />
        </section>
      )}
      {line && <KeyChart line={line} results={windows.get(windowKey(line.result)) ?? []} />}
      <div class="bar">
        <select aria-label={texts.windows.definition} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">{texts.windows.all}</option>
          {definitions.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        {definitions
          .filter(({ name }) => chosen === '' || name === chosen)
          .map(({ name, kind, by, keys, emitted, late = 0 }) => (
            <span key={name} class="quiet">
              {name}: {kind} {texts.windows.by(by.join(', '))} · {texts.windows.keys(count(keys))} ·{' '}
              {texts.windows.emitted(count(emitted))} · {texts.windows.late(count(late))}
            </span>
          ))}
      </div>
      {lines.length > 0 && <Results lines={lines} onShow={show} />}
    </>
  )
}

function linesOf(windows: ReadonlyMap<string, readonly WindowResult[]>, chosen: string): Line[] {
  const lines: Line[] = []
  for (const [key, results] of windows) {
    const result = results.at(-1)
    if (!result || (chosen !== '' && result.window !== chosen)) continue
    for (const [field, statistics] of Object.entries(result.fields))
      lines.push({ id: `${key} ${field}`, result, field, statistics })
  }
  return lines
}

function keyText(result: WindowResult): string {
  return Object.values(result.key).join(' · ')
}

function Results({ lines, onShow }: { lines: readonly Line[]; onShow: (id: string) => void }) {
  const { key, field, end, count: n, mean, min, max, stddev, show } = texts.windows
  const number = (name: string) => (line: Line) => Number(line.statistics[name] ?? Number.NaN)
  return (
    <section class="card">
      <SortableTable
        label={texts.pages.windows}
        rows={lines}
        most={MAX_ROWS}
        id={(line) => line.id}
        columns={[
          { head: key, sort: (line) => keyText(line.result), cell: (line) => keyText(line.result) },
          { head: field, sort: (line) => line.field, cell: (line) => line.field },
          {
            head: mean,
            number: true,
            sort: number('mean'),
            cell: ({ statistics }) => <Mean statistics={statistics} />,
          },
          { head: min, number: true, sort: number('min'), cell: ({ statistics }) => text(statistics.min) },
          { head: max, number: true, sort: number('max'), cell: ({ statistics }) => text(statistics.max) },
          { head: stddev, number: true, sort: number('stddev'), cell: ({ statistics }) => text(statistics.stddev) },
          { head: n, number: true, sort: number('count'), cell: ({ statistics }) => text(statistics.count) },
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
                  aria-label={`${show}: ${keyText(line.result)} ${line.field}`}
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

function text(of: unknown): string {
  return of === undefined ? '–' : value(of)
}

/** The mean, or of a text field how often each value came. */
function Mean({ statistics }: { statistics: Readonly<Record<string, unknown>> }) {
  const { mean, values } = statistics
  if (typeof mean === 'number') return <b>{value(mean)}</b>
  const entries = Object.entries((values ?? {}) as Record<string, number>)
  return <>{entries.map(([name, n]) => `${name} ×${count(n)}`).join(', ')}</>
}

function KeyChart({ line, results }: { line: Line; results: readonly WindowResult[] }) {
  const { field, result } = line
  const pick = (name: string) =>
    results.map((one) => {
      const found = one.fields[field]?.[name]
      return typeof found === 'number' ? found : null
    })
  const title = texts.windows.chart(field, keyText(result))
  return (
    <section class="card">
      <h2>{title}</h2>
      <Chart
        label={title}
        times={results.map((one) => Date.parse(one.end) / 1000)}
        band
        lines={[
          { label: texts.windows.max, values: pick('max'), tone: 'soft' },
          { label: texts.windows.min, values: pick('min'), tone: 'soft' },
          { label: texts.windows.mean, values: pick('mean') },
        ]}
      />
    </section>
  )
}
