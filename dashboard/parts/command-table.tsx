import { api, type CommandStatus } from '../app/api.ts'
import { texts } from '../app/texts.ts'
import { Table } from './table.tsx'
import { When } from './when.tsx'

const TONES: Readonly<Record<CommandStatus['state'], string>> = {
  accepted: 'busy',
  sent: 'busy',
  acknowledged: 'good',
  failed: 'bad',
  expired: 'warn',
  unconfirmed: 'warn',
  rejected: 'bad',
}

export function StateTag({ command }: { command: CommandStatus }) {
  return (
    <span class={`tag ${TONES[command.state]}`} title={command.reason}>
      {texts.control.states[command.state]}
    </span>
  )
}

/** What has not been sent yet can be taken back; the news of it come on the event stream. */
function Cancel({ command }: { command: CommandStatus }) {
  return (
    <button
      type="button"
      class="plain"
      aria-label={`${texts.control.cancel}: ${command.command} ${command.device}`}
      onClick={() => void api.cancel(command.id).catch(() => undefined)}
    >
      {texts.control.cancel}
    </button>
  )
}

/** Newest first. */
export function CommandTable({ commands }: { commands: readonly CommandStatus[] }) {
  const { when, device, command: name, state, by } = texts.control
  const rows = commands.toSorted((a, b) => (a.created < b.created ? 1 : -1)).slice(0, 50)
  return (
    <Table label={texts.control.history} heads={[when, device, name, state, by]}>
      {rows.map((command) => (
        <tr key={command.id}>
          <td>
            <When at={command.created} />
          </td>
          <td>{command.device}</td>
          <td>
            {command.command} {command.args !== undefined && <code>{JSON.stringify(command.args)}</code>}
          </td>
          <td>
            <StateTag command={command} /> {command.reason && <span class="quiet">{command.reason}</span>}
            {command.state === 'accepted' && <Cancel command={command} />}
          </td>
          <td>{command.by}</td>
        </tr>
      ))}
    </Table>
  )
}
