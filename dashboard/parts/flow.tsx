/** The flow, drawn live: water runs through the stages as fast as readings do. */
import type { Status } from '../app/api.ts'
import { count, rate, span, sum } from '../app/format.ts'
import type { Flow } from '../app/store.ts'
import { texts } from '../app/texts.ts'
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

export function FlowPicture({ status, flow }: { status: Status | undefined; flow: Flow }) {
  const stages = status?.stages ?? []
  return (
    <section class="card flow" aria-label={texts.flow.title}>
      <ol>
        <li class="end">
          <span>{texts.flow.sensors}</span>
          <span class="quiet">{texts.flow.devices(count(status?.devices ?? 0))}</span>
        </li>
        {STAGES.map((name) => (
          <Box key={name} name={name} numbers={through(stages, name)} rates={flow.rates.get(name) ?? []} />
        ))}
        <li class="branch">
          <ol>
            <Box name="commands" numbers={numbersOf(stages, 'commands')} rates={flow.rates.get('commands') ?? []} />
            <li class="end">
              <Pipe rate={numbersOf(stages, 'commands').rate} />
              <span>{texts.flow.actuators}</span>
            </li>
          </ol>
        </li>
      </ol>
    </section>
  )
}

function Box({ name, numbers, rates }: { name: Stage; numbers: Numbers; rates: readonly number[] }) {
  const { present, queue, lagMs, errors } = numbers
  const waiting = name === 'window' ? texts.flow.open : texts.flow.waiting
  return (
    <li class={`stage ${name} ${present ? '' : 'absent'}`} title={texts.flow.about[name]}>
      <Pipe rate={numbers.inRate} />
      <h3>{name}</h3>
      {present ? (
        <>
          <p class="rate">
            <b>{rate(numbers.rate)}</b>
            <span class="quiet">{texts.flow.perSecond}</span>
          </p>
          <Sparkline values={rates} fromZero />
          <p class="quiet detail">{queue > 0 ? waiting(count(queue)) : texts.flow.idle}</p>
          <p class={errors > 0 ? 'warn detail' : 'quiet detail'}>
            {errors > 0
              ? texts.flow.errors(count(errors))
              : queue > 0 && lagMs > 0
                ? texts.flow.lag(span(lagMs))
                : '\u00a0'}
          </p>
        </>
      ) : (
        <p class="quiet detail">{texts.flow.absent}</p>
      )}
    </li>
  )
}

/** Speed in four steps: a duration that changed each second would make the water jump. */
function Pipe({ rate: perSecond }: { rate: number }) {
  const speed = perSecond <= 0 ? 0 : perSecond < 10 ? 1 : perSecond < 500 ? 2 : 3
  return <span class={`pipe speed-${speed}`} aria-hidden="true" />
}
