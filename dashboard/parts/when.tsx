import { ago, time } from '../app/format.ts'

/** Local time; UTC on hover. */
export function When({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at}>
      {time(at)}
    </time>
  )
}

/** @param at ms since the epoch */
export function Ago({ at }: { at: number }) {
  if (at === 0) return <span class="quiet">–</span>
  const iso = new Date(at).toISOString()
  return (
    <time dateTime={iso} title={iso}>
      {ago(Date.now() - at)}
    </time>
  )
}
