/** A network in memory for tests: datagrams wait until they are delivered, and may be lost, doubled or held back. */
import type { DatagramReceiver, DatagramTransport, Peer } from '../../../plugins/coap/transport.ts'

export interface Datagram {
  readonly from: string
  readonly to: string
  readonly data: Buffer
}

export interface Node extends DatagramTransport {
  /** How this node sees another. */
  peer(address: string): Peer
}

export interface Network {
  node(address: string): Node
  /** Every datagram sent, also the lost ones. */
  readonly sent: readonly Datagram[]
  /** What becomes of a datagram: how many copies arrive. Default 1. */
  fate: (datagram: Datagram, nth: number) => number
  /** Reorders what waits; default keeps the order. */
  order: (waiting: Datagram[]) => Datagram[]
  /** Puts a datagram on the way from an address of one's choice. */
  inject(from: string, to: string, data: Buffer): void
  /** Delivers until nothing is under way, letting promises settle. */
  run(): Promise<void>
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export function createNetwork(): Network {
  const receivers = new Map<string, DatagramReceiver>()
  const nodes = new Map<string, Node>()
  const sent: Datagram[] = []
  let waiting: Datagram[] = []

  function put(datagram: Datagram): void {
    sent.push(datagram)
    for (let copies = network.fate(datagram, sent.length - 1); copies > 0; copies--) waiting.push(datagram)
  }

  const network: Network = {
    sent,
    fate: () => 1,
    order: (all) => all,
    node(address) {
      const node: Node = {
        port: 5683,
        attach: (receiver) => void receivers.set(address, receiver),
        send: (data, peer) => put({ from: address, to: peer.address, data: Buffer.from(data) }),
        peer: (to) => ({
          key: `${address}>${to}`,
          address: to,
          port: 5683,
          secure: false,
          identity: undefined,
          transport: node,
        }),
        close: async () => void receivers.delete(address),
      }
      nodes.set(address, node)
      return node
    },
    inject: (from, to, data) => put({ from, to, data }),
    async run() {
      for (let quiet = 0; quiet < 3; ) {
        const batch = network.order(waiting)
        waiting = []
        quiet = batch.length === 0 ? quiet + 1 : 0
        for (const { from, to, data } of batch)
          receivers.get(to)?.datagram(Buffer.from(data), (nodes.get(to) as Node).peer(from))
        await turn()
      }
    },
  }
  return network
}

/** Numbers from 0 to 1, the same ones for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
