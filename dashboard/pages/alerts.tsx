import type { AlertRecord } from '../../gateway/record.ts'
import { api } from '../app/api.ts'
import { count } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { AlertList } from '../parts/alert-list.tsx'
import { AlertTable } from '../parts/alert-table.tsx'
import { Empty, Loading, Table } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

export function Alerts() {
  const { alerts, raised, gaps, refreshed } = useNews()
  const newest = alerts[0]
  const { data, error, reload } = useLoaded(api.alerts, 10_000, `${newest?.time} ${newest?.state}`)
  const history = (data?.history ?? alerts) as readonly AlertRecord[]
  if (!error && !(data && refreshed)) return <Loading title={texts.pages.alerts} />
  return (
    <>
      <h1>{texts.pages.alerts}</h1>
      <section class="card">
        <h2>{texts.alerts.active}</h2>
        {raised.length > 0 ? (
          <AlertList alerts={raised} onChange={reload} />
        ) : (
          <Empty title={texts.alerts.none} hint={texts.alerts.noneHint} />
        )}
      </section>
      {history.length > 0 && (
        <section class="card">
          <h2>{texts.alerts.history}</h2>
          <AlertTable alerts={history} label={texts.alerts.history} />
        </section>
      )}
      <section class="card">
        <h2>{texts.alerts.gaps}</h2>
        {gaps.length === 0 ? <p class="quiet">{texts.alerts.noGaps}</p> : <Gaps gaps={gaps} />}
      </section>
    </>
  )
}

function Gaps({ gaps }: { gaps: ReturnType<typeof useNews>['gaps'] }) {
  const { when, reason, count: n, gap: label, unknown } = texts.alerts
  return (
    <Table label={label} heads={[when, reason, texts.quality.source, `#${n}`]}>
      {gaps.map((gap) => (
        <tr key={`${gap.reason} ${gap.from} ${gap.to} ${gap.source}`}>
          <td>
            <When at={gap.to} />
          </td>
          <td>{gap.reason}</td>
          <td>{gap.source ?? gap.window ?? gap.class}</td>
          <td class="number">{gap.count === 'unknown' ? unknown : count(gap.count)}</td>
        </tr>
      ))}
    </Table>
  )
}
