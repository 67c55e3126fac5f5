/** All devices. Only the rows in view exist, so that five thousand cost what fifty do. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api } from '../app/api.ts'
import { count, natural } from '../app/format.ts'
import { changed, state, useNews } from '../app/live.ts'
import { type DeviceRow, FEW, takeDevices } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { FirstReading } from '../parts/first-reading.tsx'
import { Sparkline } from '../parts/sparkline.tsx'
import { Values } from '../parts/values.tsx'
import { Ago } from '../parts/when.tsx'

/** Height of a row, rem; as in the style sheet. */
const ROW = 3.25
/** Rows drawn beyond the window's edge. */
const SPARE = 6
/** ms */
const FRESH = 1000

const nameOf = (row: DeviceRow) => row.name ?? row.id

/** What devices are ordered by. */
const ORDERS = {
  name: (row: DeviceRow) => natural(nameOf(row)),
  /** Those without a room last. */
  room: (row: DeviceRow) => natural(`${row.room ?? '\uffff'} ${nameOf(row)}`),
  silent: (row: DeviceRow) => row.received,
}
type Order = keyof typeof ORDERS

function useOrdered(filter: string, order: Order): readonly DeviceRow[] {
  const { devices, known } = useNews()
  const kept = useRef<{ key: string; rows: readonly DeviceRow[] }>({ key: '', rows: [] })
  // By silence the order changes with time, but not with each reading.
  const key = `${known} ${filter} ${order} ${order === 'silent' ? Math.floor(Date.now() / 5000) : ''}`
  if (kept.current.key !== key) {
    const wanted = filter.toLowerCase()
    const rows = [...devices.values()].filter((row) => matches(row, wanted))
    kept.current = { key, rows: sorted(rows, ORDERS[order]) }
  }
  return kept.current.rows
}

function sorted(rows: readonly DeviceRow[], by: (row: DeviceRow) => string | number): readonly DeviceRow[] {
  return rows
    .map((row) => ({ row, key: by(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => row)
}

function matches({ id, name = '', room = '' }: DeviceRow, wanted: string): boolean {
  return wanted === '' || [id, name, room].some((text) => text.toLowerCase().includes(wanted))
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
        <span class="quiet" role="status">
          {shown}
        </span>
      </div>
      {rows.length === 0 && all > 0 && <p class="quiet">{texts.devices.none}</p>}
      {rows.length > 0 && <List rows={rows} order={order} onOrder={setOrder} />}
    </>
  )
}

/** Which rows the window shows. */
function useView(rows: number, height: number) {
  const list = useRef<HTMLUListElement>(null)
  const [view, setView] = useState({ from: 0, to: 30 })
  useEffect(() => {
    const look = () => {
      const top = list.current?.getBoundingClientRect().top ?? 0
      const from = Math.max(0, Math.floor(-top / height) - SPARE)
      const to = from + Math.ceil(innerHeight / height) + 2 * SPARE
      setView((before) => (before.from === from && before.to === to ? before : { from, to }))
    }
    look()
    addEventListener('scroll', look, { passive: true })
    addEventListener('resize', look)
    return () => {
      removeEventListener('scroll', look)
      removeEventListener('resize', look)
    }
  }, [height])
  return { list, from: Math.min(view.from, rows), to: Math.min(view.to, rows) }
}

interface ListParts {
  readonly rows: readonly DeviceRow[]
  readonly order: Order
  readonly onOrder: (order: Order) => void
}

/** Of many devices the events are only a sample: what is in view is asked for. */
function useFresh(ids: readonly string[], needed: boolean): void {
  const wanted = useRef(ids)
  wanted.current = ids
  useEffect(() => {
    if (!needed) return
    const ask = async () => {
      if (wanted.current.length === 0) return
      try {
        takeDevices(state, await api.devicesNamed(wanted.current))
        changed()
      } catch {
        // The connection's state says it.
      }
    }
    const timer = setInterval(() => void ask(), FRESH)
    return () => clearInterval(timer)
  }, [needed])
}

function List({ rows, order, onOrder }: ListParts) {
  const height = ROW * Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
  const { list, from, to } = useView(rows.length, height)
  const view = rows.slice(from, to)
  useFresh(
    view.map(({ id }) => id),
    rows.length > FEW,
  )
  const heading = (by: Order, text: string) => (
    <button type="button" aria-pressed={order === by} onClick={() => onOrder(by)}>
      {text}
      {order === by ? ' ↓' : ''}
    </button>
  )
  return (
    <div class="card devices">
      <div class="device heads small">
        <span>
          {heading('name', texts.devices.name)} <span class="quiet">·</span> {heading('room', texts.devices.room)}
        </span>
        <span class="quiet">{texts.devices.last}</span>
        <span class="quiet">{texts.devices.trend}</span>
        <span class="ago">{heading('silent', texts.devices.silent)}</span>
      </div>
      <ul ref={list} class="rows" style={{ height: `${rows.length * height}px` }}>
        {view.map((row, i) => (
          <Row key={row.id} row={row} index={from + i} of={rows.length} height={height} />
        ))}
      </ul>
    </div>
  )
}

function Row({ row, index, of, height }: { row: DeviceRow; index: number; of: number; height: number }) {
  return (
    <li
      class="device"
      aria-setsize={of}
      aria-posinset={index + 1}
      style={{ transform: `translateY(${index * height}px)` }}
    >
      <span class="name">
        <a class="one-line" href={`#/devices/${encodeURIComponent(row.id)}`}>
          {nameOf(row)}
        </a>
        {row.room && <span class="quiet small one-line">{row.room}</span>}
      </span>
      <Values fields={row.fields} units={row.units} />
      <Sparkline values={row.trend} />
      <span class="quiet ago">
        <Ago at={row.received} />
      </span>
    </li>
  )
}
