/** Alerts that are raised, each with what a person can say about it. */
import { useState } from 'preact/hooks'
import { api, type RaisedAlert } from '../app/api.ts'
import { useOperator } from '../app/session.ts'
import { texts } from '../app/texts.ts'
import { Severity, shown } from './alert-table.tsx'
import { keyText } from './key.tsx'
import { Failure } from './table.tsx'
import { Ago } from './when.tsx'

export function AlertList({ alerts, onChange }: { alerts: readonly RaisedAlert[]; onChange: () => void }) {
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <li key={alert.id}>
          <Severity of={alert.severity} />
          <p>
            <b>{alert.rule}</b> {keyText(alert.key)}
            {alert.value !== undefined && <span class="quiet"> {shown(alert.value)}</span>}
          </p>
          <span class="quiet small">
            <Ago at={Date.parse(alert.raised)} />
          </span>
          {alert.acknowledged ? <Seen alert={alert} /> : <Acknowledge alert={alert} onChange={onChange} />}
        </li>
      ))}
    </ul>
  )
}

function Seen({ alert: { by, note } }: { alert: RaisedAlert }) {
  return (
    <p class="quiet seen">
      {texts.alerts.seenBy(by ?? '')}
      {note && `: ${note}`}
    </p>
  )
}

function Acknowledge({ alert, onChange }: { alert: RaisedAlert; onChange: () => void }) {
  const [error, setError] = useState<string>()
  if (!useOperator()) return null
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const note = String(new FormData(event.currentTarget as HTMLFormElement).get('note')).trim()
    api.acknowledge(alert.id, note).then(onChange, (reason: Error) => setError(texts.failed(reason.message)))
  }
  const of = `${alert.rule} ${keyText(alert.key)}`
  return (
    <form class="bar" onSubmit={submit}>
      <input
        name="note"
        aria-label={`${texts.alerts.note}: ${of}`}
        placeholder={texts.alerts.note}
        maxLength={1024}
        autocomplete="off"
      />
      <button type="submit" aria-label={`${texts.alerts.acknowledge}: ${of}`}>
        {texts.alerts.acknowledge}
      </button>
      <Failure error={error} />
    </form>
  )
}
