/**
 * Publishes an example's sample to the gateway on this machine, until Ctrl-C:
 *
 *     node --import tsx examples/send.ts modems [--port 1883] [--rounds 10]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connectAsync } from 'mqtt'
import { createStations } from './bikes/sample.ts'
import { heartbeats, sampleOf } from './meters/sample.ts'
import { modemStatuses, sampleOf as statusOf } from './modems/sample.ts'
import type { Sample } from './random.ts'

interface Example {
  /** Pause between two rounds, s. */
  readonly every: number
  /** What the sensors send in a round that begins at `now`, ms since the epoch. */
  round(now: number): readonly Sample[]
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  modems: { every: 1, round: (now) => [...modemStatuses(200, now, 5, now)].map(statusOf) },
  bikes: { every: 5, round: createStations(20) },
  meters: { every: 5, round: (now) => [...heartbeats(10, Math.floor(now / 1000), 5, now)].map(sampleOf) },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string', default: '1883' }, rounds: { type: 'string', default: 'Infinity' } },
})
const example = EXAMPLES[positionals[0] ?? '']
if (!example) {
  console.error(`which example? one of ${Object.keys(EXAMPLES).join(', ')}`)
  process.exit(2)
}

const client = await connectAsync(`mqtt://127.0.0.1:${values.port}`)
for (let i = 1; i <= Number(values.rounds); i++) {
  if (i > 1) await sleep(example.every * 1000)
  const samples = example.round(Date.now())
  await Promise.all(samples.map(({ topic, payload }) => client.publishAsync(topic, payload, { qos: 1 })))
  console.log(`round ${i}: ${samples.length} messages, such as ${samples[0]?.topic} ${samples[0]?.payload}`)
}
await client.endAsync()
