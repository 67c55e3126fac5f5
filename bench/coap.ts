/**
 * CoAP and LwM2M: the whole gateway (decode, 10 s windows, the journal) against libcoap's own server, which keeps the
 * last body and computes nothing; what DTLS adds; sessions and registrations by the thousands.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Arrived, Fleet, Updated } from './coap-fleet.ts'
import type { CoapLoad, CoapSent } from './coap-load.ts'
import type { Measured } from './ingest.ts'
import { bundle, cpuSeconds, memory, type Running, runJson, startSluice, temporaryFolder } from './process.ts'

export interface CoapScenario {
  readonly messages: number
  readonly confirmable: boolean
  readonly durability: 'fsync' | 'interval'
  readonly secure?: boolean
  /** Of so many requests one is answered; the others say that they want no answer. */
  readonly answerEvery?: number
}

const KEY = '00112233445566778899aabbccddeeff'
const SOCKETS = 50
const WINDOW = 20
/** By then V8 has given back what filling the tables took, ms. */
const SETTLED = 15_000
const DEVICES = 10_000

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function loadOf(port: number, scenario: CoapScenario): CoapLoad {
  const { messages, confirmable, secure = false, answerEvery = 1 } = scenario
  const event = { devices: 5000, start: Date.now() - 3_600_000, step: 20 }
  const base = { port, sockets: SOCKETS, messages, confirmable, answerEvery, window: WINDOW, ...event }
  return secure ? { ...base, key: KEY } : base
}

async function measured(process: ChildProcess, generator: string, load: CoapLoad): Promise<Measured> {
  const pid = process.pid as number
  const before = cpuSeconds(pid)
  const { sent, failed, seconds, cpu, p50, p99 } = await runJson<CoapSent>(generator, load)
  const spent = ((cpuSeconds(pid) - before) * 1e6) / sent
  const peakMemory = memory(pid).peak
  return { rate: sent / seconds, cpu: spent, lost: failed, peakMemory, generatorCpu: cpu / seconds, p50, p99 }
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

/** libcoap's example server, which takes a PUT of a body and answers 2.04. */
export async function measureLibcoap({ messages, confirmable }: CoapScenario): Promise<Measured> {
  const folder = temporaryFolder()
  const port = await freeUdpPort()
  const server = spawn('coap-server-notls', ['-A', '127.0.0.1', '-p', String(port), '-v', '0'], { stdio: 'ignore' })
  await pause(300)
  const load = loadOf(port, { messages, confirmable, durability: 'interval' })
  const result = await measured(server, bundle('coap-load.ts', folder.path), { ...load, put: 'example_data' })
  server.kill('SIGTERM')
  folder.remove()
  return result
}

async function startGateway(folder: string, durability: string, kind: 'coap' | 'lwm2m' = 'coap'): Promise<Running> {
  const pskFile = join(folder, 'keys')
  writeFileSync(pskFile, `bench:${KEY}\n`, { mode: 0o600 })
  const options = { listen: '127.0.0.1:0', dtls: { listen: '127.0.0.1:0', pskFile, sessions: 2 * DEVICES } }
  return startSluice({
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    sources: { [kind]: { [kind]: options, durability } },
    decode: [{ topic: 'telemetry/{device}', time: 'event_time', exclude: ['deviceid', 'note'] }],
    windows: { 'per-device': { tumbling: '10s', by: ['device'], delay: '2s' } },
    log: { level: 'warn' },
  })
}

interface Audit {
  readonly sources: readonly { readonly source: string; readonly decoded: number }[]
}

async function decoded(gateway: Running): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.ports.http}/api/audit`)
  const { sources } = (await response.json()) as Audit
  return sources.find(({ source }) => source === 'coap')?.decoded ?? 0
}

/** Into the journal of a whole gateway: what was not decoded counts as lost. */
export async function measureCoap(scenario: CoapScenario): Promise<Measured> {
  const folder = temporaryFolder()
  const gateway = await startGateway(folder.path, scenario.durability)
  const port = gateway.ports[scenario.secure ? 'coap.dtls' : 'coap'] as number
  const result = await measured(gateway.process, bundle('coap-load.ts', folder.path), loadOf(port, scenario))
  const lost = scenario.messages - (await decoded(gateway))
  await gateway.stop()
  folder.remove()
  return { ...result, lost }
}

/** Devices in a process of their own, and the lines it prints. */
function startFleet(script: string, fleet: Fleet) {
  const child = spawn(process.execPath, [script, JSON.stringify(fleet)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return {
    next: async <T>() => JSON.parse((await lines.next()).value as string) as T,
    go: () => void child.stdin.write('\n'),
    ended: new Promise((resolve) => child.once('exit', resolve)),
  }
}

/** Handshakes of as many devices, what one costs, and what a session takes. */
export async function measureSessions(): Promise<string> {
  const folder = temporaryFolder()
  const gateway = await startGateway(folder.path, 'interval')
  const pid = gateway.process.pid as number
  await pause(SETTLED)
  const before = memory(pid).now
  const cpu = cpuSeconds(pid)
  const port = gateway.ports['coap.dtls'] as number
  const fleet = startFleet(bundle('coap-fleet.ts', folder.path), { kind: 'sessions', port, count: DEVICES, key: KEY })
  const { count, seconds } = await fleet.next<Arrived>()
  const spent = ((cpuSeconds(pid) - cpu) * 1000) / count
  await pause(SETTLED)
  const size = ((memory(pid).now - before) * 1024) / count
  fleet.go()
  await fleet.ended
  await gateway.stop()
  folder.remove()
  return `${count} DTLS sessions: ${(count / seconds).toFixed(0)} PSK handshakes/s at ${spent.toFixed(2)} CPU-ms each, ${size.toFixed(1)} KB per session`
}

/** Registrations of as many LwM2M clients, each with one value observed, and updates of them. */
export async function measureRegistrations(): Promise<string> {
  const folder = temporaryFolder()
  const gateway = await startGateway(folder.path, 'interval', 'lwm2m')
  const pid = gateway.process.pid as number
  await pause(SETTLED)
  const before = memory(pid).now
  const port = gateway.ports.lwm2m as number
  const fleet = startFleet(bundle('coap-fleet.ts', folder.path), {
    kind: 'clients',
    port,
    count: DEVICES,
    rate: 1000,
    seconds: 10,
  })
  const { count, seconds } = await fleet.next<Arrived>()
  await pause(SETTLED)
  const size = ((memory(pid).now - before) * 1024) / count
  const cpu = cpuSeconds(pid)
  fleet.go()
  const updated = await fleet.next<Updated>()
  const share = ((cpuSeconds(pid) - cpu) / updated.seconds) * 100
  await fleet.ended
  await gateway.stop()
  folder.remove()
  const rate = (updated.answered / updated.seconds).toFixed(0)
  return [
    `${count} LwM2M clients: registered and observed at ${(count / seconds).toFixed(0)}/s, ${size.toFixed(1)} KB each in all`,
    `their updates: ${rate}/s answered of 1000/s, p99 ${updated.p99?.toFixed(0)} ms, ${share.toFixed(0)} % of a core`,
  ].join('\n')
}
