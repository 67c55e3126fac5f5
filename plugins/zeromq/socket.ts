/** A ZeroMQ socket: all its listeners, its outgoing connections, and the peers behind them. */
import type { Socket } from 'node:net'
import type { NotConnectedError } from '../../gateway/errors.ts'
import type { PluginContext } from '../../gateway/plugin.ts'
import type { Places, ZeromqConfig } from './config.ts'
import type { Credentials } from './credentials.ts'
import { createDialer, type Dialer } from './dialer.ts'
import { ZmtpError } from './errors.ts'
import { type Doorkeeper, type Listener, listen } from './listener.ts'
import { type MechanismFactory, nullMechanism } from './mechanism.ts'
import { Peer, type PeerHandlers } from './peer.ts'
import type { SocketType } from './socket-type.ts'

/** Longest handshake, whatever `timeout` says, ms. */
const HANDSHAKE = 10_000
/** Between two lines in the log about connections that ended for the same reason, ms. */
const QUIET = 60_000

export interface SocketOptions {
  readonly type: SocketType
  readonly places: Places
  readonly config: ZeromqConfig
  readonly credentials: Credentials
  readonly doorkeeper: Doorkeeper
  readonly context: PluginContext
  readonly handlers: Pick<PeerHandlers, 'message'> & Partial<PeerHandlers>
  /** An outgoing connection cannot be made or was lost. */
  readonly down?: () => void
}

export interface ZeromqSocket {
  /** All, also those in their handshake. */
  readonly peers: ReadonlySet<Peer>
  /** Of the first TCP listener. */
  readonly port: number | undefined
  /** Why nobody can be reached: nothing listens and no connection stands. */
  readonly failure: NotConnectedError | undefined
  /** Accepts and connects no more; peers stay. */
  stopAccepting(): void
  /** Ends everything at once. */
  close(): Promise<void>
}

/** @throws NotConnectedError cannot listen */
export async function openSocket(options: SocketOptions): Promise<ZeromqSocket> {
  const { type, places, config, credentials, doorkeeper, context, handlers } = options
  const { clock, metrics, log } = context
  const peers = new Set<Peer>()
  const dialers: Dialer[] = []
  const listeners: Listener[] = []
  const told = new Map<string, number>()
  const limits = {
    message: config.maxMessage,
    handshake: Math.min(HANDSHAKE, config.timeout),
    heartbeat: config.heartbeat,
  }

  function open(socket: Socket, mechanism: MechanismFactory, dialer?: () => Dialer | undefined): Peer {
    const peer = new Peer(socket, {
      type,
      mechanism,
      limits,
      clock,
      handlers: {
        ...handlers,
        ready(one) {
          dialer?.()?.succeeded(one)
          handlers.ready?.(one)
        },
        closed(one, reason) {
          peers.delete(one)
          tell(one, reason)
          handlers.closed?.(one, reason)
          dialer?.()?.lost(one, reason)
        },
      },
    })
    peers.add(peer)
    return peer
  }

  function tell({ remote, held }: Peer, error: Error): void {
    const reason = error instanceof ZmtpError ? error.reason : 'failed'
    metrics.count(`closed_${reason}`)
    if (held > 0) {
      metrics.count('lost_bytes', held)
      log.error(
        { remote, bytes: held },
        'a connection ended with bytes read for which there was no room: they are lost',
      )
    }
    if (reason === 'ended' || reason === 'stopping' || !mayTell(reason)) return
    const cause = error.cause instanceof Error ? error.cause.message : undefined
    if (reason === 'failed') log.warn({ remote, cause }, `a connection was ended: ${error.message}`)
    else log.info({ remote, reason, cause }, `a connection was ended: ${error.message}`)
  }

  /** One line a minute for each reason: strangers must not fill the log. The metrics count them all. */
  function mayTell(reason: string): boolean {
    const now = clock.monotonic()
    const last = told.get(reason)
    if (last !== undefined && now - last < QUIET) return false
    told.set(reason, now)
    return true
  }

  function accept(socket: Socket): void {
    if (doorkeeper.admits(socket)) open(socket, credentials.server)
    else {
      metrics.count('turned_away')
      socket.destroy()
    }
  }

  const close = async () => {
    for (const dialer of dialers) dialer.close()
    const closing = listeners.map((listener) => listener.close())
    for (const peer of peers) peer.close(new ZmtpError('stopping', 'the gateway is stopping'))
    await Promise.all(closing)
  }

  try {
    for (const place of places.listen) listeners.push(await listen(place, context.path, accept))
  } catch (error) {
    await close()
    throw error
  }
  for (const endpoint of places.connect) {
    let own: Dialer | undefined
    own = createDialer({
      endpoint,
      clock,
      resolve: context.path,
      open: (socket) => open(socket, credentials.client ?? nullMechanism, () => own),
      down: () => options.down?.(),
    })
    dialers.push(own)
  }

  return {
    peers,
    get port() {
      return listeners.find(({ port }) => port > 0)?.port
    },
    get failure() {
      if (listeners.length > 0 || !dialers.every(({ failure }) => failure)) return undefined
      return dialers.at(-1)?.failure
    },
    stopAccepting() {
      for (const dialer of dialers) dialer.close()
      for (const listener of listeners) listener.close()
    },
    close,
  }
}
