/**
 * A CoAP source and commander over all configured listeners. LwM2M is this with more resources.
 *
 *   UDP ──────────────┐
 *                     ├─▶ server ─▶ telemetry ─▶ emit
 *   UDP ─▶ DTLS ──────┘        └──▶ command channels ◀─ commander
 *   devices ◀─▶ outbound ─▶ watch ─▶ emit
 */
import { reasonOf } from '../../gateway/errors.ts'
import type { Commander, Emit, PluginContext, Source } from '../../gateway/plugin.ts'
import { type Client, createClient } from './client.ts'
import { createCommands } from './command.ts'
import type { CoapConfig } from './config.ts'
import { createDtlsServer, type DtlsServer } from './dtls/server.ts'
import { type Keys, openKeys } from './keys.ts'
import { createOutbound, type Outbound } from './outbound.ts'
import type { Resource } from './resource.ts'
import { createRights, type Grant, type Rights } from './rights.ts'
import { createServer, type Server } from './server.ts'
import { createIntake, type Intake, telemetryResources } from './telemetry.ts'
import type { DatagramTransport, Peer } from './transport.ts'
import { bindUdp, type UdpTransport } from './udp.ts'
import { watch } from './watch.ts'

/** What is there while the source runs. */
export interface Running {
  readonly server: Server
  /** Sends requests to peers that have spoken to the server, the way they came. */
  readonly client: Client
  readonly intake: Intake
  readonly rights: Rights
  /** A correspondent over plain UDP by its key, as it was before a restart; undefined when its listener is no more. */
  plainPeer(key: string): Peer | undefined
}

/** What a protocol on top of CoAP adds. */
export interface Extension {
  readonly resources?: readonly Resource[]
  /** Everything listens. Returns what stops the extension's own work. */
  started?(running: Running): () => void
  /** A DTLS session ended. */
  gone?(peer: Peer): void
}

export interface CoapService {
  readonly source: Source
  readonly commander: Commander
  /** Undefined while the source does not run. */
  running(): Running | undefined
}

interface Listeners {
  readonly plain: readonly UdpTransport[]
  readonly secure: readonly DtlsServer[]
}

const GAUGES_EVERY = 5000
const COMPLAIN_EVERY = 10_000

export function createCoapService(config: CoapConfig, context: PluginContext, extension: Extension = {}): CoapService {
  const { clock, log, metrics } = context
  const count = (event: string) => metrics.count(event)
  let running: Running | undefined
  let emit: Emit | undefined
  let keys: Keys | undefined
  let outbound: Outbound | undefined
  let ports: Record<string, number> = {}
  /** Handshakes that failed and were not told of. */
  let failures = 0
  let quietUntil = 0
  const grantOf = (identity: string): Grant | undefined => keys?.grantOf(identity)
  const rights = createRights(grantOf)
  const commands = createCommands({ devices: config.devices, rights, client: () => outbound?.client, peerOf })

  async function peerOf(device: string, signal: AbortSignal): Promise<Peer> {
    const known = config.devices[device]
    if (!known || !outbound) throw new Error(`device ${device} has no address`)
    return outbound.peerOf(device, { url: known.url, identity: known.identity }, signal)
  }

  async function listen(): Promise<Listeners> {
    const plain: UdpTransport[] = []
    const secure: DtlsServer[] = []
    try {
      for (const [i, address] of config.listen.entries()) plain.push(await bindUdp(address, `udp${i}`))
      for (const [i, address] of (config.dtls?.listen ?? []).entries())
        secure.push(secured(await bindUdp(address, `dtls${i}`), `dtls${i}`))
      return { plain, secure }
    } catch (error) {
      for (const transport of [...plain, ...secure]) await transport.close()
      throw error
    }
  }

  /** Anybody can fail at it as often as they like: the log says so now and then. */
  function complain(handshake: object): void {
    const now = clock.monotonic()
    failures++
    if (now < quietUntil) return
    log.info({ ...handshake, failures }, 'a DTLS handshake failed')
    quietUntil = now + COMPLAIN_EVERY
    failures = 0
  }

  function secured(lower: DatagramTransport, name: string): DtlsServer {
    const server = createDtlsServer({
      clock,
      lower,
      name,
      keyOf: (identity) => keys?.keyOf(identity),
      maxSessions: config.dtls?.sessions ?? 1,
      connectionId: config.dtls?.connectionId ?? true,
      count,
      refused: ({ address, port }, identity, reason) => complain({ address, port, identity, reason }),
    })
    keys?.onChange((stillHolds) => server.endSessions(stillHolds))
    return server
  }

  function watchDevices(intake: Intake, signal: AbortSignal): Promise<void>[] {
    return Object.entries(config.devices).flatMap(([device, { observe, silence }]) =>
      observe.map(({ path, stream }) => {
        const client = (outbound as Outbound).client
        return watch({ device, path, stream, silence }, { clock, client, intake, log, peerOf }, signal)
      }),
    )
  }

  async function run(to: Emit, signal: AbortSignal): Promise<void> {
    const own = new AbortController()
    keys = config.dtls && (await openKeys(context.path(config.dtls.pskFile), clock, log))
    const { plain, secure } = await listen().catch((error: unknown) => {
      keys?.close()
      throw error
    })
    emit = to
    const intake = createIntake(clock, config.answer, () => emit, count)
    const server = createServer({
      clock,
      resources: [...telemetryResources(intake, rights), ...commands.resources, ...(extension.resources ?? [])],
      count,
      failed: (error) => log.warn({ error: reasonOf(error) }, 'a request failed'),
      gone: (peer) => extension.gone?.(peer),
    })
    for (const transport of [...plain, ...secure]) server.endpoint.attach(transport)
    outbound = createOutbound(clock, (identity) => keys?.keyOf(identity))
    running = {
      server,
      client: createClient({ clock, endpoint: server.endpoint }),
      intake,
      rights,
      plainPeer: (key) => plainPeer(plain, key),
    }
    ports = portsOf(plain, secure)
    const gauges = clock.every(GAUGES_EVERY, () => {
      metrics.gauge('pending', intake.pending)
      metrics.gauge('observers', server.observers)
      metrics.gauge(
        'dtls_sessions_open',
        secure.reduce((sum, s) => sum + s.sessions, 0),
      )
    })
    const stopExtension = extension.started?.(running)
    const watching = watchDevices(intake, own.signal)
    await aborted(signal)
    own.abort()
    gauges.cancel()
    stopExtension?.()
    emit = undefined
    running = undefined
    ports = {}
    server.close()
    intake.close()
    keys?.close()
    await Promise.all([...watching, outbound.close(), ...[...plain, ...secure].map((t) => t.close())])
    outbound = undefined
  }

  return {
    source: { run, ports: () => ports },
    commander: commands,
    running: () => running,
  }
}

/** Keys are `udp{n}|address|port`, see `udp.ts`. */
function plainPeer(plain: readonly UdpTransport[], key: string): Peer | undefined {
  const [name = '', address = '', port = ''] = key.split('|')
  const transport = plain.find((_, i) => `udp${i}` === name)
  return address === '' || port === '' ? undefined : transport?.peer(address, Number(port))
}

function portsOf(plain: readonly DatagramTransport[], secure: readonly DatagramTransport[]): Record<string, number> {
  return { ...(plain[0] && { udp: plain[0].port }), ...(secure[0] && { dtls: secure[0].port }) }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
