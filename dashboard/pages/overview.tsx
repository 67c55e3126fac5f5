import type { Status } from '../app/api.ts'
import { api } from '../app/api.ts'
import { bytes, count, span } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { FirstReading } from '../parts/first-reading.tsx'
import { FlowPicture } from '../parts/flow.tsx'
import { Tile } from '../parts/tile.tsx'
import { Values } from '../parts/values.tsx'
import { When } from '../parts/when.tsx'

export function Overview() {
  const { status, flow, latest, spared } = useNews()
  const fresh = status !== undefined && status.devices === 0 && latest.length === 0
  return (
    <>
      <h1>{texts.pages.overview}</h1>
      {fresh && <FirstReading status={status} />}
      <FlowPicture status={status} flow={flow} />
      <div class="tiles">
        <Ledger />
        <Uplinks status={status} />
        <Disk />
        <Machine status={status} />
      </div>
      {status && status.notices.length > 0 && (
        <section class="card">
          <h2>{texts.notices}</h2>
          <ul>
            {status.notices.map((notice) => (
              <li key={notice}>{notice}</li>
            ))}
          </ul>
        </section>
      )}
      {!fresh && (
        <section class="card latest">
          <h2>{texts.latest}</h2>
          <ul>
            {latest.map((event) => (
              <li key={`${event.device} ${event.received} ${JSON.stringify(event.fields)}`}>
                <When at={event.received} />
                <a href={`#/devices/${encodeURIComponent(event.device)}`}>{event.device}</a>
                <Values fields={event.fields} most={4} />
              </li>
            ))}
          </ul>
          <p class="quiet">{spared > 0 ? texts.shownOf(count(spared)) : '\u00a0'}</p>
        </section>
      )}
    </>
  )
}

function Ledger() {
  const { data } = useLoaded(api.audit, 3000)
  const all = data?.sources.reduce((n, source) => n + source.in, 0) ?? 0
  const dead = data?.sources.reduce((n, source) => n + losses(source.dead), 0) ?? 0
  return (
    <Tile
      title={texts.tiles.ledger}
      href="#/quality"
      state={data && (data.balanced ? 'good' : 'bad')}
      value={data ? (data.balanced ? texts.tiles.balanced : texts.tiles.unbalanced) : '…'}
      note={dead > 0 ? texts.tiles.dead(count(dead)) : texts.tiles.ledgerNote(count(all))}
    />
  )
}

function losses(of: Readonly<Record<string, { count: number }>>): number {
  return Object.values(of).reduce((n, one) => n + one.count, 0)
}

function Uplinks({ status }: { status: Status | undefined }) {
  const all = status?.upstreams ?? []
  const up = all.filter((one) => one.state === 'connected')
  const records = all.reduce((n, one) => n + one.records, 0)
  const size = all.reduce((n, one) => n + one.bytes, 0)
  const none = status !== undefined && all.length === 0
  return (
    <Tile
      title={texts.tiles.uplinks}
      href="#/outbox"
      state={none || !status ? undefined : up.length === all.length ? 'good' : 'warn'}
      value={none ? texts.tiles.noUplinks : status ? texts.tiles.uplinksUp(count(up.length), count(all.length)) : '…'}
      note={none ? '' : texts.tiles.waiting(count(records), bytes(size))}
    />
  )
}

function Disk() {
  const { data } = useLoaded(api.outbox, 3000)
  return (
    <Tile
      title={texts.tiles.outbox}
      href="#/outbox"
      value={data ? bytes(data.bytes) : '…'}
      note={data ? texts.tiles.of(bytes(data.maxBytes)) : ''}
      share={data ? data.bytes / data.maxBytes : 0}
    />
  )
}

function Machine({ status }: { status: Status | undefined }) {
  return (
    <Tile
      title={texts.tiles.memory}
      href="#/settings"
      value={status ? bytes(status.memory.rss) : '…'}
      note={status ? `${texts.tiles.uptime.toLowerCase()} ${span(status.uptime * 1000)}` : ''}
    />
  )
}
