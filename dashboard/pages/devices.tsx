/** All devices. Only the rows in view exist, so that five thousand cost what fifty do. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { count } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import type { DeviceRow } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { FirstReading } from '../parts/first-reading.tsx'
import { Sparkline } from '../parts/sparkline.tsx'
import { Values } from '../parts/values.tsx'
import { Ago } from '../parts/when.tsx'

/** px; as in the style sheet. */
const ROW = 52
const SPARE = 6

type Order = 'name' | 'silent'

function useOrdered(filter: string, order: Order): readonly DeviceRow[] {
  const { devices, known } = useNews()
  const kept = useRef<{ key: string; rows: DeviceRow[] }>({ key: '', rows: [] })
  // By silence the order changes with time, but not with each reading.
  const key = `${known} ${filter} ${order} ${order === 'silent' ? Math.floor(Date.now() / 5000) : ''}`
  if (kept.current.key !== key) {
    const wanted = filter.toLowerCase()
    const rows = [...devices.values()].filter((row) => row.id.toLowerCase().includes(wanted))
    rows.sort(order === 'name' ? byName : (a, b) => a.received - b.received)
    kept.current = { key, rows }
  }
  return kept.current.rows
}

const collator = new Intl.Collator(undefined, { numeric: true })

function byName(a: DeviceRow, b: DeviceRow): number {
  return collator.compare(a.id, b.id)
}

export function Devices() {
  const [filter, setFilter] = useState('')
  const [order, setOrder] = useState<Order>('name')
  const { devices, status } = useNews()
  const rows = useOrdered(filter, order)
  const all = Math.max(devices.size, status?.devices ?? 0)
  const shown = filter === '' ? texts.devices.count(count(all)) : texts.devices.countOf(count(rows.length), count(all))
  return (
    <>
      <h1>{texts.pages.devices}</h1>
      {status && all === 0 && <FirstReading status={status} />}
      <div class="bar">
        <input
          type="search"
          aria-label={texts.devices.filter}
          placeholder={texts.devices.filter}
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <button
          type="button"
          aria-pressed={order === 'silent'}
          onClick={() => setOrder(order === 'silent' ? 'name' : 'silent')}
        >
          {texts.devices.silent}
        </button>
        <span class="quiet" role="status">
          {shown}
        </span>
      </div>
      {rows.length === 0 && all > 0 && <p class="quiet">{texts.devices.none}</p>}
      {rows.length > 0 && <List rows={rows} />}
    </>
  )
}

/** Which rows the window shows. */
function useView(rows: number) {
  const list = useRef<HTMLUListElement>(null)
  const [view, setView] = useState({ from: 0, to: 30 })
  useEffect(() => {
    const look = () => {
      const top = list.current?.getBoundingClientRect().top ?? 0
      const from = Math.max(0, Math.floor(-top / ROW) - SPARE)
      const to = from + Math.ceil(innerHeight / ROW) + 2 * SPARE
      setView((before) => (before.from === from && before.to === to ? before : { from, to }))
    }
    look()
    addEventListener('scroll', look, { passive: true })
    addEventListener('resize', look)
    return () => {
      removeEventListener('scroll', look)
      removeEventListener('resize', look)
    }
  }, [])
  return { list, from: Math.min(view.from, rows), to: Math.min(view.to, rows) }
}

function List({ rows }: { rows: readonly DeviceRow[] }) {
  const { list, from, to } = useView(rows.length)
  return (
    <div class="card devices">
      <div class="device head" aria-hidden="true">
        <span>{texts.devices.name}</span>
        <span>{texts.devices.last}</span>
        <span>{texts.devices.trend}</span>
        <span>{texts.devices.silent}</span>
      </div>
      <ul ref={list} class="rows" style={{ height: `${rows.length * ROW}px` }}>
        {rows.slice(from, to).map((row, i) => (
          <Row key={row.id} row={row} index={from + i} of={rows.length} />
        ))}
      </ul>
    </div>
  )
}

function Row({ row, index, of }: { row: DeviceRow; index: number; of: number }) {
  return (
    <li
      class="device"
      aria-setsize={of}
      aria-posinset={index + 1}
      style={{ transform: `translateY(${index * ROW}px)` }}
    >
      <span class="name">
        <a href={`#/devices/${encodeURIComponent(row.id)}`}>{row.name ?? row.id}</a>
        {row.room && <span class="quiet"> {row.room}</span>}
      </span>
      <span>
        <Values fields={row.fields} units={row.units} />
      </span>
      <span>
        <Sparkline values={row.trend} />
      </span>
      <span class="quiet ago">
        <Ago at={row.received} />
      </span>
    </li>
  )
}
