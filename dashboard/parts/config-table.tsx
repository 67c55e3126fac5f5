import { useState } from 'preact/hooks'
import type { RunningConfig } from '../app/api.ts'
import { texts } from '../app/texts.ts'
import { Table } from './table.tsx'

/** The config as it runs, a line per value, and where each comes from. */
export function ConfigTable({ config }: { config: RunningConfig }) {
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
