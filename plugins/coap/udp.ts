/** Plain UDP as a datagram transport. */

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { NotConnectedError, reasonOf, StartError } from '../../gateway/errors.ts'
import type { DatagramReceiver, DatagramTransport, Peer } from './transport.ts'

/** Asked of the kernel, which gives what `net.core.rmem_max` allows: room for a burst while the process is busy. */
const RECEIVE_BUFFER = 4 * 1024 * 1024

/** A host and a port; an IPv6 address without its brackets. */
export interface Address {
  readonly host: string
  readonly port: number
}

export interface UdpTransport extends DatagramTransport {
  /** A peer to speak to first. @param address an IP address, not a name */
  peer(address: string, port: number): Peer
}

/** Addresses are numbers already: asking the resolver would cost a turn of the event loop for every datagram. */
function noLookup(host: string, _options: unknown, callback: (error: null, address: string, family: number) => void) {
  callback(null, host, host.includes(':') ? 6 : 4)
}

/**
 * Binds a socket. `name` keeps the peers of several sockets apart.
 * @throws StartError SLUICE_PORT_IN_USE when another program has the port
 * @throws NotConnectedError for any other failure to bind
 */
export async function bindUdp(address: Address, name = 'udp'): Promise<UdpTransport> {
  const host = await numeric(address.host)
  const type = host.includes(':') ? 'udp6' : 'udp4'
  const socket = createSocket({ type, lookup: noLookup as never })
  await bound(socket, { host, port: address.port })
  socket.setRecvBufferSize(RECEIVE_BUFFER)
  return overSocket(socket, name)
}

async function numeric(host: string): Promise<string> {
  if (isIP(host) !== 0) return host
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw new NotConnectedError('SLUICE_UDP', `cannot find the address of ${host}: ${reasonOf(cause)}`, { cause })
  }
}

function bound(socket: Socket, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      socket.close()
      const where = `${address.host}:${address.port}`
      if (cause.code === 'EADDRINUSE')
        reject(new StartError('SLUICE_PORT_IN_USE', `UDP port ${where} is in use by another program`, { cause }))
      else reject(new NotConnectedError('SLUICE_UDP', `cannot listen on UDP ${where}: ${reasonOf(cause)}`, { cause }))
    })
    socket.bind(address.port, address.host, () => {
      socket.removeAllListeners('error')
      // Later errors are those of single sends: like a lost datagram.
      socket.on('error', () => {})
      resolve()
    })
  })
}

/** Addresses kept; then all are forgotten and learned again. */
const MAX_PEERS = 20_000

/** The peers of a socket: the same object for the same address, most of the time, so that nothing is made per datagram. */
function createPeers(name: string, transport: () => DatagramTransport): (address: string, port: number) => Peer {
  const byPort = new Map<number, Peer[]>()
  let size = 0
  return (address, port) => {
    const there = byPort.get(port)
    if (there) for (const peer of there) if (peer.address === address) return peer
    if (size++ === MAX_PEERS) {
      byPort.clear()
      size = 1
    }
    const key = `${name}|${address}|${port}`
    const peer: Peer = { key, address, port, secure: false, identity: undefined, transport: transport() }
    // Few share a port, unless they all have the usual one.
    if (!there || there.length === MAX_AT_PORT) byPort.set(port, [peer])
    else there.push(peer)
    return peer
  }
}

const MAX_AT_PORT = 16

function overSocket(socket: Socket, name: string): UdpTransport {
  let open = true
  const peer = createPeers(name, () => transport)
  const transport: UdpTransport = {
    port: socket.address().port,
    peer,
    attach(receiver: DatagramReceiver) {
      socket.on('message', (data: Buffer, from: RemoteInfo) => receiver.datagram(data, peer(from.address, from.port)))
    },
    send(data, to) {
      // Without a callback, which would cost a tick of its own each: a send that fails is like a lost datagram.
      if (open) socket.send(data, to.port, to.address)
    },
    close() {
      if (!open) return Promise.resolve()
      open = false
      return new Promise((resolve) => socket.close(() => resolve()))
    },
  }
  return transport
}
