/**
 * From frames to `emit`. PULL, ROUTER and SUB have no acknowledgement, so a message is the gateway's own once it has
 * been read: while there is no room nothing more is read from any connection, TCP holds the senders back, and their
 * high-water marks decide what happens there.
 */
import type { Emit, Message, PluginContext, Settled } from '../../gateway/plugin.ts'
import { bodyStart, topicOf, undecodable } from './layout.ts'
import type { Peer } from './peer.ts'

export interface InletOptions {
  readonly emit: Emit
  readonly context: PluginContext
  /** Topic of a single frame. */
  readonly topic: string
  /** Takes messages that are no telemetry, answers to commands; false: not one of those. */
  readonly answered: (peer: Peer, topic: string, payload: Buffer) => boolean
  /** Bytes that may wait for a peer to read its answers. */
  readonly highWater: number
}

export interface Inlet {
  /** For senders that expect no answer. False: no room. */
  take(peer: Peer, parts: readonly Buffer[]): boolean
  /** For ROUTER: REQ gets an answer, DEALER does not. */
  route(peer: Peer, parts: readonly Buffer[]): boolean
  /** For REP: everybody gets an answer. */
  request(peer: Peer, parts: readonly Buffer[]): boolean
  /** Answers that are still owed. */
  readonly owed: number
}

const OK = Buffer.from('ok')
const ERROR = Buffer.from('error')

export function createInlet(options: InletOptions): Inlet {
  const { emit, context, answered, highWater } = options
  const { metrics } = context
  const waiting = new Set<Peer>()
  const perPeer = options.topic.includes('{')
  let asking = false
  let owed = 0

  function waitForRoom(peer: Peer): false {
    waiting.add(peer)
    if (!asking) {
      asking = true
      const go = () => {
        asking = false
        const peers = [...waiting]
        waiting.clear()
        for (const one of peers) one.resume()
      }
      emit.room().then(go, go)
    }
    return false
  }

  function messageOf(peer: Peer, parts: readonly Buffer[], start: number): Message {
    const topic = topicOf(parts, start)
    if (topic !== undefined) return { topic, payload: parts[parts.length - 1] as Buffer }
    const fallback = perPeer ? fallbackFor(peer, options.topic, context) : options.topic
    if (parts.length - start === 1) return { topic: fallback, payload: parts[start] as Buffer }
    metrics.count('unknown_layout')
    return { topic: fallback, payload: undecodable(parts.slice(start)) }
  }

  /** @param done null for who expects no answer */
  function offer(peer: Peer, parts: readonly Buffer[], start: number, done: Settled | null): boolean {
    const message = messageOf(peer, parts, start)
    const { topic, payload } = message
    if (topic.startsWith('command/') && answered(peer, topic, payload as Buffer)) {
      done?.(null)
      return true
    }
    return emit.offer(message, done) || waitForRoom(peer)
  }

  function ask(peer: Peer, parts: readonly Buffer[], start: number): boolean {
    if (peer.waiting > highWater) {
      metrics.count('answers_unread')
      const go = () => {
        peer.socket.off('drain', go).off('close', go)
        peer.resume()
      }
      peer.socket.once('drain', go).once('close', go)
      return false
    }
    const envelope = parts.slice(0, start)
    owed++
    const taken = offer(peer, parts, start, (error) => {
      owed--
      peer.send(error ? [...envelope, ERROR, Buffer.from(error.message)] : [...envelope, OK])
    })
    if (!taken) owed--
    return taken
  }

  return {
    take: (peer, parts) => offer(peer, parts, 0, null),
    route(peer, parts) {
      const start = bodyStart(parts, peer.socketType === 'ROUTER')
      return peer.socketType === 'REQ' ? ask(peer, parts, start) : offer(peer, parts, start, null)
    },
    request: (peer, parts) => ask(peer, parts, bodyStart(parts, true)),
    get owed() {
      return owed
    },
  }
}

function fallbackFor(peer: Peer, template: string, { name, gateway }: PluginContext): string {
  const device = identityText(peer) ?? peer.user ?? name
  return template.replaceAll('{device}', device).replaceAll('{gateway}', gateway)
}

/** The identity of a peer when it is fit to be a device's name. */
export function identityText(peer: Peer): string | undefined {
  if (peer.identity.length === 0) return undefined
  const text = peer.identity.toString('utf8')
  return /^[^\p{Cc}\p{Z}\u{fffd}/+#]+$/u.test(text) ? text : undefined
}
