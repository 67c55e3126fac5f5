import { useState } from 'preact/hooks'
import { api, type RunningConfig } from '../app/api.ts'
import { span } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { Failure, Loading, Table } from '../parts/table.tsx'

const RARELY = 30_000

export function Settings() {
  const { data, error } = useLoaded(api.config, RARELY)
  if (!data && !error) return <Loading title={texts.pages.settings} />
  return (
    <>
      <h1>{texts.pages.settings}</h1>
      <About />
      <Failure error={error} />
      {data && <Config config={data} />}
    </>
  )
}

function About() {
  const { status } = useNews()
  const { about, data, ports, process, node } = texts.settings
  const facts: readonly (readonly [string, string])[] = status
    ? [
        [about, `${status.gateway} · ${texts.tiles.version(status.version)}`],
        [texts.tiles.uptime, span(status.uptime * 1000)],
        [data, status.data],
        [
          ports,
          Object.entries(status.ports)
            .map((port) => port.join(' '))
            .join(', '),
        ],
        [process, `${node} ${status.node} · pid ${status.pid}`],
      ]
    : []
  return (
    <section class="card facts about">
      <dl>
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function Config({ config }: { config: RunningConfig }) {
  const [filter, setFilter] = useState('')
  const [changed, setChanged] = useState(false)
  const { path, value: v, origin, origins, filter: label } = texts.settings
  const rows = Object.entries(config.origins).filter(
    ([name, from]) => name.includes(filter.toLowerCase()) && !(changed && from === 'default'),
  )
  return (
    <section class="card">
      <h2>{texts.settings.title}</h2>
      <p class="quiet">{config.file === null ? texts.settings.noFile : texts.settings.file(config.file)}</p>
      <div class="bar">
        <input
          type="search"
          aria-label={label}
          placeholder={label}
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <label class="check">
          <input type="checkbox" checked={changed} onChange={(event) => setChanged(event.currentTarget.checked)} />
          {texts.settings.changed}
        </label>
      </div>
      <Table label={texts.settings.title} heads={[path, v, origin]}>
        {rows.map(([name, from]) => (
          <tr key={name}>
            <td>{name}</td>
            <td class="wide">
              <code>{written(at(config.values, name))}</code>
            </td>
            <td>
              <span class={from === 'default' ? 'quiet' : 'tag busy'}>{origins[from]}</span>
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}

/** As one would write it, not as a number for people. */
function written(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** Keys may hold dots themselves, so the longest key that fits is taken first. */
function at(values: unknown, path: string): unknown {
  if (path === '' || typeof values !== 'object' || values === null) return values
  for (const [key, inner] of Object.entries(values).sort(([a], [b]) => b.length - a.length)) {
    if (path === key) return inner
    if (path.startsWith(`${key}.`)) return at(inner, path.slice(key.length + 1))
  }
  return undefined
}
