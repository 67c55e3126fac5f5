/** The frame around every page: where one is, and whether what one sees is fresh. */
import type { ComponentType } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Alerts } from '../pages/alerts.tsx'
import { Control } from '../pages/control.tsx'
import { DevicePage } from '../pages/device.tsx'
import { Devices } from '../pages/devices.tsx'
import { Outbox } from '../pages/outbox.tsx'
import { Overview } from '../pages/overview.tsx'
import { Quality } from '../pages/quality.tsx'
import { Settings } from '../pages/settings.tsx'
import { Windows } from '../pages/windows.tsx'
import { count, span } from './format.ts'
import { useNews } from './live.ts'
import { Mark } from './sign-in.tsx'
import type { State } from './store.ts'
import { texts } from './texts.ts'

type Name = keyof typeof texts.pages

const PAGES: Readonly<Record<Name, ComponentType>> = {
  overview: Overview,
  devices: Devices,
  control: Control,
  windows: Windows,
  alerts: Alerts,
  outbox: Outbox,
  quality: Quality,
  settings: Settings,
}

function isName(name: string): name is Name {
  return Object.hasOwn(PAGES, name)
}

interface Place {
  readonly name: Name
  readonly rest: string | undefined
}

/** `#/devices/lamp` */
function placeOf(hash: string): Place {
  const [name = '', rest] = hash.replace(/^#\/?/, '').split(/\/(.*)/, 2)
  if (!isName(name)) return { name: 'overview', rest: undefined }
  return { name, rest: rest === undefined || rest === '' ? undefined : decode(rest) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function Shell({ onLeave }: { onLeave: (() => void) | undefined }) {
  const [place, setPlace] = useState(() => placeOf(location.hash))
  const main = useRef<HTMLElement>(null)
  useEffect(() => {
    const moved = () => {
      setPlace(placeOf(location.hash))
      main.current?.focus({ preventScroll: true })
      scrollTo(0, 0)
    }
    addEventListener('hashchange', moved)
    return () => removeEventListener('hashchange', moved)
  }, [])
  const Page = PAGES[place.name]
  const title = place.name === 'devices' && place.rest ? place.rest : texts.pages[place.name]
  useEffect(() => {
    document.title = `${title} · ${texts.product}`
  }, [title])
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        {texts.skip}
      </button>
      <header class="side">
        <a class="brand" href="#/overview">
          <Mark /> {texts.product}
        </a>
        <Navigation current={place.name} />
        <Connection />
        {onLeave && (
          <button type="button" class="plain leave" onClick={onLeave}>
            {texts.signIn.out}
          </button>
        )}
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {place.name === 'devices' && place.rest ? <DevicePage key={place.rest} id={place.rest} /> : <Page />}
      </main>
    </div>
  )
}

/** How many alerts are raised, and how many records wait while an uplink is away. */
function Badge({ of, state: { raised, status } }: { of: Name; state: State }) {
  if (of === 'alerts' && raised.length > 0) return <span class="badge bad">{raised.length}</span>
  const away = status?.upstreams.filter(({ state }) => state !== 'connected') ?? []
  const waiting = away.reduce((n, { records }) => n + records, 0)
  return of === 'outbox' && waiting > 0 ? <span class="badge warn">{count(waiting)}</span> : null
}

function Navigation({ current }: { current: Name }) {
  const state = useNews()
  const nav = useRef<HTMLElement>(null)
  // On a phone the row of pages is wider than the screen.
  useEffect(
    () => nav.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }),
    [current],
  )
  return (
    <nav aria-label={texts.navigation} ref={nav}>
      <ul>
        {(Object.keys(PAGES) as Name[]).map((name) => (
          <li key={name}>
            <a href={`#/${name}`} aria-current={name === current ? 'page' : undefined}>
              {texts.pages[name]}
              <Badge of={name} state={state} />
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Connection() {
  const { connection, heard, status } = useNews()
  useEffect(() => void document.body.classList.toggle('stale', connection === 'stale'), [connection])
  const old = connection === 'stale' ? texts.connection.stale(span(performance.now() - heard)) : undefined
  return (
    <p class={`connection ${connection}`} role="status" aria-live={connection === 'stale' ? 'off' : 'polite'}>
      <span class="dot" aria-hidden="true" />
      <span>
        {status && <strong class="gateway">{status.gateway}</strong>} {old ?? texts.connection[connection as 'live']}
      </span>
    </p>
  )
}
