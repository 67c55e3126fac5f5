/** Our way to devices that are servers themselves. Its sockets serve nothing: whoever asks them gets 4.04. */
import { lookup } from 'node:dns/promises'
import { NotConnectedError, reasonOf } from '../../gateway/errors.ts'
import type { Clock } from '../../gateway/plugin.ts'
import { type Client, createClient } from './client.ts'
import { createDtlsClient, type DtlsClient } from './dtls/client.ts'
import { createServer } from './server.ts'
import type { Peer } from './transport.ts'
import { bindUdp, type UdpTransport } from './udp.ts'

export interface DeviceAddress {
  /** coap://host[:port] or coaps://host[:port] */
  readonly url: string
  readonly identity: string | undefined
}

export interface Outbound {
  readonly client: Client
  /** The peer of a device; a session with it when the address says coaps. @throws NotConnectedError */
  peerOf(device: string, address: DeviceAddress, signal: AbortSignal): Promise<Peer>
  close(): Promise<void>
}

/** A socket for plain messages and one for DTLS. */
interface Sockets {
  readonly plain: UdpTransport
  readonly below: UdpTransport
  readonly secure: DtlsClient
}

export function createOutbound(clock: Clock, keyOf: (identity: string) => Buffer | undefined): Outbound {
  const sessions = new Map<string, Promise<Peer>>()
  const server = createServer({ clock, resources: [], gone: forget })
  const families = new Map<number, Promise<Sockets>>()

  function forget(peer: Peer): void {
    for (const [device, session] of sessions)
      session.then(
        (known) => {
          if (known === peer && sessions.get(device) === session) sessions.delete(device)
        },
        () => {},
      )
  }

  async function open(family: number): Promise<Sockets> {
    const host = family === 6 ? '::' : '0.0.0.0'
    const plain = await bindUdp({ host, port: 0 }, `out${family}`)
    const below = await bindUdp({ host, port: 0 }, `outs${family}`)
    const secure = createDtlsClient({ clock, lower: below, name: `out-dtls${family}` })
    server.endpoint.attach(plain)
    server.endpoint.attach(secure)
    return { plain, below, secure }
  }

  function socketsOf(family: number): Promise<Sockets> {
    const known = families.get(family) ?? open(family)
    families.set(family, known)
    return known
  }

  async function resolve(url: URL): Promise<{ address: string; family: number }> {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    try {
      return await lookup(host)
    } catch (cause) {
      throw new NotConnectedError('SLUICE_COAP', `cannot find the address of ${host}: ${reasonOf(cause)}`, { cause })
    }
  }

  async function connect(to: DeviceAddress, url: URL, signal: AbortSignal): Promise<Peer> {
    const key = to.identity === undefined ? undefined : keyOf(to.identity)
    if (to.identity === undefined || !key)
      throw new NotConnectedError('SLUICE_COAP', `there is no key for the identity to use with ${to.url}`)
    const { address, family } = await resolve(url)
    const { below, secure } = await socketsOf(family)
    return secure.connect(below.peer(address, Number(url.port || 5684)), { identity: to.identity, key }, signal)
  }

  return {
    client: createClient({ clock, endpoint: server.endpoint }),
    async peerOf(device, to, signal) {
      const url = new URL(to.url)
      if (url.protocol === 'coap:') {
        const { address, family } = await resolve(url)
        return (await socketsOf(family)).plain.peer(address, Number(url.port || 5683))
      }
      const session = sessions.get(device) ?? connect(to, url, signal)
      sessions.set(device, session)
      session.catch(() => {
        if (sessions.get(device) === session) sessions.delete(device)
      })
      return session
    },
    async close() {
      server.close()
      for (const sockets of families.values()) {
        const { plain, secure } = await sockets
        await plain.close()
        await secure.close()
      }
    },
  }
}
