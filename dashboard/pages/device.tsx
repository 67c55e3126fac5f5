/** One device: what it says now, what it said, and what it was told. */
import { useEffect, useState } from 'preact/hooks'
import { api, type Described, type WindowPage } from '../app/api.ts'
import { count, value } from '../app/format.ts'
import { follow, type Point, pointsOf, type Range, useHistory } from '../app/history.ts'
import { changed, refresh, useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { useOperator } from '../app/session.ts'
import type { DeviceRow } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { CommandTable } from '../parts/command-table.tsx'
import { Controls, declared } from '../parts/controls.tsx'
import { DescriptionForm } from '../parts/description-form.tsx'
import { FieldChart } from '../parts/field-chart.tsx'
import { Letters } from '../parts/letters.tsx'
import { RangeChoice } from '../parts/range-choice.tsx'
import { Loading } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

const MAX_CHARTS = 8
/** ms */
const RESULTS_EVERY = 5000

type WindowResult = WindowPage['results'][number]

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
  const { devices, watched, commands } = useWatched(id)
  const { data: device, error, reload } = useLoaded(() => api.device(id), 3000, id)
  const [range, setRange] = useState<Range>('15m')
  const window = useResults(id)
  const row = devices.get(id)
  const fields = row?.fields ?? device?.fields ?? {}
  const own = [...commands.values()].filter((command) => command.device === id)
  const numeric = Object.keys(fields).filter((field) => typeof fields[field] !== 'string')
  if (!device && !error) return <Loading title={row?.name ?? id} />
  return (
    <>
      <p class="crumb">
        <a href="#/devices">← {texts.devices.back}</a>
      </p>
      <Head id={id} row={row} device={device} onChange={reload} />
      {!device && !row?.received && error && <p class="quiet">{texts.devices.unknown(id)}</p>}
      <Facts device={device} row={row} fields={fields} />
      {row && declared(row).length > 0 && (
        <section class="card">
          <h2>{texts.pages.control}</h2>
          <Controls device={row} />
        </section>
      )}
      {numeric.length > 0 && (
        <div class="bar">
          <RangeChoice range={range} onChange={setRange} />
        </div>
      )}
      <div class="charts">
        {numeric.slice(0, MAX_CHARTS).map((field) => (
          <FieldCard
            key={field}
            {...{ id, field, range, window }}
            unit={row?.units?.[field]}
            news={watched?.readings ?? []}
          />
        ))}
      </div>
      <section class="card">
        <h2>{texts.devices.commands}</h2>
        {own.length === 0 ? <p class="quiet">{texts.devices.noCommands}</p> : <CommandTable commands={own} />}
      </section>
      <DeadLetters id={id} />
    </>
  )
}

/** Results of the first window that has some for this device alone, oldest first. */
function useResults(id: string): { readonly name: string; readonly results: readonly WindowResult[] } | undefined {
  const { data } = useLoaded(() => api.windowsOf(id), RESULTS_EVERY, id)
  const own = data?.results.filter(({ key }) => Object.keys(key).join() === 'device') ?? []
  const name = data?.definitions.find((one) => own.some(({ window }) => window === one.name))?.name
  return name === undefined ? undefined : { name, results: own.filter(({ window }) => window === name).reverse() }
}

interface HeadParts {
  readonly id: string
  readonly row: DeviceRow | undefined
  readonly device: Described | undefined
  readonly onChange: () => void
}

function Head({ id, row, device, onChange }: HeadParts) {
  const operator = useOperator()
  const [editing, setEditing] = useState(false)
  const done = () => {
    setEditing(false)
    void refresh()
    onChange()
  }
  return (
    <>
      <div class="head">
        <h1>{row?.name ?? id}</h1>
        {row?.name !== undefined && row.name !== id && <span class="quiet">{id}</span>}
        {device?.connection && <Connection connection={device.connection} />}
        {operator && device && (
          <button type="button" class="end" aria-expanded={editing} onClick={() => setEditing(!editing)}>
            {texts.describe.open}
          </button>
        )}
      </div>
      {editing && device && <Describe device={device} onDone={done} />}
    </>
  )
}

const TONES = { online: 'good', asleep: '', offline: 'warn' }

function Connection({ connection: { state, source } }: { connection: NonNullable<Described['connection']> }) {
  return (
    <span class={`tag ${TONES[state]}`} title={source}>
      {texts.devices.connection[state]}
    </span>
  )
}

/** What the config says is changed there. */
function Describe({ device, onDone }: { device: Described; onDone: () => void }) {
  const { inConfig, exportIt } = texts.describe
  return (
    <>
      {device.described === 'config' ? (
        <p class="card">{inConfig}</p>
      ) : (
        <DescriptionForm key={device.id} device={device} onDone={onDone} />
      )}
      <p class="bar">
        <a href="/api/devices.yaml" download="devices.yaml">
          {exportIt}
        </a>
      </p>
    </>
  )
}

interface FactParts {
  readonly device: Described | undefined
  readonly row: DeviceRow | undefined
  readonly fields: Described['fields']
}

function Facts({ device, row, fields }: FactParts) {
  const { received, source, readings, room } = texts.devices
  return (
    <section class="card facts">
      <dl>
        {Object.entries(fields).map(([field, v]) => (
          <div key={field}>
            <dt>{field}</dt>
            <dd>
              <b>{value(v)}</b> <span class="quiet">{row?.units?.[field]}</span>
            </dd>
          </div>
        ))}
      </dl>
      {device && (
        <p class="quiet">
          {received} <When at={new Date(row?.received || device.received).toISOString()} /> · {source} {device.source} ·{' '}
          {readings} {count(row?.readings ?? device.readings)}
          {row?.room && ` · ${room} ${row.room}`}
          {Object.entries(device.tags).map(([tag, text]) => ` · ${tag} ${text}`)}
        </p>
      )}
    </section>
  )
}

interface FieldParts {
  readonly id: string
  readonly field: string
  readonly range: Range
  readonly window: ReturnType<typeof useResults>
  readonly unit: string | undefined
  readonly news: readonly { readonly time: string; readonly fields: Readonly<Record<string, unknown>> }[]
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
        window={window && { name: window.name, points: meansOf(window.results, field) }}
      />
    </section>
  )
}

function newsOf(news: FieldParts['news'], field: string): Point[] {
  return news.flatMap(({ time, fields }) => {
    const v = Number(fields[field] ?? Number.NaN)
    return Number.isNaN(v) ? [] : [{ at: Date.parse(time) / 1000, min: v, max: v, mean: v }]
  })
}

/** In the middle of the time that each is of. */
function meansOf(results: readonly WindowResult[], field: string): Point[] {
  return results.flatMap(({ start, end, fields }) => {
    const { mean } = fields[field] ?? {}
    if (typeof mean !== 'number') return []
    return [{ at: (Date.parse(start) + Date.parse(end)) / 2000, min: mean, max: mean, mean }]
  })
}

function DeadLetters({ id }: { id: string }) {
  const { data } = useLoaded(api.deadLetters, 10_000)
  return (
    <section class="card">
      <h2>{texts.devices.deadLetters}</h2>
      <Letters
        letters={(data?.last ?? []).filter(({ topic }) => topic.split('/').includes(id))}
        none={texts.devices.noDeadLetters}
      />
    </section>
  )
}
