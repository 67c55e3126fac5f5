/** What a device can be told: a line per declared command, with what became of the last one. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { api, type CommandStatus, type DeclaredCommand } from '../app/api.ts'
import { changed, useNews } from '../app/live.ts'
import { useOperator } from '../app/session.ts'
import { type DeviceRow, takeCommand } from '../app/store.ts'
import { ArgumentForm } from './argument-form.tsx'
import { reasonOf, StateTag } from './command-table.tsx'
import { Choice, Pane, Shutter, type Single, Slider, Switch } from './widgets.tsx'

type Target = Pick<DeviceRow, 'id' | 'fields' | 'commands' | 'received'>

type Send = (args?: Readonly<Record<string, unknown>>) => void

/** An outcome is news for so long, ms. */
const NEWS = 10 * 60_000

export function declared(device: Pick<Target, 'commands'>): readonly (readonly [string, DeclaredCommand])[] {
  return Object.entries(device.commands ?? {})
}

/** @param title stands on the first line */
export function Controls({ device, title }: { device: Target; title?: ComponentChildren }) {
  const commands = declared(device)
  const [first] = commands
  const apart = title !== undefined && first !== undefined && widgetOf(first[1]).tall
  return (
    <>
      {apart && title}
      {commands.map(([name, command], i) => (
        <One key={name} device={device} name={name} command={command} title={i === 0 && !apart ? title : undefined} />
      ))}
    </>
  )
}

interface OneParts {
  readonly device: Target
  readonly name: string
  readonly command: DeclaredCommand
  readonly title: ComponentChildren
}

function One({ device, name, command, title }: OneParts) {
  const state = useNews()
  const operator = useOperator()
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
  const { Widget, tall } = widgetOf(command)
  const label = command.name ?? name
  const [arg = '', declaration = { type: 'boolean' as const }] = Object.entries(command.args ?? {})[0] ?? []
  const now = told(last, arg, device)
  const parts = { send, label, arg, declaration, now, disabled: !operator, command, device }
  return (
    <div class={`control ${tall ? 'tall' : ''}`}>
      <span class="one-line">{title ?? label}</span>
      <Outcome error={error} last={last} />
      <span class="widget">
        <Widget {...parts} />
      </span>
    </div>
  )
}

function Outcome({ error, last }: { error: string; last: CommandStatus | undefined }) {
  const fresh = last && Date.now() - Date.parse(last.time) < NEWS
  return (
    <span class="outcome one-line" role="status" title={error || (last && reasonOf(last))}>
      {error ? <span class="bad">{error}</span> : fresh && <StateTag command={last} />}
    </span>
  )
}

function latest(commands: Iterable<CommandStatus>, device: string, name: string): CommandStatus | undefined {
  let last: CommandStatus | undefined
  for (const one of commands)
    if (one.device === device && one.command === name && (!last || one.created >= last.created)) last = one
  return last
}

const REFUSED: ReadonlySet<CommandStatus['state']> = new Set(['failed', 'rejected', 'expired'])
const OPEN: ReadonlySet<CommandStatus['state']> = new Set(['accepted', 'sent'])

/** What the device says in a field of the argument's name; until it has spoken after it was told, what it was told. */
function told(last: CommandStatus | undefined, arg: string, { fields, received }: Target): unknown {
  if (!last || REFUSED.has(last.state)) return fields[arg]
  const ordered = (last.args as Record<string, unknown> | undefined)?.[arg]
  const heard = !OPEN.has(last.state) && received > Date.parse(last.time)
  return heard ? (fields[arg] ?? ordered) : (ordered ?? fields[arg])
}

interface WidgetParts extends Single {
  readonly command: DeclaredCommand
  readonly device: Target
}

/** Which control a command gets, by its arguments and kind; tall ones have a line of their own. */
function widgetOf(command: DeclaredCommand): { Widget: (parts: WidgetParts) => ComponentChildren; tall: boolean } {
  const args = Object.values(command.args ?? {})
  const [only] = args
  if (only === undefined) return { Widget: Press, tall: false }
  if (args.length > 1) return { Widget: Form, tall: true }
  if (only.type === 'boolean') return { Widget: Switch, tall: false }
  if (only.type === 'number' && command.kind !== 'button' && only.max !== undefined)
    return { Widget: Slider, tall: true }
  if (only.type === 'text' && only.oneOf) return { Widget: command.kind === 'shutter' ? Shutters : Choice, tall: false }
  return { Widget: Form, tall: true }
}

function Press({ label, send, disabled }: WidgetParts) {
  return (
    <button type="button" disabled={disabled} onClick={() => send()}>
      {label}
    </button>
  )
}

function Form({ label, command, send, disabled }: WidgetParts) {
  return <ArgumentForm label={label} args={Object.entries(command.args ?? {})} send={send} disabled={disabled} />
}

/** With how far it is closed, where the device says so. */
function Shutters(parts: WidgetParts) {
  const { position } = parts.device.fields
  return (
    <>
      {typeof position === 'number' && <Pane open={position} />}
      <Shutter {...parts} />
    </>
  )
}
