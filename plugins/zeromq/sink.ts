/**
 * Sends batches. ZeroMQ acknowledges nothing, so after a batch goes a PING: its PONG says that the peer has read the
 * batch from the network. What becomes of it inside the peer nobody can tell; a batch whose PONG does not come is sent
 * again.
 *
 *   PUSH   each batch goes to one peer, the next to the next
 *   PUB    each batch goes to all who subscribe to its topic; while nobody does it waits. It counts as taken when every
 *          subscriber has read it; who takes longer than `timeout` is cut off and comes back. Single records that nobody
 *          subscribes to, while somebody does to others, are not sent, as PUB does, and counted as `unsubscribed`
 */
import { NotConnectedError } from '../../gateway/errors.ts'
import type { Batch, PluginContext, Sink, Timer } from '../../gateway/plugin.ts'
import type { Places, ZeromqConfig } from './config.ts'
import { readCredentials } from './credentials.ts'
import { ZmtpError } from './errors.ts'
import { createDoorkeeper } from './listener.ts'
import type { Peer } from './peer.ts'
import { openSocket, type ZeromqSocket } from './socket.ts'
import { Subscriptions } from './subscriptions.ts'
import { topicOfBatch, topicOfRecord } from './topic.ts'

const TICK = 1000

type Frames = readonly [topic: string, payload: Buffer]

export function createSink(config: ZeromqConfig, places: Places, context: PluginContext): Sink {
  const { clock, metrics } = context
  const type = config.push ? 'PUSH' : 'PUB'
  const template = config.topic ?? 'sluice/{gateway}/batch'
  const listeners = new Set<(reason: Error) => void>()
  /** Peers that can be sent to, with what they want; a PULL wants all. */
  const takers = new Map<Peer, Subscriptions | undefined>()
  const changes = new Set<() => void>()
  let socket: ZeromqSocket | undefined
  let ticks: Timer | undefined
  let turn = 0

  const changed = () => {
    for (const change of [...changes]) change()
  }

  function gone(peer: Peer, reason: Error): void {
    if (!takers.delete(peer)) return
    if (available().length === 0) for (const listener of listeners) listener(lost(reason))
    changed()
  }

  function available(): Peer[] {
    return [...takers].filter(([, wants]) => wants === undefined || wants.size > 0).map(([peer]) => peer)
  }

  function lost(cause?: unknown): NotConnectedError {
    const text = type === 'PUB' ? 'nobody subscribes' : 'no peer is connected'
    return new NotConnectedError('SLUICE_ZEROMQ_NOBODY', text, { cause })
  }

  async function open(): Promise<ZeromqSocket> {
    const credentials = await readCredentials(config, context.path)
    const doorkeeper = createDoorkeeper(config.connections, config.perAddress)
    return openSocket({
      type,
      places,
      config,
      credentials,
      doorkeeper,
      context,
      down: changed,
      handlers: {
        ready(peer) {
          takers.set(peer, type === 'PUB' ? new Subscriptions() : undefined)
          changed()
        },
        message(peer, parts) {
          takers.get(peer)?.message(parts)
          changed()
          return true
        },
        command(peer, body) {
          if (takers.get(peer)?.command(body)) changed()
        },
        closed: gone,
      },
    })
  }

  async function close(): Promise<void> {
    const ended = socket
    socket = undefined
    ticks?.cancel()
    takers.clear()
    await ended?.close()
  }

  /** Resolves when somebody can be sent to. */
  function somebody(opened: ZeromqSocket, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: unknown) => {
        timer.cancel()
        changes.delete(look)
        signal.removeEventListener('abort', aborted)
        if (error) reject(error)
        else resolve()
      }
      const look = () => {
        if (available().length > 0) end()
        else if (opened.failure) end(opened.failure)
      }
      const aborted = () => end(signal.reason)
      const timer = clock.after(config.timeout, () => end(lost()))
      changes.add(look)
      signal.addEventListener('abort', aborted, { once: true })
      look()
    })
  }

  function messagesOf(batch: Batch): Frames[] {
    if (config.shape === 'batch') return [[topicOfBatch(template, batch), batch.body()]]
    return batch.records.map((record) => [topicOfRecord(template, batch, record), record])
  }

  /** All for whom one of the messages is, or the next in turn. */
  function peersFor(messages: readonly Frames[]): Peer[] {
    const all = available()
    if (type === 'PUSH') return all.slice(turn % all.length, (turn++ % all.length) + 1)
    const heard = messages.filter(([topic]) => all.some((peer) => takers.get(peer)?.matches(topic)))
    if (config.shape === 'batch' && heard.length === 0) return []
    if (heard.length < messages.length) metrics.count('unsubscribed', messages.length - heard.length)
    return all
  }

  function sendTo(peer: Peer, messages: readonly Frames[]): void {
    const wants = takers.get(peer)
    peer.socket.cork()
    for (const [topic, payload] of messages)
      if (!wants || wants.matches(topic)) peer.send([Buffer.from(topic), payload])
    peer.socket.uncork()
  }

  /** Whether this peer has read all; false when it went or was too slow. */
  function readBy(peer: Peer, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (read: boolean) => {
        timer.cancel()
        changes.delete(look)
        signal.removeEventListener('abort', aborted)
        resolve(read)
      }
      const look = () => {
        if (!takers.has(peer)) end(false)
      }
      const aborted = () => end(false)
      const timer = clock.after(config.timeout, () => peer.close(new ZmtpError('slow', 'the peer does not read')))
      changes.add(look)
      signal.addEventListener('abort', aborted, { once: true })
      peer.sync(() => end(true))
      look()
    })
  }

  return {
    async connect(signal) {
      await close()
      const opened = await open()
      socket = opened
      ticks = clock.every(TICK, () => {
        for (const peer of opened.peers) peer.check()
        metrics.gauge('connections', opened.peers.size)
      })
      try {
        await somebody(opened, signal)
      } catch (error) {
        await close()
        throw error
      }
    },

    async write(batch, signal) {
      signal.throwIfAborted()
      const messages = messagesOf(batch)
      const peers = peersFor(messages)
      if (peers.length === 0) throw lost()
      const read = await Promise.all(
        peers.map((peer) => {
          sendTo(peer, messages)
          return readBy(peer, signal)
        }),
      )
      signal.throwIfAborted()
      if (!read.includes(true)) throw lost()
    },

    close,

    onLost(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
