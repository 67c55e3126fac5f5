/** `sluice demo`: a gateway with a simulated fleet and an embedded upstream, all in this process and on loopback. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { DemoOptions } from '../cli/actions.ts'
import { paintFor, type Terminal } from '../cli/terminal.ts'
import type { Clock, Timer } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import { StartError } from '../errors.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { createLog } from '../logging.ts'
import type { DeferredPlugin, Plugin } from '../plugin.ts'
import type { AlertRecord, WindowRecord } from '../record.ts'
import { type Fleet, house, startFleet } from './fleet.ts'
import { createScreen, type Totals } from './screen.ts'
import { demoConfig, type Setting } from './setting.ts'
import { type DemoUpstream, startUpstream } from './upstream.ts'

export interface DemoParts {
  readonly plugins: readonly (Plugin | DeferredPlugin)[]
  readonly clock: Clock
  readonly version: string
}

const REFRESH = 1000

/** What somebody in the house does at first, s after the start, so that every outcome of a command is seen. */
const ERRANDS = [
  { at: 2, device: 'lamp-kitchen', command: 'power', args: { on: true } },
  { at: 3, device: 'shutter-bedroom', command: 'move', args: { to: 'open' } },
  { at: 4, device: 'boiler-1', command: 'set', args: { level: 75 } },
  { at: 5, device: 'gate-1', command: 'open' },
  { at: 6, device: 'lamp-garden', command: 'power', args: { on: true } },
  { at: 8, device: 'lamp-living', command: 'dim', args: { level: 45 } },
] as const

/** Resolves with the exit code when the time is up or Ctrl-C was pressed. */
export async function runDemo(options: DemoOptions, terminal: Terminal, parts: DemoParts): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-demo-'))
  const upstream = await startUpstream(parts.clock)
  try {
    const data = options.data === undefined ? join(folder, 'data') : resolve(options.data)
    const things = house()
    const setting = { data, upstream: upstream.port, mqtt: 1883, http: 8080 }
    const gateway = await startWithFreePorts(parts, join(folder, 'sluice.yaml'), setting)
    try {
      // Not in the config, so that they can be changed on the page.
      await Promise.all(things.map(({ id, description }) => gateway.api.describeDevice(id, description)))
      const fleet = await startFleet(things, gateway.ports.mqtt as number, parts.clock)
      await show({ gateway, upstream, fleet, options, terminal, clock: parts.clock })
    } finally {
      await gateway.stop()
    }
    return 0
  } finally {
    await upstream.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function startWithFreePorts(parts: DemoParts, file: string, setting: Setting): Promise<Gateway> {
  try {
    return await start(parts, file, setting)
  } catch (error) {
    if (!(error instanceof StartError) || error.code !== 'SLUICE_PORT_IN_USE') throw error
    return start(parts, file, { ...setting, mqtt: 0, http: 0 })
  }
}

async function start({ clock, plugins, version }: DemoParts, file: string, setting: Setting): Promise<Gateway> {
  await writeFile(file, demoConfig(setting))
  const loaded = await loadConfig({ plugins, file, env: {} })
  const log = await createLog(clock, { level: 'error' })
  return startGateway({ loaded, clock, log, version })
}

interface Show {
  readonly gateway: Gateway
  readonly upstream: DemoUpstream
  readonly fleet: Fleet
  readonly options: DemoOptions
  readonly terminal: Terminal
  readonly clock: Clock
}

async function show({ gateway, upstream, fleet, options, terminal, clock }: Show): Promise<void> {
  const { forMs, json } = options
  const began = clock.monotonic()
  const output = {
    columns: terminal.colour ? (process.stdout.columns ?? 120) : undefined,
    print: terminal.print,
    write: (text: string) => void process.stdout.write(text),
  }
  const screen = createScreen(output, paintFor(terminal), forMs === undefined ? undefined : forMs / 1000)
  const totals = () => totalsOf(gateway, upstream, fleet, (clock.monotonic() - began) / 1000)
  const unwatch = gateway.api.subscribe({ types: new Set(['window', 'alert']) }, ({ type, data }) => {
    if (json) terminal.print(JSON.stringify({ event: type, ...data }))
    else if (type === 'window') screen.result(data as WindowRecord)
    else screen.alert(data as AlertRecord)
  })
  if (!json) terminal.print(greeting(gateway))
  const timer = clock.every(REFRESH, () => {
    if (json) terminal.print(JSON.stringify({ event: 'totals', ...totals() }))
    else screen.show(totals())
  })
  const errands = runErrands(gateway, clock)
  await interrupted(clock, forMs)
  for (const one of [timer, ...errands]) one.cancel()
  unwatch()
  await fleet.stop()
  if (json) terminal.print(JSON.stringify({ event: 'done', ...totals() }))
  else screen.done(totals())
}

function greeting(gateway: Gateway): string {
  const { mqtt, http } = gateway.ports
  return [
    'A gateway with a simulated house, a rack of modems and an upstream. Send it a reading of your own:',
    `  mosquitto_pub -p ${mqtt} -t telemetry/my-sensor -m '{"temperature": 21.5}'`,
    'See every reading, steer every device:',
    `  http://127.0.0.1:${http}/`,
    '',
  ].join('\n')
}

function runErrands(gateway: Gateway, clock: Clock): Timer[] {
  return ERRANDS.map(({ at, ...request }) =>
    // What becomes of it is what people look at.
    clock.after(at * 1000, () => void gateway.api.sendCommand(request, 'demo').catch(() => undefined)),
  )
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
    bytesIn: sum('ingest', (one) => one.bytes ?? 0),
    dead: dead.reduce((total, count) => total + count, 0),
    windows: sum('window', (one) => one.out),
    waiting: sum('outbox', (one) => one.queue ?? 0),
    away: upstream.away,
    batches: upstream.seen.batches,
    records: upstream.seen.records,
    bytesUp: upstream.seen.bytes,
  }
}
