/** `sluice demo`: a gateway with a simulated fleet and an embedded upstream, all in this process and on loopback. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DemoOptions } from '../cli/actions.ts'
import type { Terminal } from '../cli/terminal.ts'
import type { Clock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import { StartError } from '../errors.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { createLog } from '../logging.ts'
import type { DeferredPlugin, Plugin } from '../plugin.ts'
import type { WindowRecord } from '../record.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { createScreen, type Totals } from './screen.ts'
import { type DemoUpstream, startUpstream } from './upstream.ts'

export interface DemoParts {
  readonly plugins: readonly (Plugin | DeferredPlugin)[]
  readonly clock: Clock
  readonly version: string
}

const REFRESH = 1000

/** Resolves with the exit code when the time is up or Ctrl-C was pressed. */
export async function runDemo(options: DemoOptions, terminal: Terminal, parts: DemoParts): Promise<number> {
  const folder = options.data === undefined ? await mkdtemp(join(tmpdir(), 'sluice-demo-')) : undefined
  const data = options.data ?? join(folder ?? '.', 'data')
  const upstream = await startUpstream()
  try {
    const gateway = await startWithFreePorts(parts, data, upstream.port)
    try {
      await show(gateway, upstream, options, terminal, parts.clock)
    } finally {
      await gateway.stop()
    }
    return 0
  } finally {
    await upstream.stop()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}

async function startWithFreePorts(parts: DemoParts, data: string, upstream: number): Promise<Gateway> {
  try {
    return await start(parts, data, upstream, { mqtt: 1883, http: 8080 })
  } catch (error) {
    if (!(error instanceof StartError) || error.code !== 'SLUICE_PORT_IN_USE') throw error
    return start(parts, data, upstream, { mqtt: 0, http: 0 })
  }
}

async function start(
  parts: DemoParts,
  data: string,
  upstream: number,
  ports: { mqtt: number; http: number },
): Promise<Gateway> {
  const env = {
    SLUICE__DATA: JSON.stringify(data),
    SLUICE__GATEWAY__ID: 'demo',
    SLUICE__MQTT__LISTEN: `127.0.0.1:${ports.mqtt}`,
    SLUICE__HTTP__LISTEN: `127.0.0.1:${ports.http}`,
    SLUICE__WINDOWS: '{ per-device: { tumbling: 10s, by: [device], delay: 1s } }',
    SLUICE__UPSTREAMS: `{ demo: { http: { url: "http://127.0.0.1:${upstream}/" }, batch: { age: 1s } } }`,
  }
  const { clock, plugins, version } = parts
  const loaded = await loadConfig({ plugins, env, systemFile: '' })
  const log = await createLog(clock, { level: 'warn' })
  return startGateway({ loaded, clock, log, version })
}

async function show(
  gateway: Gateway,
  upstream: DemoUpstream,
  options: DemoOptions,
  terminal: Terminal,
  clock: Clock,
): Promise<void> {
  const { forMs, json } = options
  const began = clock.monotonic()
  const fleet = await startFleet(gateway.ports.mqtt as number, clock)
  const output = { isTTY: terminal.colour && !json, write: (text: string) => process.stdout.write(text) }
  const screen = createScreen(output, forMs === undefined ? undefined : forMs / 1000)
  const totals = () => totalsOf(gateway, upstream, fleet, (clock.monotonic() - began) / 1000)
  const unwatch = gateway.api.subscribe({ types: new Set(['window']) }, ({ data }) => {
    if (json) terminal.print(JSON.stringify({ event: 'window', ...data }))
    else screen.result(data as WindowRecord)
  })
  if (!json) terminal.print(greeting(gateway))
  const timer = clock.every(REFRESH, () => {
    if (json) terminal.print(JSON.stringify({ event: 'totals', ...totals() }))
    else screen.show(totals())
  })
  await interrupted(clock, forMs)
  timer.cancel()
  unwatch()
  await fleet.stop()
  if (json) terminal.print(JSON.stringify({ event: 'done', ...totals() }))
  else screen.done(totals())
}

function greeting(gateway: Gateway): string {
  const { mqtt, http } = gateway.ports
  return [
    `the gateway runs: MQTT on 127.0.0.1:${mqtt}, HTTP on http://127.0.0.1:${http}/`,
    `try: mosquitto_pub -p ${mqtt} -t telemetry/my-sensor -m '{"temperature": 21.5}'`,
    '',
  ].join('\n')
}

/** Resolves after `ms`, or at SIGINT or SIGTERM. */
function interrupted(clock: Clock, ms: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    // The process must not end for want of work: timers of the clock do not hold it, listeners do.
    const timer = ms === undefined ? undefined : clock.after(ms, () => end())
    const end = () => {
      timer?.cancel()
      process.removeListener('SIGINT', end)
      process.removeListener('SIGTERM', end)
      resolve()
    }
    process.on('SIGINT', end)
    process.on('SIGTERM', end)
  })
}

function totalsOf(gateway: Gateway, upstream: DemoUpstream, fleet: Fleet, seconds: number): Totals {
  const { stages } = gateway.api.numbers()
  const sum = (stage: string, pick: (numbers: (typeof stages)[number]) => number) =>
    stages.filter((one) => one.stage === stage).reduce((total, one) => total + pick(one), 0)
  const dead = Object.values(stages.find((one) => one.stage === 'decode')?.errors ?? {})
  return {
    seconds,
    devices: fleet.devices,
    readings: sum('decode', (one) => one.out),
    bytesIn: sum('ingest', (one) => one.bytes),
    windows: sum('window', (one) => one.out),
    waiting: sum('outbox', (one) => one.queue ?? 0),
    batches: upstream.seen.batches,
    records: upstream.seen.records,
    bytesUp: upstream.seen.bytes,
    dead: dead.reduce((total, count) => total + count, 0),
  }
}
