import { api, type CommandStatus } from '../app/api.ts'
import { state } from '../app/live.ts'
import { useOperator } from '../app/session.ts'
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
    <span class={`tag ${TONES[command.state]}`} title={reasonOf(command)}>
      {texts.control.states[command.state]}
    </span>
  )
}

/** With what the device had to say about it. */
export function reasonOf({ reason = '', result, state }: CommandStatus): string {
  const said = state === 'failed' && typeof result === 'string' ? result : ''
  return [reason, said].filter((text) => text !== '').join(': ')
}

/** What has not been sent yet can be taken back; the news of it come on the event stream. */
function Cancel({ command }: { command: CommandStatus }) {
  if (!useOperator()) return null
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
  const { when, device, command: name, state: outcome, by, reason } = texts.control
  const rows = commands.toSorted((a, b) => (a.created < b.created ? 1 : -1)).slice(0, 50)
  return (
    <Table label={texts.control.history} heads={[when, outcome, device, name, by, reason]}>
      {rows.map((command) => (
        <tr key={command.id}>
          <td>
            <When at={command.created} />
          </td>
          <td>
            <StateTag command={command} />
            {command.state === 'accepted' && <Cancel command={command} />}
          </td>
          <td>{state.devices.get(command.device)?.name ?? command.device}</td>
          <td>
            {command.command} {command.args !== undefined && <code>{JSON.stringify(command.args)}</code>}
          </td>
          <td class="quiet">{command.by}</td>
          <td class="quiet">{reasonOf(command)}</td>
        </tr>
      ))}
    </Table>
  )
}
