import { useRef } from 'preact/hooks'
import type { ReadingEvent } from '../../gateway/http/live.ts'
import { api, type Status } from '../app/api.ts'
import { bytes, count, span } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import type { State } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { Severity } from '../parts/alert-table.tsx'
import { FirstReading } from '../parts/first-reading.tsx'
import { FlowPicture } from '../parts/flow.tsx'
import { keyText } from '../parts/key.tsx'
import { Tile } from '../parts/tile.tsx'
import { Values } from '../parts/values.tsx'
import { Ago, When } from '../parts/when.tsx'

export function Overview() {
  const state = useNews()
  const { status, flow } = state
  const { data: audit } = useLoaded(api.audit, 3000)
  const fresh = status !== undefined && status.devices === 0 && state.latest.length === 0
  return (
    <>
      <h1>{texts.pages.overview}</h1>
      {fresh && <FirstReading status={status} />}
      <FlowPicture status={status} flow={flow} audit={audit} />
      <div class="tiles">
        <Uplinks status={status} />
        <Waiting />
        <Disk status={status} />
        <Card status={status} />
        <Memory status={status} />
      </div>
      {status && status.notices.length > 0 && <Notices notices={status.notices} />}
      <div class="pairs">
        <Latest state={state} />
        <Raised alerts={state.raised} />
      </div>
    </>
  )
}

function Notices({ notices }: { notices: readonly string[] }) {
  return (
    <section class="card">
      <h2>{texts.notices}</h2>
      <ul>
        {notices.map((notice) => (
          <li key={notice}>{notice}</li>
        ))}
      </ul>
    </section>
  )
}

function Uplinks({ status }: { status: Status | undefined }) {
  const all = status?.upstreams ?? []
  const away = all.find((one) => one.state !== 'connected')
  const names = all.map(({ name }) => name).join(', ')
  const { uplink, noUplinks, connected, cut, uplinksUp } = texts.tiles
  const up = all.filter((one) => one.state === 'connected').length
  return (
    <Tile
      title={uplink}
      href="#/outbox"
      state={all.length === 0 ? undefined : away ? 'bad' : 'good'}
      value={
        status === undefined
          ? '…'
          : all.length === 0
            ? noUplinks
            : away && all.length > 1
              ? uplinksUp(count(up), count(all.length))
              : away
                ? cut
                : connected
      }
      note={away ? (away.error ?? away.name) : names}
    />
  )
}

function Waiting() {
  const { data } = useLoaded(api.outbox, 2000)
  const waiting = data?.sinks.flatMap((sink) => sink.backlog) ?? []
  const records = waiting.reduce((n, one) => n + one.records, 0)
  return (
    <Tile
      title={texts.tiles.waiting}
      href="#/outbox"
      value={data ? texts.tiles.records(count(records)) : '…'}
      note={data ? `${bytes(data.bytes)} ${texts.tiles.of(bytes(data.maxBytes))}` : ''}
      share={data ? data.bytes / data.maxBytes : 0}
    />
  )
}

function Disk({ status }: { status: Status | undefined }) {
  const { disk } = status?.storage ?? {}
  return (
    <Tile
      title={texts.tiles.disk}
      href="#/settings"
      state={disk && disk.free < disk.size / 20 ? 'bad' : undefined}
      value={disk ? texts.tiles.free(bytes(disk.free)) : '…'}
      note={disk ? texts.tiles.of(bytes(disk.size)) : ''}
      share={disk ? 1 - disk.free / disk.size : 0}
    />
  )
}

function Card({ status }: { status: Status | undefined }) {
  const storage = status?.storage
  const { lifeYears: years, lifeUsed: used } = storage ?? {}
  const written = storage ? texts.tiles.written(bytes(storage.bytesWritten)) : ''
  return (
    <Tile
      title={texts.tiles.card}
      href="#/settings"
      state={years !== undefined && years < 2 ? 'warn' : undefined}
      value={!storage ? '…' : years === undefined ? texts.tiles.measuring : texts.tiles.lasts(lifeOf(years))}
      note={used === undefined ? written : `${written} · ${texts.tiles.used(`${Math.round(used * 100)} %`)}`}
    />
  )
}

function lifeOf(years: number): string {
  return years > 100 ? '> 100' : years < 10 ? years.toFixed(1) : String(Math.round(years))
}

function Memory({ status }: { status: Status | undefined }) {
  return (
    <Tile
      title={texts.tiles.memory}
      href="#/settings"
      value={status ? bytes(status.memory.rss) : '…'}
      note={status ? texts.tiles.running(span(status.uptime * 1000)) : ''}
    />
  )
}

/** Once a second, so that it can be read. */
function useCalm<T>(now: T): T {
  const kept = useRef({ at: 0, value: now })
  if (performance.now() - kept.current.at > 900) kept.current = { at: performance.now(), value: now }
  return kept.current.value
}

function Latest({ state }: { state: State }) {
  const latest = useCalm<readonly ReadingEvent[]>(state.latest)
  const { devices, spared } = state
  return (
    <section class="card latest">
      <h2>{texts.latest}</h2>
      <ul>
        {latest.map(({ device, received, fields }, i) => (
          <li key={`${device} ${received} ${i}`}>
            <When at={received} />
            <a class="one-line" href={`#/devices/${encodeURIComponent(device)}`}>
              {devices.get(device)?.name ?? device}
            </a>
            <Values fields={fields} units={devices.get(device)?.units} most={4} />
          </li>
        ))}
      </ul>
      <p class="quiet small">{spared > 0 ? texts.shownOf(count(spared)) : '\u00a0'}</p>
    </section>
  )
}

function Raised({ alerts }: { alerts: State['raised'] }) {
  return (
    <section class="card raised">
      <h2>
        <a href="#/alerts">{texts.pages.alerts}</a>
      </h2>
      {alerts.length === 0 && <p class="quiet">{texts.alerts.none}</p>}
      <ul>
        {alerts.slice(0, 8).map((alert) => (
          <li key={alert.id}>
            <Severity of={alert.severity} />
            <span class="one-line">
              <b>{alert.rule}</b> {keyText(alert.key)}
            </span>
            <span class="quiet small">
              <Ago at={Date.parse(alert.raised)} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
