/** The commands of a device as lines that can be added, changed and taken away. */
import type { DeclaredArgument, DeclaredCommand } from '../app/api.ts'
import { texts } from '../app/texts.ts'

type Commands = Readonly<Record<string, DeclaredCommand>>
type Kind = keyof typeof texts.describe.kinds

/** The argument that a new command of this kind has. */
const ARGUMENTS: Readonly<Record<Kind, Readonly<Record<string, DeclaredArgument>>>> = {
  button: {},
  switch: { on: { type: 'boolean' } },
  slider: { level: { type: 'number', min: 0, max: 100, unit: '%' } },
  shutter: { to: { type: 'text', oneOf: ['open', 'stop', 'close'] } },
  choice: { value: { type: 'text', oneOf: ['low', 'high'] } },
}

interface EditorParts {
  readonly commands: Commands
  readonly onChange: (commands: Commands) => void
}

export function CommandEditor({ commands, onChange }: EditorParts) {
  const entries = Object.entries(commands)
  const replace = (at: number, entry: readonly [string, DeclaredCommand] | undefined) =>
    onChange(Object.fromEntries(entries.flatMap((old, i) => (i !== at ? [old] : entry ? [entry] : []))))
  const add = (kind: Kind) => {
    const taken = (name: string) => Object.hasOwn(commands, name)
    let name: string = kind
    for (let i = 2; taken(name); i++) name = `${kind}-${i}`
    onChange({ ...commands, [name]: { kind, name: texts.describe.kinds[kind], args: ARGUMENTS[kind] } })
  }
  const { kinds, add: addText } = texts.describe
  return (
    <>
      {entries.map(([name, command], i) => (
        // A line stays the same one while its name is typed.
        <CommandLine key={i} name={name} command={command} onChange={(entry) => replace(i, entry)} />
      ))}
      <div class="bar tags">
        <span class="quiet">{addText}</span>
        {(Object.keys(kinds) as Kind[]).map((kind) => (
          <button key={kind} type="button" onClick={() => add(kind)}>
            + {kinds[kind]}
          </button>
        ))}
      </div>
    </>
  )
}

interface LineParts {
  readonly name: string
  readonly command: DeclaredCommand
  readonly onChange: (entry: readonly [string, DeclaredCommand] | undefined) => void
}

function CommandLine({ name, command, onChange }: LineParts) {
  const { id, shown, remove } = texts.describe
  const [only, ...others] = Object.entries(command.args ?? {})
  const change = (argument: Partial<DeclaredArgument>) =>
    only && onChange([name, { ...command, args: { [only[0]]: { ...only[1], ...argument } } }])
  return (
    <div class="fields command-line">
      <Text label={id} value={name} onChange={(text) => text !== '' && onChange([text, command])} />
      <Text
        label={shown}
        value={command.name ?? ''}
        onChange={(text) => onChange([name, { ...command, name: text }])}
      />
      {only && others.length === 0 && <ArgumentFields argument={only[1]} onChange={change} />}
      <button type="button" class="plain" aria-label={`${remove}: ${name}`} onClick={() => onChange(undefined)}>
        {remove}
      </button>
    </div>
  )
}

interface ArgumentParts {
  readonly argument: DeclaredArgument
  readonly onChange: (argument: Partial<DeclaredArgument>) => void
}

function ArgumentFields({ argument, onChange }: ArgumentParts) {
  const { min, max, unit, options } = texts.describe
  const { type, oneOf } = argument
  if (type === 'number')
    return (
      <>
        <Text label={min} value={String(argument.min ?? 0)} onChange={(text) => onChange({ min: Number(text) })} />
        <Text label={max} value={String(argument.max ?? 100)} onChange={(text) => onChange({ max: Number(text) })} />
        <Text label={unit} value={argument.unit ?? ''} onChange={(text) => onChange({ unit: text })} />
      </>
    )
  if (!oneOf) return null
  const split = (text: string) =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '')
  return <Text label={options} value={oneOf.join(', ')} onChange={(text) => onChange({ oneOf: split(text) })} />
}

interface TextParts {
  readonly label: string
  readonly value: string
  readonly onChange: (text: string) => void
}

function Text({ label, value, onChange }: TextParts) {
  return (
    <label class="short">
      {label}
      <input value={value} autocomplete="off" onChange={(event) => onChange(event.currentTarget.value.trim())} />
    </label>
  )
}
