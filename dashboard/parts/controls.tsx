/** What a device can be told, as switches, sliders, buttons and shutters made of its declared commands. */
import { useId, useState } from 'preact/hooks'
import { api, type CommandStatus, type DeclaredArgument, type DeclaredCommand, type Described } from '../app/api.ts'
import { changed, useNews } from '../app/live.ts'
import { takeCommand } from '../app/store.ts'
import { StateTag } from './command-table.tsx'

export interface Target extends Pick<Described, 'id' | 'fields'> {
  readonly commands?: Described['commands'] | undefined
}

export function declared(device: Target): readonly (readonly [string, DeclaredCommand])[] {
  return Object.entries(device.commands ?? {})
}

interface ControlParts {
  readonly device: Target
  readonly name: string
  readonly command: DeclaredCommand
}

type Send = (args?: Readonly<Record<string, unknown>>) => void

export function Controls({ device }: { device: Target }) {
  return (
    <div class="controls">
      {declared(device).map(([name, command]) => (
        <One key={name} device={device} name={name} command={command} />
      ))}
    </div>
  )
}

function One({ device, name, command }: ControlParts) {
  const state = useNews()
  const [error, setError] = useState('')
  const send: Send = (args) => {
    setError('')
    api.send({ device: device.id, command: name, ...(args === undefined ? {} : { args }) }).then(
      (status) => {
        takeCommand(state, status)
        changed()
      },
      (reason: Error) => setError(reason.message),
    )
  }
  const last = latest(state.commands.values(), device.id, name)
  return (
    <div class="control">
      <Widget device={device} name={name} command={command} send={send} last={last} />
      <span class="outcome" role="status">
        {error ? <span class="bad">{error}</span> : last && <StateTag command={last} />}
      </span>
    </div>
  )
}

function latest(commands: Iterable<CommandStatus>, device: string, name: string): CommandStatus | undefined {
  let last: CommandStatus | undefined
  for (const one of commands)
    if (one.device === device && one.command === name && (!last || one.created >= last.created)) last = one
  return last
}

interface WidgetParts extends ControlParts {
  readonly send: Send
  readonly last: CommandStatus | undefined
}

function Widget(parts: WidgetParts) {
  const { command, name, send } = parts
  const args = Object.entries(command.args ?? {})
  const [only] = args
  const label = command.name ?? name
  if (args.length === 0)
    return (
      <button type="button" onClick={() => send()}>
        {label}
      </button>
    )
  if (args.length === 1 && only) {
    const [arg, { type, oneOf }] = only
    const given = { ...parts, label, arg, declaration: only[1] }
    if (type === 'boolean') return <Switch {...given} />
    if (type === 'number' && command.kind !== 'button' && only[1].max !== undefined) return <Slider {...given} />
    if (type === 'text' && oneOf) return <Choice {...given} options={oneOf} />
  }
  return <Form label={label} args={args} send={send} />
}

interface Single extends WidgetParts {
  readonly label: string
  readonly arg: string
  readonly declaration: DeclaredArgument
}

/** What the device was told last, or says itself in a field of the argument's name. */
function told({ last, arg, device }: Single): unknown {
  const refused = last && ['failed', 'rejected', 'expired'].includes(last.state)
  const args = refused ? undefined : (last?.args as Record<string, unknown> | undefined)
  return args?.[arg] ?? device.fields[arg]
}

function Switch(parts: Single) {
  const on = told(parts) === true
  return (
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked={on}
      onClick={() => parts.send({ [parts.arg]: !on })}
    >
      <span class="track" aria-hidden="true" />
      {parts.label}
    </button>
  )
}

function Slider(parts: Single) {
  const { min = 0, max = 100, unit = '' } = parts.declaration
  const known = Number(told(parts) ?? min)
  const [held, setHeld] = useState<number>()
  const shown = held ?? known
  const settle = (value: number) => {
    setHeld(undefined)
    parts.send({ [parts.arg]: value })
  }
  return (
    <label class="slider">
      <span>
        {parts.label}{' '}
        <b>
          {shown} {unit}
        </b>
      </span>
      <input
        type="range"
        min={min}
        max={max}
        step={max - min <= 2 ? 0.01 : 1}
        value={shown}
        onInput={(event) => setHeld(event.currentTarget.valueAsNumber)}
        onChange={(event) => settle(event.currentTarget.valueAsNumber)}
      />
    </label>
  )
}

function Choice(parts: Single & { options: readonly string[] }) {
  const now = told(parts)
  return (
    <fieldset class="choice">
      <legend>{parts.label}</legend>
      {parts.options.map((option) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === now}
          onClick={() => parts.send({ [parts.arg]: option })}
        >
          {option}
        </button>
      ))}
    </fieldset>
  )
}

interface FormParts {
  readonly label: string
  readonly args: readonly (readonly [string, DeclaredArgument])[]
  readonly send: Send
}

function Form({ label, args, send }: FormParts) {
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
    <form class="arguments" onSubmit={submit}>
      {args.map(([name, argument]) => (
        <div key={name}>
          <label for={`${id}-${name}`}>
            {name} {argument.unit && <span class="quiet">{argument.unit}</span>}
          </label>
          <Argument id={`${id}-${name}`} name={name} argument={argument} />
        </div>
      ))}
      <button type="submit">{label}</button>
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
