/** The flow, drawn live: water runs through the stages as fast as readings do, and rises where it must wait. */
import type { Audit, Status } from '../app/api.ts'
import { count, rate, span, sum } from '../app/format.ts'
import type { Flow } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { Account } from './account.tsx'
import { Sparkline } from './sparkline.tsx'

const STAGES = ['ingest', 'decode', 'journal', 'window', 'rules', 'outbox', 'upstream'] as const
type Stage = (typeof STAGES)[number] | 'commands'

interface Numbers {
  readonly present: boolean
  readonly rate: number
  /** What flows in, per second. */
  readonly inRate: number
  readonly queue: number
  readonly lagMs: number
  readonly errors: number
}

/** Lateness and filters are what a person asked for, no errors. */
const NO_ERRORS = new Set(['filtered'])

function numbersOf(stages: Status['stages'], name: Stage): Numbers {
  const own = stages.filter((one) => one.stage === name)
  const total = (pick: (one: (typeof own)[number]) => number) => own.reduce((n, one) => n + pick(one), 0)
  return {
    present: own.length > 0,
    rate: total((one) => (name === 'window' || name === 'rules' ? one.inRate : one.outRate)),
    inRate: total((one) => one.inRate),
    queue: total((one) => one.queue ?? 0),
    lagMs: Math.max(0, ...own.map((one) => one.lagMs ?? 0)),
    errors: total((one) => sum(Object.fromEntries(Object.entries(one.errors).filter(([why]) => !NO_ERRORS.has(why))))),
  }
}

/** Without rules, what the windows say goes past them. */
function through(stages: Status['stages'], name: Stage): Numbers {
  const own = numbersOf(stages, name)
  if (name !== 'rules' || own.present) return own
  const results = stages.reduce((n, one) => n + (one.stage === 'window' ? one.outRate : 0), 0)
  return { ...own, inRate: results }
}

interface FlowParts {
  readonly status: Status | undefined
  readonly flow: Flow
  readonly audit: Audit | undefined
}

export function FlowPicture({ status, flow, audit }: FlowParts) {
  const stages = status?.stages ?? []
  const cut = status?.upstreams.some(({ state }) => state !== 'connected') ?? false
  return (
    <section class="card flow" aria-label={texts.flow.title}>
      <ol>
        <li class="end-of-flow">
          <span>{texts.flow.sensors}</span>
          <span class="quiet">{texts.flow.devices(count(status?.devices ?? 0))}</span>
        </li>
        {STAGES.map((name) => (
          <Box key={name} name={name} numbers={through(stages, name)} flow={flow} cut={cut} />
        ))}
        <Account sources={audit?.sources ?? []} />
        <Box name="commands" numbers={numbersOf(stages, 'commands')} flow={flow} cut={false} />
        <li class="end-of-flow">
          <Pipe rate={numbersOf(stages, 'commands').rate} />
          <span>{texts.flow.actuators}</span>
        </li>
      </ol>
    </section>
  )
}

interface BoxParts {
  readonly name: Stage
  readonly numbers: Numbers
  readonly flow: Flow
  /** Whether an upstream is away. */
  readonly cut: boolean
}

function Box({ name, numbers, flow, cut }: BoxParts) {
  const { present, rate: perSecond, inRate } = numbers
  const shut = name === 'upstream' && cut
  return (
    <li class={`stage ${name} ${present ? '' : 'absent'}`} title={texts.flow.about[name]}>
      <Pipe rate={inRate} shut={shut} />
      <h3>{name}</h3>
      {present ? (
        <>
          <p class="rate">
            <b>{rate(perSecond)}</b>
            <span class="quiet">{texts.flow.perSecond}</span>
          </p>
          <Details name={name} numbers={numbers} shut={shut} />
          {name === 'outbox' ? (
            <Sparkline values={flow.depth} fromZero tone={cut ? 'warn' : ''} />
          ) : (
            <Sparkline values={flow.rates.get(name) ?? []} fromZero />
          )}
        </>
      ) : (
        <p class="quiet detail">{texts.flow.absent}</p>
      )}
    </li>
  )
}

/** What waits and for how long, or else what went wrong. */
function Details({ name, numbers, shut }: { name: Stage; numbers: Numbers; shut: boolean }) {
  const { queue, lagMs, errors } = numbers
  const waiting = name === 'window' ? texts.flow.open : texts.flow.waiting
  const lag = queue > 0 && lagMs > 0 ? texts.flow.lag(span(lagMs)) : '\u00a0'
  return (
    <>
      <p class={`detail one-line ${shut ? 'bad' : 'quiet'}`}>
        {shut ? texts.flow.cut : queue > 0 ? waiting(count(queue)) : texts.flow.idle}
      </p>
      <p class={`detail one-line ${errors > 0 ? 'warn' : 'quiet'}`}>
        {errors > 0 ? texts.flow.errors(count(errors)) : lag}
      </p>
    </>
  )
}

/** Speed in four steps: a duration that changed each second would make the water jump. */
function Pipe({ rate: perSecond, shut = false }: { rate: number; shut?: boolean }) {
  const speed = perSecond <= 0 ? 0 : perSecond < 10 ? 1 : perSecond < 500 ? 2 : 3
  return <span class={`pipe ${shut ? 'shut' : `speed-${speed}`}`} aria-hidden="true" />
}
