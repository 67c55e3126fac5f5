/** Controls for a command with one argument. */
import { useState } from 'preact/hooks'
import type { DeclaredArgument } from '../app/api.ts'
import { texts } from '../app/texts.ts'

export interface Single {
  readonly label: string
  /** Name of the argument. */
  readonly arg: string
  readonly declaration: DeclaredArgument
  /** What the device is now, as far as anyone knows. */
  readonly now: unknown
  readonly disabled: boolean
  readonly send: (args?: Readonly<Record<string, unknown>>) => void
}

export function Switch({ label, arg, now, disabled, send }: Single) {
  const on = now === true
  return (
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked={on}
      aria-label={label}
      disabled={disabled}
      onClick={() => send({ [arg]: !on })}
    >
      <span class="track" aria-hidden="true" />
    </button>
  )
}

export function Slider({ label, arg, declaration, now, disabled, send }: Single) {
  const { min = 0, max = 100, unit = '' } = declaration
  const [held, setHeld] = useState<number>()
  const shown = held ?? Number(now ?? min)
  const settle = (value: number) => {
    setHeld(undefined)
    send({ [arg]: value })
  }
  return (
    <>
      <b class="number">
        {shown} {unit}
      </b>
      <input
        type="range"
        aria-label={label}
        style={{ '--share': `${(100 * (shown - min)) / (max - min)}%` }}
        min={min}
        max={max}
        step={max - min <= 2 ? 0.01 : 1}
        value={shown}
        disabled={disabled}
        onInput={(event) => setHeld(event.currentTarget.valueAsNumber)}
        onChange={(event) => settle(event.currentTarget.valueAsNumber)}
      />
    </>
  )
}

interface Option {
  readonly value: string
  readonly shown: string
  readonly label: string
}

function Options({ label, arg, now, disabled, send, options }: Single & { options: readonly Option[] }) {
  return (
    <fieldset class="group" aria-label={label}>
      {options.map(({ value, shown, label: name }) => (
        <button
          key={value}
          type="button"
          aria-label={name}
          aria-pressed={value === now}
          disabled={disabled}
          onClick={() => send({ [arg]: value })}
        >
          {shown}
        </button>
      ))}
    </fieldset>
  )
}

export function Choice(parts: Single) {
  const options = (parts.declaration.oneOf ?? []).map((value) => ({ value, shown: value, label: value }))
  return <Options {...parts} options={options} />
}

const SIGNS: Readonly<Record<string, string>> = { open: '▲', up: '▲', stop: '■', close: '▼', down: '▼' }

export function Shutter(parts: Single) {
  const options = (parts.declaration.oneOf ?? []).map((value) => ({
    value,
    shown: SIGNS[value] ?? value,
    label: texts.control.moves[value as 'open'] ?? value,
  }))
  // A shutter that was told to move need not be there: no button stays pressed.
  return <Options {...parts} now={undefined} options={options} />
}

/** A window behind its shutter. @param open 0 to 100 */
export function Pane({ open }: { open: number }) {
  const closed = ((100 - Math.max(0, Math.min(100, open))) * 18) / 100
  return (
    <svg class="pane" viewBox="0 0 16 20" role="img" aria-label={texts.control.open(String(open))}>
      <title>{texts.control.open(String(open))}</title>
      <rect x="1" y="1" width="14" height="18" rx="1.5" />
      <rect class="blind" x="1" y="1" width="14" height={closed} rx="1.5" />
    </svg>
  )
}
