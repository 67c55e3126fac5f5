import { api } from '../app/api.ts'
import { span } from '../app/format.ts'
import { useNews, useRefreshed } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { useOperator } from '../app/session.ts'
import { texts } from '../app/texts.ts'
import { ConfigEditor } from '../parts/config-editor.tsx'
import { ConfigTable } from '../parts/config-table.tsx'
import { LogLevelChoice } from '../parts/log-level.tsx'
import { Failure, Loading, Table } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

const RARELY = 30_000

export function Settings() {
  const operator = useOperator()
  const refreshed = useRefreshed()
  const { data, error, reload } = useLoaded(api.config, RARELY)
  if (!error && !(data && refreshed)) return <Loading title={texts.pages.settings} />
  return (
    <>
      <h1>{texts.pages.settings}</h1>
      <About />
      <Failure error={error} />
      <LogLevelChoice />
      {operator && <ConfigEditor onApplied={reload} />}
      {data && <ConfigTable config={data} />}
      <Changes />
    </>
  )
}

function About() {
  const { status } = useNews()
  const { about, data, ports, process, node } = texts.settings
  const facts: readonly (readonly [string, string])[] = status
    ? [
        [about, `${status.gateway} · ${texts.tiles.version(status.version)}`],
        [texts.tiles.uptime, span(status.uptime * 1000)],
        [data, status.data],
        [
          ports,
          Object.entries(status.ports)
            .map((port) => port.join(' '))
            .join(', '),
        ],
        [process, `${node} ${status.node} · pid ${status.pid}`],
      ]
    : []
  return (
    <section class="card facts about">
      <dl>
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

/** Who changed what; commands stand with the commands. */
function Changes() {
  const { data } = useLoaded(api.changes, 5000)
  const { changes, none, when, who, what, from } = texts.changes
  return (
    <section class="card">
      <h2>{changes}</h2>
      {data?.changes.length === 0 ? (
        <p class="quiet">{none}</p>
      ) : (
        <Table label={changes} heads={[when, who, what, from]}>
          {data?.changes.map((change) => (
            <tr key={`${change.time} ${change.what}`}>
              <td>
                <When at={change.time} />
              </td>
              <td>{change.who}</td>
              <td>{change.what}</td>
              <td class="quiet">{change.address}</td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  )
}
