/** The plugin as a gateway runs it, and LwM2M clients that speak to it, over real sockets of this machine. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Message } from '../../../gateway/message.ts'
import type { Clock, Emit, PluginContext, PluginStore, Roles, Settled } from '../../../gateway/plugin.ts'
import { type Client, createClient } from '../../../plugins/coap/client.ts'
import { CREATED, POST } from '../../../plugins/coap/codes.ts'
import { createDtlsClient } from '../../../plugins/coap/dtls/client.ts'
import { texts } from '../../../plugins/coap/options.ts'
import type { Resource } from '../../../plugins/coap/resource.ts'
import { createServer, type Server } from '../../../plugins/coap/server.ts'
import type { Peer } from '../../../plugins/coap/transport.ts'
import { bindUdp } from '../../../plugins/coap/udp.ts'
import { lwm2m } from '../../../plugins/lwm2m/index.ts'
import { KEY, LOOPBACK, quick, until } from '../coap/gateway.ts'
import { memoryStore } from '../contract.ts'

export { KEY, until }

export interface Taken {
  readonly message: Message
  readonly settled: Settled
}

export interface Gateway {
  readonly taken: Taken[]
  /** What becomes of a message; at first it is durable at once. */
  take: (message: Message, settled: Settled) => boolean
  readonly port: number
  readonly dtlsPort: number
  readonly roles: Roles
  /** Bodies taken so far, read as JSON. */
  bodies(): unknown[]
  stop(): Promise<void>
}

export interface Setting {
  readonly options?: object
  readonly store?: PluginStore
  readonly clock?: Clock
  readonly keys?: string
}

export async function start(t: TestContext, setting: Setting = {}): Promise<Gateway> {
  const { options = {}, store = memoryStore(), clock = quick, keys = '' } = setting
  const folder = mkdtempSync(join(tmpdir(), 'sluice-lwm2m-'))
  const keyFile = join(folder, 'keys')
  writeFileSync(keyFile, keys, { mode: 0o600 })
  const config = lwm2m.config.parse({
    listen: '127.0.0.1:0',
    ...(keys !== '' && { dtls: { listen: '127.0.0.1:0', pskFile: keyFile } }),
    ...options,
  })
  const quiet = () => {}
  const context: PluginContext = {
    name: 'lwm2m',
    gateway: 'test',
    clock,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    metrics: { count: quiet, gauge: quiet },
    store,
    path: (relative) => relative,
  }
  const roles = lwm2m.create(config, context)
  const stopper = new AbortController()
  const gateway = {
    taken: [] as Taken[],
    take: (_message: Message, settled: Settled) => {
      settled(null)
      return true
    },
    roles,
    bodies: () => gateway.taken.map(({ message }) => JSON.parse(Buffer.from(message.payload).toString()) as unknown),
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
    rmSync(folder, { recursive: true, force: true })
  }
  t.after(stop)
  return Object.assign(gateway, { port: ports.udp as number, dtlsPort: ports.dtls ?? 0, stop })
}

/** A LwM2M client. */
export interface Device {
  readonly client: Client
  readonly server: Server
  gateway: Peer
  /** Where it is registered. */
  location: string
  register(query: readonly string[], links: string): Promise<number>
  update(query?: readonly string[], links?: string): Promise<number>
  /** It hears and says nothing more. */
  close(): Promise<void>
}

function deviceOn(server: Server, gateway: Peer, close: () => Promise<void>): Device {
  const client = createClient({ clock: quick, endpoint: server.endpoint })
  const device: Device = {
    client,
    server,
    gateway,
    location: '',
    close,
    async register(query, links) {
      const answer = await client.request(device.gateway, {
        code: POST,
        path: 'rd',
        query,
        contentFormat: 40,
        payload: Buffer.from(links),
      })
      if (answer.code === CREATED) device.location = texts(answer.options, 8).join('/')
      return answer.code
    },
    async update(query = [], links) {
      const payload = links === undefined ? {} : { contentFormat: 40, payload: Buffer.from(links) }
      return (await client.request(device.gateway, { code: POST, path: device.location, query, ...payload })).code
    },
  }
  return device
}

export async function device(t: TestContext, gateway: Gateway, resources: readonly Resource[] = []): Promise<Device> {
  const udp = await bindUdp(LOOPBACK, 'device')
  const server = createServer({ clock: quick, resources })
  server.endpoint.attach(udp)
  const close = async () => {
    server.close()
    await udp.close()
  }
  t.after(close)
  return deviceOn(server, udp.peer('127.0.0.1', gateway.port), close)
}

export async function secureDevice(
  t: TestContext,
  gateway: Gateway,
  identity: string,
  resources: readonly Resource[] = [],
): Promise<Device> {
  const udp = await bindUdp(LOOPBACK, 'device')
  const dtls = createDtlsClient({ clock: quick, lower: udp })
  const server = createServer({ clock: quick, resources })
  server.endpoint.attach(dtls)
  const close = async () => {
    server.close()
    await dtls.close()
  }
  t.after(close)
  return deviceOn(server, await dtls.connect(udp.peer('127.0.0.1', gateway.dtlsPort), { identity, key: KEY }), close)
}
