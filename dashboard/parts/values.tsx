import { value } from '../app/format.ts'

interface Fields {
  readonly fields: Readonly<Record<string, unknown>>
  readonly units?: Readonly<Record<string, string>> | undefined
  readonly most?: number
}

/** Fields of a reading in one line. */
export function Values({ fields, units, most = 3 }: Fields) {
  const names = Object.keys(fields)
  return (
    <span class="values">
      {names.slice(0, most).map((name) => (
        <span key={name} class="pair">
          <span class="quiet">{name}</span> <b>{value(fields[name])}</b>
          {units?.[name] && <span class="quiet"> {units[name]}</span>}
        </span>
      ))}
      {names.length > most && <span class="quiet">+{names.length - most}</span>}
    </span>
  )
}
