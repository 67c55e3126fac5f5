/** A DTLS server and client on a network in memory. */
import { createDtlsClient, type DtlsClient } from '../../../../plugins/coap/dtls/client.ts'
import { createDtlsServer, type DtlsServer, type DtlsServerOptions } from '../../../../plugins/coap/dtls/server.ts'
import type { DatagramTransport, Peer } from '../../../../plugins/coap/transport.ts'
import { FakeClock } from '../../../support/clock.ts'
import { createNetwork, type Network, type Node } from '../network.ts'

export const KEY = Buffer.from('00112233445566778899aabbccddeeff', 'hex')

export interface Heard {
  readonly data: string
  readonly peer: Peer
}

export interface Setup {
  readonly clock: FakeClock
  readonly network: Network
  readonly server: DtlsServer
  readonly heard: Heard[]
  readonly gone: Peer[]
  readonly moved: Peer[]
  readonly counts: Map<string, number>
  /** A client at an address; its answers are collected. */
  client(address: string): { client: DtlsClient; node: Node; server: Peer; heard: string[]; gone: Peer[] }
  /** Lets time pass until the promise settles. */
  settled<T>(promise: Promise<T>): Promise<T>
}

export function setup(more: Partial<DtlsServerOptions> = {}): Setup {
  const clock = new FakeClock()
  const network = createNetwork()
  const heard: Heard[] = []
  const gone: Peer[] = []
  const moved: Peer[] = []
  const counts = new Map<string, number>()
  const server = createDtlsServer({
    clock,
    lower: network.node('gateway'),
    keyOf: (identity) => (identity.startsWith('sensor') ? KEY : undefined),
    count: (event) => void counts.set(event, (counts.get(event) ?? 0) + 1),
    ...more,
  })
  server.attach({
    datagram: (data, peer) => void heard.push({ data: data.toString(), peer }),
    gone: (peer) => void gone.push(peer),
    moved: (peer) => void moved.push(peer),
  })
  return {
    clock,
    network,
    server,
    heard,
    gone,
    moved,
    counts,
    client(address) {
      const node = network.node(address)
      const client = createDtlsClient({ clock, lower: node })
      const answers: string[] = []
      const ended: Peer[] = []
      client.attach({
        datagram: (data) => void answers.push(data.toString()),
        gone: (peer) => void ended.push(peer),
        moved() {},
      })
      return { client, node, server: node.peer('gateway'), heard: answers, gone: ended }
    },
    async settled(promise) {
      let over = false
      const mark = () => {
        over = true
      }
      promise.then(mark, mark)
      for (let i = 0; i < 300 && !over; i++) {
        await network.run()
        if (!over) await clock.advance(500)
      }
      if (!over) throw new Error('it does not settle')
      return promise
    },
  }
}

/** A transport whose every datagram passes through a function first, and a peer to reach through it. */
export function through(
  node: Node,
  address: string,
  change: (data: Buffer) => readonly Buffer[],
): { readonly lower: DatagramTransport; readonly peer: Peer } {
  const lower: DatagramTransport = {
    port: node.port,
    attach: (receiver) => node.attach(receiver),
    send(data, peer) {
      for (const part of change(Buffer.from(data))) node.send(part, peer)
    },
    close: () => node.close(),
  }
  return { lower, peer: { ...node.peer(address), transport: lower } }
}
