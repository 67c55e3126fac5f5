import { useRef, useState } from 'preact/hooks'
import { api, type OutboxSink, type OutboxStatus } from '../app/api.ts'
import { bytes, count, rate, span } from '../app/format.ts'
import { useLoaded } from '../app/load.ts'
import { useOperator } from '../app/session.ts'
import { texts } from '../app/texts.ts'
import { SinkCharts } from '../parts/sink-charts.tsx'
import { Empty, Failure, Table } from '../parts/table.tsx'
import { Ago, When } from '../parts/when.tsx'

export function Outbox() {
  const { data, error, reload } = useLoaded(api.outbox, 1000)
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
        <Sink key={sink.name} sink={sink} onChange={reload} />
      ))}
      {data && <Kept outbox={data} />}
    </>
  )
}

/** What is on disk, whoever it is for. */
function Kept({ outbox }: { outbox: OutboxStatus }) {
  const { classes, class: name, bytes: size, records, whenFull } = texts.outbox
  return (
    <section class="card">
      <div class="head">
        <h2>{classes}</h2>
        <span class="quiet">
          {bytes(outbox.bytes)} {texts.tiles.of(bytes(outbox.maxBytes))}
        </span>
      </div>
      <Table label={classes} heads={[name, `#${records}`, `#${size}`, whenFull]}>
        {outbox.classes.map((one) => (
          <tr key={one.class}>
            <td>{one.class}</td>
            <td class="number">{count(one.next - one.first)}</td>
            <td class="number">{bytes(one.bytes)}</td>
            <td class={one.full ? 'bad' : 'quiet'}>{outbox.whenFull[one.class]}</td>
          </tr>
        ))}
      </Table>
    </section>
  )
}

interface SinkParts {
  readonly sink: OutboxSink
  readonly onChange: () => void
}

function Sink({ sink, onChange }: SinkParts) {
  const { name, state, error, retryAt, sent = 0, acked = 0, refused = 0 } = sink
  return (
    <section class="card" aria-label={name}>
      <div class="head">
        <h2>{name}</h2>
        <span class={`tag ${state === 'connected' ? 'good' : 'warn'}`}>{state}</span>
        {retryAt && (
          <span class="quiet">
            {texts.outbox.next} <When at={retryAt} />
          </span>
        )}
        <Actions sink={sink} onChange={onChange} />
      </div>
      <Backlog sink={sink} />
      <SinkCharts sink={sink} />
      <p class="quiet small">
        {texts.outbox.sent(count(sent))} · {texts.outbox.taken(count(acked))} · {texts.outbox.refused(count(refused))}
        {error && <span class="warn"> · {error}</span>}
      </p>
    </section>
  )
}

/** Trying at once, giving up what waits (asked twice), and taking a copy of it. */
function Actions({ sink, onChange }: { sink: OutboxSink; onChange: () => void }) {
  const operator = useOperator()
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
  const { retry, skip: give, exportIt, retrying, skipAsk, skipYes, skipNo } = texts.outbox
  return (
    <span class="actions">
      <span role="status" class="quiet">
        {said}
      </span>
      {operator && (
        <>
          <button type="button" onClick={() => void act(api.retry(sink.name).then(() => retrying))}>
            {retry}
          </button>
          <button type="button" disabled={records === 0} onClick={() => dialog.current?.showModal()}>
            {give}
          </button>
        </>
      )}
      <a class="button" href={api.exportUrl(sink.name)} download={`${sink.name}.ndjson`}>
        {exportIt}
      </a>
      <dialog ref={dialog} aria-label={give}>
        <p>{skipAsk(count(records), sink.name)}</p>
        <div class="actions">
          <button type="button" onClick={skip}>
            {skipYes}
          </button>
          <button type="button" class="primary" onClick={() => dialog.current?.close()}>
            {skipNo}
          </button>
        </div>
      </dialog>
    </span>
  )
}

function Backlog({ sink }: { sink: OutboxSink }) {
  const { class: name, waiting, bytes: size, oldest, in: into, rate: taken, drain, acked } = texts.outbox
  return (
    <Table
      label={sink.name}
      heads={[name, `#${waiting}`, `#${size}`, `#${oldest}`, `#${into}`, `#${taken}`, `#${drain}`, `#${acked}`]}
    >
      {sink.backlog.map((one) => (
        <tr key={one.class}>
          <td>{one.class}</td>
          <td class="number">{count(one.records)}</td>
          <td class="number">{bytes(one.bytes)}</td>
          <td class="number">{one.oldest ? <Ago at={Date.parse(one.oldest)} /> : <span class="quiet">–</span>}</td>
          <td class="number">
            {rate(one.inRate ?? 0)} {texts.flow.perSecond}
          </td>
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
