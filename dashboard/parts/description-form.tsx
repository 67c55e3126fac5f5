/** What people say of a device: its name, room and kind, units, and what it can be told. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { api, type DeclaredCommand, type Described, type Description } from '../app/api.ts'
import { texts } from '../app/texts.ts'
import { CommandEditor } from './command-editor.tsx'
import { Failure } from './table.tsx'

export function DescriptionForm({ device, onDone }: { device: Described; onDone: () => void }) {
  const [commands, setCommands] = useState<Readonly<Record<string, DeclaredCommand>>>(device.commands ?? {})
  const [error, setError] = useState<string>()
  const fields = [...new Set([...Object.keys(device.fields), ...Object.keys(device.units ?? {})])]
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget as HTMLFormElement)
    const description = descriptionOf(data, fields, commands)
    api.describe(device.id, description).then(onDone, (reason: Error) => setError(reason.message))
  }
  const { title, name, room, kind, unitOf, save, cancel, hint } = texts.describe
  return (
    <form class="card" onSubmit={submit}>
      <h2>{title}</h2>
      <div class="fields">
        <Field label={name} name="name" value={device.name} />
        <Field label={room} name="room" value={device.room} />
        <Field label={kind} name="kind" value={device.kind} />
        {fields
          .filter((field) => typeof device.fields[field] !== 'boolean')
          .map((field) => (
            <Field key={field} label={unitOf(field)} name={`unit ${field}`} value={device.units?.[field]} short />
          ))}
      </div>
      <CommandEditor commands={commands} onChange={setCommands} />
      <Failure error={error} />
      <p class="quiet small bar">{hint}</p>
      <div class="bar">
        <button type="submit" class="primary">
          {save}
        </button>
        <button type="button" onClick={onDone}>
          {cancel}
        </button>
      </div>
    </form>
  )
}

interface FieldParts {
  readonly label: ComponentChildren
  readonly name: string
  readonly value: string | undefined
  readonly short?: boolean
}

export function Field({ label, name, value, short = false }: FieldParts) {
  return (
    <label class={short ? 'short' : ''}>
      {label}
      <input name={name} defaultValue={value ?? ''} maxLength={256} autocomplete="off" />
    </label>
  )
}

function descriptionOf(
  data: FormData,
  fields: readonly string[],
  commands: Readonly<Record<string, DeclaredCommand>>,
): Description {
  const text = (name: string) => String(data.get(name) ?? '').trim()
  const said = (['name', 'room', 'kind'] as const).flatMap((name) => (text(name) === '' ? [] : [[name, text(name)]]))
  const units = fields.flatMap((field) => (text(`unit ${field}`) === '' ? [] : [[field, text(`unit ${field}`)]]))
  return {
    ...Object.fromEntries(said),
    units: Object.fromEntries(units),
    ...(Object.keys(commands).length === 0 ? {} : { commands }),
  }
}
