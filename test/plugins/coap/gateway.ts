/** The plugin as a gateway runs it, and devices that speak to it, over real sockets. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock } from '../../../gateway/clock.ts'
import type { Message } from '../../../gateway/message.ts'
import type { Emit, PluginContext, Settled } from '../../../gateway/plugin.ts'
import { createClient } from '../../../plugins/coap/client.ts'
import { createDtlsClient } from '../../../plugins/coap/dtls/client.ts'
import { coap } from '../../../plugins/coap/index.ts'
import type { Resource } from '../../../plugins/coap/resource.ts'
import { createServer } from '../../../plugins/coap/server.ts'
import { bindUdp } from '../../../plugins/coap/udp.ts'
import { quicker } from '../../support/clock.ts'

export const KEY = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
export const LOOPBACK = { host: '127.0.0.1', port: 0 }

export interface Taken {
  readonly message: Message
  readonly settled: Settled
}

/** A gateway's end of the plugin. */
export interface Gateway {
  readonly taken: Taken[]
  /** What to do with a message; default: durable at once. */
  take: (message: Message, settled: Settled) => boolean
  readonly port: number
  readonly dtlsPort: number
  readonly roles: ReturnType<typeof coap.create>
  readonly keyFile: string
  readonly warnings: string[]
  stop(): Promise<void>
}

export const quick = quicker(10)

/** @param dtls further options of the DTLS listener, which is there when there are keys */
export async function start(t: TestContext, options: object = {}, keys = '', dtls: object = {}): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-coap-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const keyFile = join(folder, 'keys')
  writeFileSync(keyFile, keys, { mode: 0o600 })
  const config = coap.config.parse({
    listen: '127.0.0.1:0',
    ...(keys !== '' && { dtls: { listen: '127.0.0.1:0', pskFile: keyFile, ...dtls } }),
    ...options,
  })
  const warnings: string[] = []
  const context: PluginContext = {
    name: 'coap',
    gateway: 'test',
    clock: quick,
    log: { debug() {}, info() {}, warn: (_fields, text) => void warnings.push(text), error() {} },
    metrics: { count() {}, gauge() {} },
    store: { get: () => undefined, set: async () => {}, delete: async () => {}, entries: () => [] },
    path: (relative) => relative,
  }
  const roles = coap.create(config, context)
  const stopper = new AbortController()
  const gateway = {
    taken: [] as Taken[],
    take: (_message: Message, settled: Settled) => {
      settled(null)
      return true
    },
    roles,
    keyFile,
    warnings,
  }
  const offer = (message: Message, settled: Settled) => {
    gateway.taken.push({ message, settled })
    return gateway.take(message, settled)
  }
  const emit: Emit = Object.assign(async () => {}, { offer, room: async () => {} })
  const running = roles.source?.run(emit, stopper.signal) ?? Promise.reject(new Error('no source'))
  const ports = await until(() => (roles.source?.ports?.().udp ? roles.source.ports() : undefined), running)
  const stop = async () => {
    stopper.abort()
    await running
  }
  t.after(stop)
  return Object.assign(gateway, { port: ports.udp as number, dtlsPort: ports.dtls ?? 0, stop })
}

/** Waits for something to be there, at most five seconds. */
export async function until<T>(look: () => T | undefined, other?: Promise<unknown>): Promise<T> {
  for (let i = 0; i < 1000; i++) {
    const found = look()
    if (found !== undefined) return found
    await Promise.race([systemClock.sleep(5), other ?? systemClock.sleep(5)])
  }
  throw new Error('it did not come')
}

/** A device: a client, and a server when it has resources. */
export async function device(t: TestContext, gateway: Gateway, resources: readonly Resource[] = []) {
  const udp = await bindUdp(LOOPBACK, 'device')
  const server = createServer({ clock: quick, resources })
  server.endpoint.attach(udp)
  const client = createClient({ clock: quick, endpoint: server.endpoint })
  t.after(async () => {
    server.close()
    await udp.close()
  })
  return { client, server, port: udp.port, gateway: udp.peer('127.0.0.1', gateway.port) }
}

/** A device that speaks DTLS. */
export async function secureDevice(t: TestContext, gateway: Gateway, identity: string, key = KEY) {
  const udp = await bindUdp(LOOPBACK, 'device')
  const dtls = createDtlsClient({ clock: quick, lower: udp })
  const server = createServer({ clock: quick, resources: [] })
  server.endpoint.attach(dtls)
  const client = createClient({ clock: quick, endpoint: server.endpoint })
  t.after(async () => {
    server.close()
    await dtls.close()
  })
  return { client, gateway: await dtls.connect(udp.peer('127.0.0.1', gateway.dtlsPort), { identity, key }) }
}
