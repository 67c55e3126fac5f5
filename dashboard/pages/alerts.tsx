import { useState } from 'preact/hooks'
import type { AlertRecord } from '../../gateway/record.ts'
import { api, type RaisedAlert } from '../app/api.ts'
import { count, value } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { Empty, Failure, Table } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

export function Alerts() {
  const { alerts, gaps } = useNews()
  const { data, reload } = useLoaded(api.alerts, 2000, alerts[0]?.time)
  const raised = data?.alerts ?? activeOf(alerts)
  const { when, reason, count: n } = texts.alerts
  return (
    <>
      <h1>{texts.pages.alerts}</h1>
      <section class="card">
        <h2>{texts.alerts.active}</h2>
        {raised.length > 0 ? (
          <Raised alerts={raised} onChange={reload} />
        ) : (
          <Empty title={texts.alerts.none} hint={texts.alerts.noneHint} />
        )}
      </section>
      {alerts.length > 0 && (
        <section class="card">
          <h2>{texts.alerts.history}</h2>
          <AlertTable alerts={alerts} label={texts.alerts.history} />
        </section>
      )}
      <section class="card">
        <h2>{texts.alerts.gaps}</h2>
        {gaps.length === 0 ? (
          <p class="quiet">{texts.alerts.noGaps}</p>
        ) : (
          <Table label={texts.alerts.gap} heads={[when, reason, texts.quality.source, `#${n}`]}>
            {gaps.map((gap) => (
              <tr key={`${gap.reason} ${gap.from} ${gap.to} ${gap.source}`}>
                <td>
                  <When at={gap.to} />
                </td>
                <td>{gap.reason}</td>
                <td>{gap.source ?? gap.window ?? gap.class}</td>
                <td class="number">{gap.count === 'unknown' ? texts.alerts.unknown : count(gap.count)}</td>
              </tr>
            ))}
          </Table>
        )}
      </section>
    </>
  )
}

/** For a gateway that does not list them: of each rule and key the last word counts. */
function activeOf(alerts: readonly AlertRecord[]): RaisedAlert[] {
  const last = new Map<string, AlertRecord>()
  for (const alert of alerts) {
    const key = JSON.stringify([alert.rule, alert.key])
    if (!last.has(key)) last.set(key, alert)
  }
  return [...last]
    .filter(([, { state }]) => state !== 'cleared')
    .map(([id, alert]) => ({ ...alert, id, raised: alert.time, acknowledged: alert.state === 'acknowledged' }))
}

function Raised({ alerts, onChange }: { alerts: readonly RaisedAlert[]; onChange: () => void }) {
  const [by, setBy] = useState('')
  const [error, setError] = useState<string>()
  const acknowledge = (id: string) =>
    api.acknowledge(id, by.trim()).then(onChange, (reason: Error) => setError(texts.failed(reason.message)))
  const { when, rule, key, severity, value: v, name } = texts.alerts
  return (
    <>
      <div class="bar">
        <input aria-label={name} placeholder={name} value={by} onInput={(event) => setBy(event.currentTarget.value)} />
      </div>
      <Failure error={error} />
      <Table label={texts.alerts.active} heads={[when, rule, key, severity, `#${v}`, '\u00a0']}>
        {alerts.map((alert) => (
          <tr key={alert.id}>
            <td>
              <When at={alert.raised} />
            </td>
            <td>{alert.rule}</td>
            <td>{Object.values(alert.key).join(' · ')}</td>
            <td>
              <span class={`tag ${alert.severity === 'info' ? 'warn' : 'bad'}`}>{alert.severity}</span>
            </td>
            <td class="number">{alert.value === undefined ? '' : value(alert.value)}</td>
            <td>
              {alert.acknowledged ? (
                <span class="tag good">{texts.alerts.acknowledged}</span>
              ) : (
                <button
                  type="button"
                  class="plain"
                  aria-label={`${texts.alerts.acknowledge}: ${alert.rule} ${Object.values(alert.key).join(' ')}`}
                  onClick={() => void acknowledge(alert.id)}
                >
                  {texts.alerts.acknowledge}
                </button>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </>
  )
}

function AlertTable({ alerts, label }: { alerts: readonly AlertRecord[]; label: string }) {
  const { when, rule, key, state, severity, value: v } = texts.alerts
  return (
    <Table label={label} heads={[when, rule, key, state, severity, `#${v}`]}>
      {alerts.map((alert) => (
        <tr key={`${alert.time} ${alert.rule} ${JSON.stringify(alert.key)} ${alert.state}`}>
          <td>
            <When at={alert.time} />
          </td>
          <td>{alert.rule}</td>
          <td>{Object.values(alert.key).join(' · ')}</td>
          <td>
            <span class={`tag ${alert.state === 'cleared' ? 'good' : 'bad'}`}>{alert.state}</span>
          </td>
          <td>{alert.severity}</td>
          <td class="number">{alert.value === undefined ? '' : value(alert.value)}</td>
        </tr>
      ))}
    </Table>
  )
}
