/** The one connection on which news arrive, and the pace at which they are drawn. */
import { useEffect, useState } from 'preact/hooks'
import { api } from './api.ts'
import { createState, takeAlert, takeCommand, takeDevices, takeGap, takeReading, takeStatus } from './store.ts'

export const state = createState()

/** ms between two drawings. */
const PACE = 100
/** The gateway sends its status each second; after this long without a word what is shown is old, ms. */
const STALE = 3500
const REFRESH = 20_000
const RETRY = 2000
/** A page that nobody sees lets its connection go after this, ms: browsers have only six for one gateway. */
const UNSEEN = 30_000

const watchers = new Set<() => void>()
let planned = false
let drawn = 0

/** Draws soon. */
export function changed(): void {
  if (planned) return
  planned = true
  setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawn + PACE - performance.now()))
}

function draw(): void {
  planned = false
  drawn = performance.now()
  for (const watcher of watchers) watcher()
  // Measured to the end of the work that this drawing causes; read by the tests.
  setTimeout(() => performance.measure('sluice:update', { start: drawn, end: performance.now() }))
}

/** Draws the component again whenever there is news. */
export function useNews(): typeof state {
  const [, again] = useState(0)
  useEffect(() => {
    const watcher = () => again((n) => n + 1)
    watchers.add(watcher)
    return () => void watchers.delete(watcher)
  }, [])
  return state
}

/** Whether devices have their names, and all else that was before the page was opened is known; draws only once. */
export function useRefreshed(): boolean {
  const [done, setDone] = useState(state.refreshed)
  useEffect(() => {
    if (done) return
    const watcher = () => setDone(state.refreshed)
    watchers.add(watcher)
    return () => void watchers.delete(watcher)
  }, [done])
  return done
}

/** Results of windows come too many at a time: pages ask for those that they show. */
const TYPES = 'ready,status,reading,command,alert,gap,upstream'

/** @param onRefused the session is over */
export function connect(onRefused: () => void): () => void {
  let source: EventSource | undefined
  let ended = false
  const hear = (type: string, take: (data: never) => void) =>
    source?.addEventListener(type, (event) => {
      state.heard = performance.now()
      state.connection = 'live'
      take(JSON.parse((event as MessageEvent<string>).data) as never)
      changed()
    })
  const open = () => {
    source = new EventSource(`/api/events?types=${TYPES}`)
    hear('ready', () => void refresh())
    hear('status', (data) => takeStatus(state, data))
    hear('reading', (data) => takeReading(state, data))
    hear('command', (data) => takeCommand(state, data))
    hear('alert', (data) => {
      takeAlert(state, data)
      void raised()
    })
    hear('gap', (data) => takeGap(state, data))
    // The browser tries again by itself unless the gateway refused; then we look why.
    source.onerror = () => {
      miss()
      if (source?.readyState === EventSource.CLOSED && !ended) void again()
      changed()
    }
  }
  const again = async () => {
    try {
      if (!(await api.session()).signedIn) return onRefused()
    } catch {
      // Not there: tried again below.
    }
    setTimeout(() => ended || openAgain(), RETRY)
  }
  const openAgain = () => {
    if (source?.readyState === EventSource.CLOSED) open()
  }
  const leave = () => {
    miss()
    source?.close()
  }
  let leaving: ReturnType<typeof setTimeout> | undefined
  const seen = () => {
    clearTimeout(leaving)
    if (document.hidden) leaving = setTimeout(leave, UNSEEN)
    else openAgain()
  }
  open()
  document.addEventListener('visibilitychange', seen)
  const timers = [setInterval(judge, 1000), setInterval(() => document.hidden || void refresh(), REFRESH)]
  return () => {
    ended = true
    document.removeEventListener('visibilitychange', seen)
    source?.close()
    for (const timer of timers) clearInterval(timer)
  }
}

/** What happens from now on is not heard. */
function miss(): void {
  if (state.watched) state.watched.complete = false
}

/** Times grow older though nothing arrives. */
function judge(): void {
  if (performance.now() - state.heard > STALE) state.connection = 'stale'
  changed()
}

async function raised(): Promise<void> {
  try {
    state.raised = (await api.alerts()).alerts
    changed()
  } catch {
    // They stay as they were known.
  }
}

/** Everything that only happened while nobody listened. */
export async function refresh(): Promise<void> {
  try {
    const [{ commands }] = await Promise.all([api.commands(), raised()])
    for (const command of commands.toReversed()) takeCommand(state, command)
    // Page by page, so that the browser draws in between.
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await api.devices(after)
      takeDevices(state, page)
      after = page.next
      changed()
    }
    state.refreshed = true
    changed()
  } catch {
    // The connection's state says it.
  }
}
