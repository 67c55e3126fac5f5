/** One device: what it says now, what it said, and what it was told. */
import { useEffect, useState } from 'preact/hooks'
import { api, type Described, type DeviceStatus } from '../app/api.ts'
import { count, value } from '../app/format.ts'
import { changed, refresh, useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { useOperator } from '../app/session.ts'
import { type DeviceRow, takeDevices } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { CommandTable } from '../parts/command-table.tsx'
import { Controls, declared } from '../parts/controls.tsx'
import { DescriptionForm } from '../parts/description-form.tsx'
import { DeviceCharts } from '../parts/device-charts.tsx'
import { Letters } from '../parts/letters.tsx'
import { Loading } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

function useWatched(id: string) {
  const state = useNews()
  useEffect(() => {
    const recent = state.devices.get(id)?.recent ?? []
    state.watched = { id, readings: [...recent], complete: state.spared === 0 }
    changed()
    return () => {
      state.watched = undefined
    }
  }, [id, state])
  return state
}

export function DevicePage({ id }: { id: string }) {
  const state = useWatched(id)
  const { devices, watched, commands } = state
  const { data: device, error, reload } = useLoaded(() => api.device(id), 3000, id)
  // Of many devices the events may leave this one out.
  useEffect(() => {
    if (device) takeDevices(state, { total: 1, devices: [device as DeviceStatus] })
  }, [device])
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
        <DeviceCharts id={id} fields={numeric} units={row?.units} news={watched?.complete ? watched.readings : []} />
      )}
      <section class="card">
        <h2>{texts.devices.commands}</h2>
        {own.length === 0 ? <p class="quiet">{texts.devices.noCommands}</p> : <CommandTable commands={own} />}
      </section>
      <DeadLetters id={id} />
    </>
  )
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
