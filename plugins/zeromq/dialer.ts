/** Connects to one endpoint, and again whenever the connection is lost. */
import { connect, type Socket } from 'node:net'
import { NotConnectedError, reasonOf } from '../../gateway/errors.ts'
import type { Clock, Timer } from '../../gateway/plugin.ts'
import { addressOf, type Endpoint } from './endpoint.ts'
import type { Peer } from './peer.ts'

/** Pauses between attempts, ms. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000
/** How long TCP may take to connect, ms. */
const PATIENCE = 5000

export interface DialerOptions {
  readonly endpoint: Endpoint
  readonly clock: Clock
  readonly resolve: (path: string) => string
  /** Makes a peer of a connected socket. */
  readonly open: (socket: Socket) => Peer
  /** The last attempt failed, or the connection was lost. */
  readonly down: () => void
}

export interface Dialer {
  /** Why there is no connection; undefined while there is one, or the first attempt is under way. */
  readonly failure: NotConnectedError | undefined
  /** The handshake of our peer is done. */
  succeeded(peer: Peer): void
  /** Our peer has gone. */
  lost(peer: Peer, reason: Error): void
  close(): void
}

export function createDialer({ endpoint, clock, resolve, open, down }: DialerOptions): Dialer {
  let failure: NotConnectedError | undefined
  let pause = FIRST_PAUSE
  let timer: Timer | undefined
  let connecting: Socket | undefined
  let peer: Peer | undefined
  let closed = false

  function attempt(): void {
    const socket = connect({ ...addressOf(endpoint, resolve), allowHalfOpen: true })
    connecting = socket
    timer = clock.after(PATIENCE, () => socket.destroy(new Error('no answer')))
    socket.once('error', failed)
    socket.once('connect', () => {
      timer?.cancel()
      socket.off('error', failed)
      connecting = undefined
      peer = open(socket)
    })
  }

  function failed(cause: Error): void {
    timer?.cancel()
    connecting = undefined
    if (closed) return
    const text = `no connection to ${endpoint.url}: ${reasonOf(cause)}`
    failure = new NotConnectedError('SLUICE_ZEROMQ_UNREACHABLE', text, { cause })
    // Not all at once after an outage: between half and the whole pause.
    timer = clock.after(pause * (0.5 + Math.random() / 2), attempt)
    pause = Math.min(LONGEST_PAUSE, pause * 2)
    down()
  }

  attempt()
  return {
    get failure() {
      return failure
    },
    succeeded(one) {
      if (one !== peer) return
      failure = undefined
      pause = FIRST_PAUSE
    },
    lost(one, reason) {
      if (one !== peer) return
      peer = undefined
      failed(reason)
    },
    close() {
      closed = true
      timer?.cancel()
      connecting?.destroy()
    },
  }
}
