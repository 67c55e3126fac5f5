/**
 * `npm run bench`: load against real peers in the same run, one table of medians and ratios. The machine may be noisy:
 * trust the ratios. `npm run bench -- ingest` runs a part; RUNS=5 asks for more runs.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type CoapScenario, measureCoap, measureLibcoap, measureRegistrations, measureSessions } from './coap.ts'
import { type Measured, measureMosquitto, measureSluice, type Scenario } from './ingest.ts'
import { measureOutbox } from './outbox.ts'
import { measurePlugins } from './plugins/main.ts'
import { measureStart } from './start.ts'

const RUNS = Number(process.env.RUNS ?? 3)
const MESSAGES = Number(process.env.MESSAGES ?? 2_000_000)

interface Row {
  readonly name: string
  readonly measured: Measured
  readonly peer?: Measured
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function medianOf(runs: readonly Measured[]): Measured {
  const pick = (read: (run: Measured) => number) => median(runs.map(read))
  const maybe = (read: (run: Measured) => number | null) => {
    const known = runs.map(read).filter((value): value is number => value !== null)
    return known.length > 0 ? median(known) : null
  }
  return {
    rate: pick((run) => run.rate),
    cpu: pick((run) => run.cpu),
    lost: Math.max(...runs.map((run) => run.lost)),
    peakMemory: pick((run) => run.peakMemory),
    generatorCpu: pick((run) => run.generatorCpu),
    p50: maybe((run) => run.p50),
    p99: maybe((run) => run.p99),
    ready: maybe((run) => run.ready ?? null),
  }
}

async function several(measure: () => Promise<Measured>): Promise<Measured> {
  const runs: Measured[] = []
  for (let i = 0; i < RUNS; i++) runs.push(await measure())
  return medianOf(runs)
}

/** The run that is the median of several by what `of` reads. */
async function medianRun<T>(measure: () => Promise<T>, of: (run: T) => number): Promise<T> {
  const runs: T[] = []
  for (let i = 0; i < RUNS; i++) runs.push(await measure())
  runs.sort((a, b) => of(a) - of(b))
  return runs[Math.floor(runs.length / 2)] as T
}

async function ingest(): Promise<Row[]> {
  const rows: Row[] = []
  for (const qos of [0, 1] as const) {
    const messages = qos === 0 ? MESSAGES : MESSAGES / 2
    const peer = await several(() => measureMosquitto({ messages: messages / 2, qos, durability: 'none' }))
    rows.push({ name: `mosquitto, one QoS 0 subscriber: QoS ${qos}`, measured: peer })
    for (const durability of ['none', 'fsync'] as const) {
      const scenario: Scenario = { messages, qos, durability }
      const measured = await several(() => measureSluice(scenario))
      rows.push({ name: `sluice: QoS ${qos}, durability ${durability}`, measured, peer })
      if (durability === 'none') {
        const since5 = await several(() => measureSluice({ ...scenario, version: 5 }))
        rows.push({ name: 'the same with MQTT 5 and a content type', measured: since5, peer })
      }
      if (qos === 1 && durability === 'fsync') {
        const half = Math.round(measured.rate / 2)
        const paced = { ...scenario, rate: half }
        const cold = await several(() => measureSluice({ ...paced, messages: half }))
        rows.push({ name: 'sluice: QoS 1, fsync, at half that rate: the first second', measured: cold })
        const warm = await several(() => measureSluice({ ...paced, messages: half * 10, warmUp: 1000 }))
        rows.push({ name: 'the same for ten seconds, without the first', measured: warm })
      }
    }
  }
  for (const durability of ['none', 'fsync'] as const) {
    const dense = await several(() => measureSluice({ messages: MESSAGES, qos: 0, durability, step: 100 }))
    rows.push({ name: `sluice: QoS 0, ${durability}, windows close 5 times as often`, measured: dense })
  }
  return rows
}

async function coap(): Promise<Row[]> {
  const rows: Row[] = []
  const messages = Math.round(MESSAGES / 10)
  const add = async (name: string, scenario: Omit<CoapScenario, 'messages'>, peer?: Measured) => {
    const measured = await several(() => measureCoap({ ...scenario, messages }))
    rows.push({ name: `sluice: ${name}`, measured, ...(peer && { peer }) })
    return measured
  }
  for (const confirmable of [false, true]) {
    const kind = confirmable ? 'CON' : 'NON'
    const peer = await several(() => measureLibcoap({ messages, confirmable, durability: 'interval' }))
    rows.push({ name: `libcoap's coap-server: ${kind}`, measured: peer })
    await add(`${kind}, durability interval`, { confirmable, durability: 'interval' }, peer)
    if (confirmable) await add('CON, durability fsync', { confirmable, durability: 'fsync' }, peer)
    else await add('NON, one in 20 answered', { confirmable, durability: 'interval', answerEvery: 20 }, peer)
  }
  const plain = rows.find(({ name }) => name === 'sluice: CON, durability interval')?.measured
  await add('CON over DTLS, against without', { confirmable: true, durability: 'interval', secure: true }, plain)
  return rows
}

function print(rows: readonly Row[]): void {
  const heads = ['', 'k/s', 'CPU µs', '× rate', '× CPU', 'lost', 'p99 ms', 'ready ms', 'peak MB', 'load CPU']
  const cells = rows.map(({ name, measured: m, peer }) => [
    name,
    (m.rate / 1000).toFixed(0),
    m.cpu.toFixed(2),
    peer ? (m.rate / peer.rate).toFixed(2) : '',
    peer ? (m.cpu / peer.cpu).toFixed(2) : '',
    String(m.lost),
    m.p99 === null ? '' : m.p99.toFixed(0),
    m.ready ? `≤${m.ready}` : '',
    m.peakMemory.toFixed(0),
    m.generatorCpu.toFixed(2),
  ])
  const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => (row[i] as string).length)))
  for (const row of [heads, ...cells]) {
    const line = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
    process.stdout.write(`${line.join('  ')}\n`)
  }
}

async function main(): Promise<void> {
  const parts = process.argv.slice(2)
  const wanted = (part: string) => parts.length === 0 || parts.includes(part)
  spawnSync(process.execPath, ['build.mjs'], { stdio: 'inherit' })
  if (wanted('ingest')) {
    if (existsSync('/usr/sbin/mosquitto')) print(await ingest())
    else process.stdout.write('ingest is skipped: mosquitto is not installed\n')
  }
  if (wanted('plugins')) process.stdout.write(`\n${await measurePlugins(medianRun)}\n`)
  if (wanted('coap')) {
    if (existsSync('/usr/bin/coap-server-notls')) print(await coap())
    else process.stdout.write('coap is skipped: libcoap3-bin is not installed\n')
  }
  if (wanted('lwm2m')) {
    process.stdout.write(`\n${await measureSessions()}\n`)
    process.stdout.write(`${await measureRegistrations()}\n`)
  }
  if (wanted('outbox')) process.stdout.write(`\n${await measureOutbox()}\n`)
  if (wanted('start')) process.stdout.write(`\n${await measureStart(RUNS)}\n`)
}

void main()
