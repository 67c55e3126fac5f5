import type { AlertRecord } from '../../gateway/record.ts'
import { statistic, value } from '../app/format.ts'
import { texts } from '../app/texts.ts'
import { keyText } from './key.tsx'
import { Table } from './table.tsx'
import { When } from './when.tsx'

const TONES: Readonly<Record<string, string>> = { critical: 'bad', warning: 'warn' }

export function Severity({ of }: { of: string }) {
  return <span class={`tag ${TONES[of] ?? ''}`}>{of}</span>
}

/** A number may be computed; text is as it is. */
export function shown(v: unknown): string {
  return typeof v === 'number' ? statistic(v) : value(v)
}

/** What alerts did, newest first. */
export function AlertTable({ alerts, label }: { alerts: readonly AlertRecord[]; label: string }) {
  const { when, rule, key, state, severity, value: v, by } = texts.alerts
  return (
    <Table label={label} heads={[when, rule, key, state, severity, `#${v}`, by]}>
      {alerts.map((alert) => (
        <tr key={`${alert.time} ${alert.rule} ${JSON.stringify(alert.key)} ${alert.state}`}>
          <td>
            <When at={alert.time} />
          </td>
          <td>{alert.rule}</td>
          <td>{keyText(alert.key)}</td>
          <td class={alert.state === 'cleared' ? 'good' : alert.state === 'acknowledged' ? 'quiet' : ''}>
            {texts.alerts.states[alert.state]}
          </td>
          <td>{alert.severity}</td>
          <td class="number">{alert.value === undefined ? '' : shown(alert.value)}</td>
          <td class="quiet">
            {alert.by}
            {alert.note && `: ${alert.note}`}
          </td>
        </tr>
      ))}
    </Table>
  )
}
