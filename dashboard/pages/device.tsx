/** One device: what it says now, what it said, and what it was told. */
import { useEffect, useMemo } from 'preact/hooks'
import { api } from '../app/api.ts'
import { count, value } from '../app/format.ts'
import { changed, useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import type { WindowResult } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { Chart } from '../parts/chart.tsx'
import { CommandTable } from '../parts/command-table.tsx'
import { Controls, declared } from '../parts/controls.tsx'
import { Letters } from '../parts/letters.tsx'
import { When } from '../parts/when.tsx'

const MAX_CHARTS = 8

function useWatched(id: string) {
  const state = useNews()
  useEffect(() => {
    state.watched = { id, readings: [...(state.devices.get(id)?.recent ?? [])] }
    changed()
    return () => {
      state.watched = undefined
    }
  }, [id, state])
  return state
}

export function DevicePage({ id }: { id: string }) {
  const { devices, watched, windows, commands } = useWatched(id)
  const { data: device, error } = useLoaded(() => api.device(id), 3000, id)
  const { data: past } = useLoaded(() => api.windowsOf(id), 10_000, id)
  const { data: letters } = useLoaded(api.deadLetters, 10_000)
  const row = devices.get(id)
  const fields = row?.fields ?? device?.fields ?? {}
  const results = useMemo(
    () => resultsOf(id, past?.results ?? [], [...windows.values()].flat()),
    [id, past, windows, watched?.readings.length],
  )
  const own = [...commands.values()].filter((command) => command.device === id)
  const numeric = Object.keys(fields).filter((field) => typeof fields[field] === 'number')
  return (
    <>
      <p class="crumb">
        <a href="#/devices">← {texts.devices.back}</a>
      </p>
      <h1>{row?.name ?? id}</h1>
      {!device && !row?.received && error && <p class="quiet">{texts.devices.unknown(id)}</p>}
      <section class="card facts">
        <dl>
          {Object.entries(fields).map(([field, v]) => (
            <div key={field}>
              <dt>{field}</dt>
              <dd>
                <b>{value(v)}</b> {row?.units?.[field]}
              </dd>
            </div>
          ))}
        </dl>
        {device && (
          <p class="quiet">
            {texts.devices.received} <When at={new Date(row?.received || device.received).toISOString()} /> ·{' '}
            {texts.devices.source} {device.source} · {texts.devices.readings} {count(row?.readings ?? device.readings)}
            {row?.room && ` · ${texts.devices.room} ${row.room}`}
            {Object.entries(device.tags).map(([tag, text]) => ` · ${tag} ${text}`)}
          </p>
        )}
      </section>
      {row && declared(row).length > 0 && (
        <section class="card">
          <h2>{texts.pages.control}</h2>
          <Controls device={row} />
        </section>
      )}
      <div class="charts">
        {numeric.slice(0, MAX_CHARTS).map((field) => (
          <section key={field} class="card">
            <h2>{field}</h2>
            <FieldChart field={field} readings={watched?.readings ?? []} results={results} />
          </section>
        ))}
      </div>
      <section class="card">
        <h2>{texts.devices.commands}</h2>
        {own.length === 0 ? <p class="quiet">{texts.devices.noCommands}</p> : <CommandTable commands={own} />}
      </section>
      <section class="card">
        <h2>{texts.devices.deadLetters}</h2>
        <Letters
          letters={(letters?.last ?? []).filter((one) => one.topic.split('/').includes(id))}
          none={texts.devices.noDeadLetters}
        />
      </section>
    </>
  )
}

function resultsOf(id: string, ...given: readonly (readonly WindowResult[])[]): WindowResult[] {
  const own = new Map<string, WindowResult>()
  for (const results of given)
    for (const result of results) if (result.key.device === id) own.set(`${result.window} ${result.start}`, result)
  return [...own.values()].sort((a, b) => (a.end < b.end ? -1 : 1))
}

interface FieldChartParts {
  readonly field: string
  readonly readings: readonly { readonly time: string; readonly fields: Readonly<Record<string, unknown>> }[]
  readonly results: readonly WindowResult[]
}

/** Readings as they come, and before them the means of the windows. */
function FieldChart({ field, readings, results }: FieldChartParts) {
  const points = new Map<number, [mean: number | null, live: number | null]>()
  for (const result of results) {
    const { mean } = result.fields[field] ?? {}
    if (typeof mean === 'number') points.set((Date.parse(result.start) + Date.parse(result.end)) / 2000, [mean, null])
  }
  for (const reading of readings) {
    const v = reading.fields[field]
    const at = Date.parse(reading.time) / 1000
    if (typeof v === 'number') points.set(at, [points.get(at)?.[0] ?? null, v])
  }
  const times = [...points.keys()].sort((a, b) => a - b)
  const pick = (which: 0 | 1) => times.map((at) => points.get(at)?.[which] ?? null)
  return (
    <Chart
      label={texts.devices.chart(field)}
      times={times}
      lines={[
        { label: texts.devices.mean, values: pick(0), tone: 'second' },
        { label: texts.devices.live, values: pick(1) },
      ]}
    />
  )
}
