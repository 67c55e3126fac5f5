interface TileParts {
  readonly title: string
  readonly value: string
  readonly note: string
  readonly href: string
  readonly state?: 'good' | 'warn' | 'bad' | undefined
  /** 0 to 1, drawn as a bar. */
  readonly share?: number
}

export function Tile({ title, value, note, href, state, share }: TileParts) {
  return (
    <a class={`card tile ${state ?? ''}`} href={href}>
      <span class="quiet">{title}</span>
      <b class="one-line">{value}</b>
      <span class="quiet one-line" title={note}>
        {note || '\u00a0'}
      </span>
      {share !== undefined && <meter min={0} max={1} value={share} aria-label={title} />}
    </a>
  )
}
