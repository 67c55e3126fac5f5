/** Where everything went: the two identities that must balance, and what could not be read. */
import { useState } from 'preact/hooks'
import { type Audit, api, type DeadLetterPage } from '../app/api.ts'
import { count } from '../app/format.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { Letters } from '../parts/letters.tsx'
import { Failure, Loading, Table } from '../parts/table.tsx'

export function Quality() {
  const { data, error } = useLoaded(api.audit, 2000)
  const { data: letters } = useLoaded(api.deadLetters, 3000)
  if (!error && !(data && letters)) return <Loading title={texts.pages.quality} />
  return (
    <>
      <h1>{texts.pages.quality}</h1>
      <Failure error={error} />
      <section class="card">
        <h2>{texts.quality.ledger}</h2>
        <Sources rows={data?.sources ?? []} />
      </section>
      <section class="card">
        <h2>{texts.quality.windows}</h2>
        <WindowRows rows={data?.windows ?? []} />
      </section>
      {letters && <DeadLetters page={letters} />}
    </>
  )
}

/** Those of one reason, when it is chosen. */
function DeadLetters({ page: { reasons, last } }: { page: DeadLetterPage }) {
  const [chosen, choose] = useState<string>()
  return (
    <section class="card">
      <h2>{texts.quality.letters}</h2>
      <p class="tags bar">
        {Object.entries(reasons).map(([reason, n]) => (
          <button
            key={reason}
            type="button"
            aria-pressed={reason === chosen}
            onClick={() => choose(reason === chosen ? undefined : reason)}
          >
            {reason} {count(n)}
          </button>
        ))}
      </p>
      <Letters
        letters={last.filter(({ reason }) => chosen === undefined || reason === chosen)}
        none={texts.quality.noLetters}
      />
    </section>
  )
}

function Sources({ rows }: { rows: Audit['sources'] }) {
  const { source, in: into, decoded, dead, dropped, balance } = texts.quality
  return (
    <Table label={texts.quality.ledger} heads={[source, `#${into}`, `#${decoded}`, `#${dead}`, `#${dropped}`, balance]}>
      {rows.map((row) => (
        <tr key={row.source}>
          <td>{row.source}</td>
          <td class="number">{count(row.in)}</td>
          <td class="number">{count(row.decoded)}</td>
          <td class="number">
            <Losses of={row.dead} />
          </td>
          <td class="number">
            <Losses of={row.dropped} />
          </td>
          <td>
            <Balance holds={row.balanced} />
          </td>
        </tr>
      ))}
    </Table>
  )
}

function WindowRows({ rows }: { rows: Audit['windows'] }) {
  const { source, window, decoded, windowed, open, late, filtered, balance } = texts.quality
  const heads = [window, source, `#${decoded}`, `#${windowed}`, `#${open}`, `#${late}`, `#${filtered}`, balance]
  return (
    <Table label={texts.quality.windows} heads={heads}>
      {rows.map((row) => (
        <tr key={`${row.window} ${row.source}`}>
          <td>{row.window}</td>
          <td>{row.source}</td>
          {[row.decoded, row.windowed, row.open, row.late, row.filtered].map((n, i) => (
            <td key={heads[i + 2]} class="number">
              {count(n)}
            </td>
          ))}
          <td>
            <Balance holds={row.balanced} />
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Losses({ of }: { of: Audit['sources'][number]['dead'] }) {
  const reasons = Object.entries(of)
  if (reasons.length === 0) return <>0</>
  return (
    <span class="tags">
      {reasons.map(([reason, { count: n }]) => (
        <span key={reason} class="tag warn">
          {reason} {count(n)}
        </span>
      ))}
    </span>
  )
}

function Balance({ holds }: { holds: boolean }) {
  return <span class={`tag ${holds ? 'good' : 'bad'}`}>{holds ? texts.quality.yes : texts.quality.no}</span>
}
