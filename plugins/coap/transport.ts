/**
 * The seam between CoAP and whatever carries its datagrams. Plain UDP and DTLS implement it; CoAP knows no more of them
 * than this, and they know nothing of CoAP.
 */

/** One correspondent as a transport knows it: an address for UDP, a session for DTLS. */
export interface Peer {
  /** Names the correspondent among all transports of a process; the same for all its datagrams. */
  readonly key: string
  /** Where it is now; changes when a DTLS session with a Connection ID moves. */
  readonly address: string
  readonly port: number
  /** True when datagrams are authenticated and encrypted, and the address was proved by a cookie. */
  readonly secure: boolean
  /** Who the peer proved to be, for a secure transport. */
  readonly identity: string | undefined
  /** Sends back the way it came. */
  readonly transport: DatagramTransport
}

export interface DatagramReceiver {
  /** `data` is the receiver's to keep. */
  datagram(data: Buffer, peer: Peer): void
  /** The peer will not be heard of again: its session ended. */
  gone(peer: Peer): void
  /** The peer now speaks from another address, not yet proved to be its own. */
  moved(peer: Peer): void
}

export interface DatagramTransport {
  /** The local port, once it is bound. */
  readonly port: number
  /** Where received datagrams go; only one receiver. */
  attach(receiver: DatagramReceiver): void
  /** Best effort, never throws; `data` must not change afterwards. */
  send(data: Uint8Array, peer: Peer): void
  close(): Promise<void>
}
