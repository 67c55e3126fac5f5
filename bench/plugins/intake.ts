/** Telemetry in over AMQP 1.0 and ZeroMQ: the whole gateway, against a bare receiver where there is one. */
import { spawn } from 'node:child_process'
import { bundle, cpuSeconds, lineOf, type Running, runJson, startSluice, stopper, temporaryFolder } from '../process.ts'
import type { AmqpLoad } from './amqp-load.ts'
import type { ZeromqLoad } from './zeromq-load.ts'

export interface Intake {
  /** Readings per second until all were taken. */
  readonly rate: number
  /** CPU µs of the receiver per reading. */
  readonly cpu: number
  readonly lost: number
}

interface Sent {
  readonly sent: number
  readonly seconds: number
}

const DEVICES = 5000

function config(source: object): object {
  return {
    mqtt: { listen: '127.0.0.1:0' },
    http: { listen: '127.0.0.1:0' },
    sources: { under_test: source },
    decode: [{ topic: 'telemetry/{device}', time: 'event_time', exclude: ['deviceid', 'note'] }],
    windows: { 'per-device': { tumbling: '10s', by: ['device'], delay: '2s' } },
    log: { level: 'warn' },
  }
}

async function decoded(gateway: Running): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.ports.http}/api/audit`)
  const { sources } = (await response.json()) as { sources: { source: string; decoded: number }[] }
  return sources.find(({ source }) => source === 'under_test')?.decoded ?? 0
}

async function measure(receiver: Running, script: string, load: object): Promise<Intake> {
  const folder = temporaryFolder()
  const pid = receiver.process.pid as number
  const before = cpuSeconds(pid)
  const { sent, seconds } = await runJson<Sent>(bundle(script, folder.path), load)
  const written = performance.now()
  let taken = sent
  if (receiver.ports.http !== undefined) {
    taken = await decoded(receiver)
    // What the kernel took the gateway may not have read yet.
    for (let tries = 0; taken < sent && tries < 500; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      taken = await decoded(receiver)
    }
  }
  const rate = sent / (seconds + (performance.now() - written) / 1000)
  const result = { rate, cpu: ((cpuSeconds(pid) - before) * 1e6) / sent, lost: sent - taken }
  await receiver.stop()
  folder.remove()
  return result
}

function load(messages: number): Omit<ZeromqLoad & AmqpLoad, 'port'> {
  return { senders: 10, messages, devices: DEVICES, start: Date.now() - 3_600_000, step: 20 }
}

export async function measureZeromq(messages: number, durability: 'none' | 'fsync'): Promise<Intake> {
  const gateway = await startSluice(config({ zeromq: { pull: 'tcp://127.0.0.1:0' }, durability }))
  return measure(gateway, 'plugins/zeromq-load.ts', { port: gateway.ports.under_test, ...load(messages) })
}

export async function measureAmqp(messages: number, durability: 'none' | 'fsync'): Promise<Intake> {
  const gateway = await startSluice(config({ amqp: { listen: '127.0.0.1:0' }, durability }))
  return measure(gateway, 'plugins/amqp-load.ts', { port: gateway.ports.under_test, ...load(messages) })
}

/** The same load into a receiver that does nothing but accept. */
export async function measureBareAmqp(messages: number): Promise<Intake> {
  const folder = temporaryFolder()
  const child = spawn(process.execPath, [bundle('plugins/amqp-bare.ts', folder.path)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { ports } = JSON.parse(await lineOf(child, (line) => line.includes('"ready"'))) as Running
  const bare = { process: child, ports, stop: stopper(child, folder) }
  return measure(bare, 'plugins/amqp-load.ts', { port: ports.amqp, ...load(messages) })
}
