/** A field per argument, for commands that no other control fits. */
import { useId } from 'preact/hooks'
import type { DeclaredArgument } from '../app/api.ts'

interface FormParts {
  readonly label: string
  readonly args: readonly (readonly [string, DeclaredArgument])[]
  readonly disabled: boolean
  readonly send: (args?: Readonly<Record<string, unknown>>) => void
}

export function ArgumentForm({ label, args, disabled, send }: FormParts) {
  const id = useId()
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget as HTMLFormElement)
    const given = args.flatMap(([name, { type }]): [string, unknown][] => {
      const text = String(data.get(name) ?? '')
      if (type === 'boolean') return [[name, data.has(name)]]
      return text === '' ? [] : [[name, type === 'number' ? Number(text) : text]]
    })
    send(Object.fromEntries(given))
  }
  return (
    <form class="fields" onSubmit={submit}>
      {args.map(([name, argument]) => (
        <div key={name}>
          <label for={`${id}-${name}`}>
            {name} {argument.unit}
          </label>
          <Argument id={`${id}-${name}`} name={name} argument={argument} />
        </div>
      ))}
      <button type="submit" disabled={disabled}>
        {label}
      </button>
    </form>
  )
}

function Argument({ id, name, argument }: { id: string; name: string; argument: DeclaredArgument }) {
  const { type, min, max, oneOf, optional } = argument
  if (type === 'boolean') return <input id={id} type="checkbox" name={name} />
  if (type === 'number')
    return <input id={id} type="number" name={name} min={min} max={max} step="any" required={!optional} />
  if (!oneOf) return <input id={id} type="text" name={name} required={!optional} />
  return (
    <select id={id} name={name}>
      {oneOf.map((option) => (
        <option key={option}>{option}</option>
      ))}
    </select>
  )
}
