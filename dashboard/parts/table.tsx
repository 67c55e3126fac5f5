import type { ComponentChildren } from 'preact'
import { texts } from '../app/texts.ts'

interface TableParts {
  readonly label: string
  /** Headings; those that start with `#` are of numbers. */
  readonly heads: readonly string[]
  readonly children: ComponentChildren
}

/** What scrolls must be reachable by the keyboard. */
const REACHABLE = { tabIndex: 0 }

/** A table that scrolls in itself, never the page. */
export function Table({ label, heads, children }: TableParts) {
  return (
    <section class="scroll" aria-label={label} {...REACHABLE}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col" class={head.startsWith('#') ? 'number' : undefined}>
                {head.replace(/^#/, '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  )
}

export function Empty({ title, hint }: { title: string; hint?: string }) {
  return (
    <div class="empty">
      <p>
        <b>{title}</b>
      </p>
      {hint && <p class="quiet">{hint}</p>}
    </div>
  )
}

/** A page whose content is on its way: it comes all at once, so that nothing jumps. */
export function Loading({ title }: { title: string }) {
  return (
    <>
      <h1>{title}</h1>
      <p class="quiet">{texts.loading}</p>
    </>
  )
}

export function Failure({ error }: { error: string | undefined }) {
  return error === undefined ? null : (
    <p class="bad" role="alert">
      {error}
    </p>
  )
}
