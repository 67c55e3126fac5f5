import { useRef, useState } from 'preact/hooks'
import { api, type OutboxSink } from '../app/api.ts'
import { bytes, count, rate, span } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useLoaded } from '../app/load.ts'
import { texts } from '../app/texts.ts'
import { Sparkline } from '../parts/sparkline.tsx'
import { Empty, Failure, Table } from '../parts/table.tsx'
import { When } from '../parts/when.tsx'

export function Outbox() {
  const { flow } = useNews()
  const { data, error, reload } = useLoaded(api.outbox, 2000)
  return (
    <>
      <h1>{texts.pages.outbox}</h1>
      <Failure error={error} />
      {data?.sinks.length === 0 && (
        <section class="card">
          <Empty title={texts.outbox.none} hint={texts.outbox.noneHint} />
        </section>
      )}
      {data?.sinks.map((sink) => (
        <Sink key={sink.name} sink={sink} waiting={flow.waiting.get(sink.name) ?? []} onChange={reload} />
      ))}
      {data && (
        <section class="card">
          <h2>
            {texts.outbox.classes}{' '}
            <span class="quiet">
              {bytes(data.bytes)} {texts.tiles.of(bytes(data.maxBytes))}
            </span>
          </h2>
          <Table
            label={texts.outbox.classes}
            heads={[texts.outbox.class, `#${texts.outbox.bytes}`, `#${texts.outbox.records}`]}
          >
            {data.classes.map((one) => (
              <tr key={one.class}>
                <td>{one.class}</td>
                <td class="number">{bytes(one.bytes)}</td>
                <td class="number">{count(one.next - one.first)}</td>
              </tr>
            ))}
          </Table>
        </section>
      )}
    </>
  )
}

interface SinkParts {
  readonly sink: OutboxSink
  readonly waiting: readonly number[]
  readonly onChange: () => void
}

function Sink({ sink, waiting, onChange }: SinkParts) {
  const [said, say] = useState('')
  const dialog = useRef<HTMLDialogElement>(null)
  const records = sink.backlog.reduce((n, one) => n + one.records, 0)
  const act = (doing: Promise<string>) =>
    doing.then(
      (done) => {
        say(done)
        onChange()
      },
      (reason: Error) => say(texts.failed(reason.message)),
    )
  const skip = () => {
    dialog.current?.close()
    void act(api.skip(sink.name).then(({ skipped }) => texts.outbox.skipped(count(skipped))))
  }
  return (
    <section class="card" aria-label={sink.name}>
      <div class="line">
        <h2>{sink.name}</h2>
        <span class={`tag ${sink.state === 'connected' ? 'good' : 'warn'}`}>{sink.state}</span>
        {sink.error && <span class="warn">{sink.error}</span>}
        {sink.retryAt && (
          <span class="quiet">
            {texts.outbox.next} <When at={sink.retryAt} />
          </span>
        )}
        <span class="actions">
          <button type="button" onClick={() => void act(api.retry(sink.name).then(() => texts.outbox.retrying))}>
            {texts.outbox.retry}
          </button>
          <button type="button" disabled={records === 0} onClick={() => dialog.current?.showModal()}>
            {texts.outbox.skip}
          </button>
          <a class="button" href={api.exportUrl(sink.name)} download={`${sink.name}.ndjson`}>
            {texts.outbox.exportIt}
          </a>
        </span>
      </div>
      <Backlog sink={sink} />
      <p class="quiet history">{texts.outbox.history}</p>
      <Sparkline values={waiting} fromZero />
      <p class="quiet">
        {texts.outbox.sent(count(sink.sent ?? 0))} · {texts.outbox.taken(count(sink.acked ?? 0))} ·{' '}
        {texts.outbox.refused(count(sink.refused ?? 0))}
        <span role="status"> {said}</span>
      </p>
      <dialog ref={dialog} aria-label={texts.outbox.skip}>
        <p>{texts.outbox.skipAsk(count(records), sink.name)}</p>
        <div class="actions">
          <button type="button" onClick={skip}>
            {texts.outbox.skipYes}
          </button>
          <button type="button" class="primary" onClick={() => dialog.current?.close()}>
            {texts.outbox.skipNo}
          </button>
        </div>
      </dialog>
    </section>
  )
}

function Backlog({ sink }: { sink: OutboxSink }) {
  const { class: name, waiting, bytes: size, oldest, rate: taken, drain, acked } = texts.outbox
  return (
    <Table label={sink.name} heads={[name, `#${waiting}`, `#${size}`, oldest, `#${taken}`, `#${drain}`, `#${acked}`]}>
      {sink.backlog.map((one) => (
        <tr key={one.class}>
          <td>{one.class}</td>
          <td class="number">{count(one.records)}</td>
          <td class="number">{bytes(one.bytes)}</td>
          <td>{one.oldest ? <When at={one.oldest} /> : <span class="quiet">–</span>}</td>
          <td class="number">
            {rate(one.rate ?? 0)} {texts.flow.perSecond}
          </td>
          <td class="number">{one.drainSeconds === undefined ? '–' : span(one.drainSeconds * 1000)}</td>
          <td class="number">{one.acked === undefined ? '' : count(one.acked)}</td>
        </tr>
      ))}
    </Table>
  )
}
