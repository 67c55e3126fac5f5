/**
 * Telemetry in: Sluice with everything switched on (decode, 10 s windows, batches to a mosquitto upstream, the journal as
 * configured) against Debian's mosquitto with one QoS 0 subscriber that computes nothing. A run is over when everything
 * that was sent has been read.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  bundle,
  cpuSeconds,
  memory,
  runJson,
  startMosquitto,
  startSluice,
  temporaryFolder,
  writtenBytes,
} from './process.ts'

export interface Measured {
  /** Messages per second, from the first written to the last read. */
  readonly rate: number
  /** CPU µs of the server per message. */
  readonly cpu: number
  readonly lost: number
  readonly peakMemory: number
  readonly generatorCpu: number
  readonly p50: number | null
  readonly p99: number | null
  readonly devicePerPayload?: number
  /** Bucket bound of the 99th percentile from a window's closing to its record being ready to send, ms. */
  readonly ready?: number | null
}

interface Sent {
  readonly sent: number
  readonly seconds: number
  readonly cpu: number
  readonly p50: number | null
  readonly p99: number | null
}

export interface Scenario {
  readonly messages: number
  readonly qos: 0 | 1
  readonly durability: 'fsync' | 'interval' | 'none'
  readonly rate?: number
  /** Event time between two readings of a device, ms; by default as it passes at the measured rates. */
  readonly step?: number
  /** Of the config. */
  readonly rules?: object
  /** Of MQTT; default 4, which is 3.1.1. */
  readonly version?: 4 | 5
  /** See `Load`; default 0. */
  readonly warmUp?: number
}

const CONNECTIONS = 50
const DEVICES = 5000

function load(port: number, scenario: Scenario): object {
  const { messages, qos, rate = 0, step = 20, version = 4, warmUp = 0 } = scenario
  return {
    port,
    connections: CONNECTIONS,
    messages,
    qos,
    devices: DEVICES,
    pipeline: 100,
    rate,
    start: Date.now() - 3_600_000,
    step,
    version,
    warmUp,
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => child.stdout?.once('data', (chunk) => resolve(String(chunk))))
}

export async function measureMosquitto(scenario: Scenario): Promise<Measured> {
  const folder = temporaryFolder()
  const [generator, subscriber] = [bundle('load.ts', folder.path), bundle('subscriber.ts', folder.path)]
  const broker = await startMosquitto()
  const pid = broker.process.pid as number
  const counter = spawn(
    process.execPath,
    [subscriber, JSON.stringify({ port: broker.ports.mqtt, messages: scenario.messages })],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  await firstLine(counter)
  const done = firstLine(counter)
  const before = cpuSeconds(pid)
  const began = Date.now()
  const sent = await runJson<Sent>(generator, load(broker.ports.mqtt as number, scenario))
  const read = JSON.parse(await done) as { count: number; at: number; seconds: number }
  const result = {
    rate: sent.sent / Math.max(sent.seconds, read.seconds),
    cpu: ((cpuSeconds(pid) - before) * 1e6) / sent.sent,
    lost: sent.sent - read.count,
    peakMemory: memory(pid).peak,
    generatorCpu: sent.cpu / ((Date.now() - began) / 1000),
    p50: sent.p50,
    p99: sent.p99,
  }
  await broker.stop()
  folder.remove()
  return result
}

interface Audit {
  readonly sources: readonly { readonly source: string; readonly in: number; readonly decoded: number }[]
}

async function readings(port: number): Promise<{ in: number; decoded: number }> {
  const response = await fetch(`http://127.0.0.1:${port}/api/audit`)
  const audit = (await response.json()) as Audit
  return audit.sources.find((source) => source.source === 'mqtt') ?? { in: 0, decoded: 0 }
}

interface StatusPage {
  readonly stages: readonly { readonly stage: string; readonly p99Ms?: number }[]
}

async function readyWithin(port: number): Promise<number | null> {
  const response = await fetch(`http://127.0.0.1:${port}/api/status`)
  const { stages } = (await response.json()) as StatusPage
  return stages.find(({ stage }) => stage === 'outbox')?.p99Ms ?? null
}

export function sluiceConfig(scenario: Scenario, upstream: number): object {
  return {
    mqtt: { listen: '127.0.0.1:0', durability: scenario.durability },
    http: { listen: '127.0.0.1:0' },
    decode: [{ topic: 'telemetry/{device}', time: 'event_time', exclude: ['deviceid', 'note'] }],
    windows: { 'per-device': { tumbling: '10s', by: ['device'], delay: '2s' } },
    upstreams: { cloud: { mqtt: { url: `mqtt://127.0.0.1:${upstream}` } } },
    ...(scenario.rules ? { rules: scenario.rules } : {}),
    log: { level: 'warn' },
  }
}

export async function measureSluice(scenario: Scenario): Promise<Measured> {
  const folder = temporaryFolder()
  const generator = bundle('load.ts', folder.path)
  const upstream = await startMosquitto()
  const gateway = await startSluice(sluiceConfig(scenario, upstream.ports.mqtt as number))
  const pid = gateway.process.pid as number
  const before = cpuSeconds(pid)
  const bytes = writtenBytes(pid)
  const began = performance.now()
  const sent = await runJson<Sent>(generator, load(gateway.ports.mqtt as number, scenario))
  const overhead = (performance.now() - began) / 1000 - sent.seconds
  let seen = await readings(gateway.ports.http as number)
  for (let quiet = 0; seen.in < sent.sent && quiet < 100; ) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    const next = await readings(gateway.ports.http as number)
    quiet = next.in === seen.in ? quiet + 1 : 0
    seen = next
  }
  const seconds = (performance.now() - began) / 1000 - overhead
  const result = {
    rate: sent.sent / seconds,
    cpu: ((cpuSeconds(pid) - before) * 1e6) / sent.sent,
    lost: sent.sent - seen.decoded,
    peakMemory: memory(pid).peak,
    generatorCpu: sent.cpu / sent.seconds,
    p50: sent.p50,
    p99: sent.p99,
    ready: await readyWithin(gateway.ports.http as number),
    devicePerPayload: (writtenBytes(pid) - bytes) / (sent.sent * 200),
  }
  await gateway.stop()
  await upstream.stop()
  folder.remove()
  return result
}
