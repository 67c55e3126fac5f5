/** The identity that must hold of all messages, as a sum that anyone can check. */
import type { Audit } from '../app/api.ts'
import { count } from '../app/format.ts'
import { texts } from '../app/texts.ts'

type Source = Audit['sources'][number]

export function Account({ sources }: { sources: readonly Source[] }) {
  const total = (pick: (source: Source) => number) => sources.reduce((n, source) => n + pick(source), 0)
  const holds = sources.every((source) => source.balanced)
  const { in: into, decoded, dead, dropped } = texts.quality
  return (
    <li class="account">
      <dl>
        <Term name={into} n={total((one) => one.in)} />
        <Sign sign="=" />
        <Term name={decoded} n={total((one) => one.decoded)} />
        <Sign sign="+" />
        <Term name={dead} n={total((one) => losses(one.dead))} />
        <Sign sign="+" />
        <Term name={dropped} n={total((one) => losses(one.dropped))} />
        <div>
          <dt>{texts.tiles.ledger}</dt>
          <dd class={holds ? 'good' : 'bad'}>{holds ? texts.tiles.balanced : texts.tiles.unbalanced}</dd>
        </div>
      </dl>
    </li>
  )
}

function Term({ name, n }: { name: string; n: number }) {
  return (
    <div>
      <dt>{name.toLowerCase()}</dt>
      <dd>{count(n)}</dd>
    </div>
  )
}

function Sign({ sign }: { sign: string }) {
  return (
    <div aria-hidden="true" class="quiet">
      <dt>{'\u00a0'}</dt>
      <dd>{sign}</dd>
    </div>
  )
}

function losses(of: Source['dead']): number {
  return Object.values(of).reduce((n, one) => n + one.count, 0)
}
