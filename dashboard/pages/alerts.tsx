import type { AlertRecord } from '../../gateway/record.ts'
import { count, value } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { texts } from '../app/texts.ts'
import { Empty, Table } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

export function Alerts() {
  const { alerts, gaps } = useNews()
  const raised = activeOf(alerts)
  const { when, reason, count: n } = texts.alerts
  return (
    <>
      <h1>{texts.pages.alerts}</h1>
      <section class="card">
        <h2>{texts.alerts.active}</h2>
        {raised.length > 0 ? (
          <AlertTable alerts={raised} label={texts.alerts.active} />
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

/** Newest first; of each rule and key the last word counts. */
function activeOf(alerts: readonly AlertRecord[]): AlertRecord[] {
  const last = new Map<string, AlertRecord>()
  for (const alert of alerts) {
    const key = JSON.stringify([alert.rule, alert.key])
    if (!last.has(key)) last.set(key, alert)
  }
  return [...last.values()].filter((alert) => alert.state !== 'cleared')
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
