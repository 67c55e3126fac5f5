/**
 * What the page knows. Events change it at once and draw nothing; what is shown is drawn at most ten times a second, in
 * an animation frame, however many events came.
 */

import type { ReadingEvent } from '../../gateway/http/live.ts'
import type { AlertRecord, CommandRecord, GapRecord } from '../../gateway/record.ts'
import type { CommandStatus, Described, DevicePage, RaisedAlert, Status } from './api.ts'

export interface DeviceRow {
  id: string
  source: string
  /** ms since the epoch. */
  received: number
  readings: number
  room: string | undefined
  name: string | undefined
  commands: Described['commands']
  units: Described['units']
  fields: Readonly<Record<string, number | string | boolean>>
  /** Last values of the first field that is a number. */
  trend: number[]
  /** Its last readings, as long as there are few devices. */
  recent: ReadingEvent[]
}

export interface Flow {
  /** Output per second, oldest first, by stage. */
  readonly rates: Map<string, number[]>
  /** Records waiting in the outbox. */
  readonly depth: number[]
}

export interface Watched {
  readonly id: string
  readonly readings: ReadingEvent[]
  /** Whether these are all: of too many readings the events are only a sample. */
  complete: boolean
}

export interface State {
  connection: 'connecting' | 'live' | 'stale'
  /** `performance.now()` of the last event. */
  heard: number
  status: Status | undefined
  readonly flow: Flow
  readonly devices: Map<string, DeviceRow>
  /** Whether what was before the page was opened is known. */
  refreshed: boolean
  /** Changes when a device is added. */
  known: number
  latest: ReadingEvent[]
  spared: number
  /** Alerts that are raised now. */
  raised: readonly RaisedAlert[]
  /** What happened since the page was opened, newest first. */
  alerts: AlertRecord[]
  gaps: GapRecord[]
  readonly commands: Map<string, CommandStatus>
  /** Device whose readings are kept while its page is open. */
  watched: Watched | undefined
}

/** As many devices as can all be followed by events. */
export const FEW = 100
const RECENT = 120
const TREND = 40
const HISTORY = 120
const LATEST = 8
const EVENTS = 200

export function createState(): State {
  return {
    connection: 'connecting',
    heard: performance.now(),
    status: undefined,
    flow: { rates: new Map(), depth: [] },
    devices: new Map(),
    refreshed: false,
    known: 0,
    latest: [],
    spared: 0,
    raised: [],
    alerts: [],
    gaps: [],
    commands: new Map(),
    watched: undefined,
  }
}

export function takeStatus(state: State, status: Status): void {
  state.status = status
  const rates = new Map<string, number>()
  for (const { stage, outRate, inRate } of status.stages)
    rates.set(stage, (rates.get(stage) ?? 0) + (stage === 'window' ? inRate : outRate))
  for (const [stage, rate] of rates) push(list(state.flow.rates, stage), rate, HISTORY)
  push(
    state.flow.depth,
    status.upstreams.reduce((n, { records }) => n + records, 0),
    HISTORY,
  )
}

export function takeReading(state: State, event: ReadingEvent): void {
  if (event.spared) {
    state.spared += event.spared
    if (state.watched) state.watched.complete = false
  }
  state.latest = [event, ...state.latest.slice(0, LATEST - 1)]
  const { device: id, source, fields } = event
  const row = rowOf(state, id)
  row.source = source
  row.received = Date.parse(event.received)
  row.readings += 1 + (state.devices.size === 1 ? (event.spared ?? 0) : 0)
  row.fields = fields
  pushTrend(row)
  if (state.devices.size <= FEW) push(row.recent, event, RECENT)
  if (state.watched?.id === id) push(state.watched.readings, event, 2000)
}

export function takeDevices(state: State, page: DevicePage): void {
  for (const device of page.devices as readonly Described[]) {
    const row = rowOf(state, device.id)
    // One that has sent nothing is only described.
    const received = device.source === 'config' ? 0 : Date.parse(device.received)
    const newer = received > row.received
    describe(row, device)
    row.readings = Math.max(row.readings, device.readings)
    if (!newer) continue
    row.source = device.source
    row.received = received
    row.fields = device.fields
    pushTrend(row)
  }
}

function describe(row: DeviceRow, { name, room, units, commands }: Described): void {
  Object.assign(row, { name, room, units, commands })
}

export function takeAlert(state: State, record: AlertRecord): void {
  state.alerts = [record, ...state.alerts.slice(0, EVENTS - 1)]
}

export function takeGap(state: State, record: GapRecord): void {
  state.gaps = [record, ...state.gaps.slice(0, EVENTS - 1)]
}

export function takeCommand(state: State, record: CommandRecord | CommandStatus): void {
  const known = state.commands.get(record.id)
  const first = { created: record.time, deadline: record.time }
  // News overtake the answer to a request, but lack its arguments.
  const newer = known === undefined || known.time <= record.time
  state.commands.set(record.id, newer ? { ...first, ...known, ...record } : { ...record, ...known })
  const [oldest] = state.commands.keys()
  if (state.commands.size > EVENTS && oldest !== undefined) state.commands.delete(oldest)
}

function rowOf(state: State, id: string): DeviceRow {
  const known = state.devices.get(id)
  if (known) return known
  const row: DeviceRow = {
    id,
    source: '',
    received: 0,
    readings: 0,
    room: undefined,
    name: undefined,
    commands: undefined,
    units: undefined,
    fields: {},
    trend: [],
    recent: [],
  }
  state.devices.set(id, row)
  state.known++
  return row
}

function pushTrend(row: DeviceRow): void {
  for (const key in row.fields) {
    const value = row.fields[key]
    if (typeof value !== 'number') continue
    push(row.trend, value, TREND)
    return
  }
}

function list<K, T>(map: Map<K, T[]>, key: K): T[] {
  let found = map.get(key)
  if (!found) {
    found = []
    map.set(key, found)
  }
  return found
}

function push<T>(items: T[], item: T, most: number): void {
  items.push(item)
  if (items.length > most) items.shift()
}
