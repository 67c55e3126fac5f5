/** `npm run bench -- plugins`: AMQP 1.0 and ZeroMQ in, commands out, and what a thousand rules cost. */
import { type Measured, measureSluice } from '../ingest.ts'
import { measureCommands, type RoundTrips } from './commands.ts'
import { type Intake, measureAmqp, measureBareAmqp, measureZeromq } from './intake.ts'
import { rules } from './rules.ts'

const MESSAGES = Number(process.env.MESSAGES ?? 1_000_000)
const COMMANDS = 1000
const RULES = 1000

/** @param median of several runs */
export async function measurePlugins(median: <T>(measure: () => Promise<T>, of: (run: T) => number) => Promise<T>) {
  const rate = (measure: () => Promise<Intake>) => median(measure, (run) => run.rate)
  const speed = (measure: () => Promise<Measured>) => median(measure, (run) => run.rate)
  const amqp = Math.round(MESSAGES / 5)
  const lines: string[] = []
  const row = (name: string, measured: Pick<Intake, 'rate' | 'cpu' | 'lost'>, ratio = '') =>
    lines.push(
      [
        name.padEnd(44),
        `${(measured.rate / 1000).toFixed(0)} k/s`.padStart(9),
        `${measured.cpu.toFixed(1)} µs`.padStart(9),
        `${measured.lost} lost`.padStart(8),
        ratio,
      ].join('  '),
    )
  const times = (a: Intake | Measured, b: Intake | Measured) => (a.rate / b.rate).toFixed(2)

  for (const durability of ['none', 'fsync'] as const)
    row(`ZeroMQ PULL, durability ${durability}`, await rate(() => measureZeromq(MESSAGES, durability)))
  const bare = await rate(() => measureBareAmqp(amqp))
  row('AMQP 1.0, a bare rhea receiver', bare)
  const none = await rate(() => measureAmqp(amqp, 'none'))
  row('AMQP 1.0, durability none', none, `${times(none, bare)} × bare`)
  const fsync = await rate(() => measureAmqp(amqp, 'fsync'))
  row('AMQP 1.0, durability fsync', fsync, `${times(fsync, none)} × none`)
  const scenario = { messages: MESSAGES, qos: 0, durability: 'none' } as const
  const plain = await speed(() => measureSluice(scenario))
  row('MQTT QoS 0, durability none, no rules', plain)
  const judged = await speed(() => measureSluice({ ...scenario, rules: rules(RULES) }))
  row(`the same with ${RULES} rules over 5,000 devices`, judged, `${times(judged, plain)} × without`)
  const trips: RoundTrips = await median(
    () => measureCommands(COMMANDS),
    (run) => run.p99,
  )
  lines.push(
    `command to an MQTT device and back, ledger on disk: p50 ${trips.p50.toFixed(1)} ms, p99 ${trips.p99.toFixed(1)} ms`,
  )
  return lines.join('\n')
}
