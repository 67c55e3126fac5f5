/**
 * Commands out. A device is reached in two ways:
 *
 *   DEALER at our ROUTER     it is the device that its identity or user says; the newest connection of a device counts
 *   SUB at our PUB           it subscribes to `command/{device}/`; who subscribes to more only listens along
 *
 * Either is sent `command/{device}/{name}` │ `{id,args}`, and answers with `command/{device}/{name}/ack` │
 * `{id,ok,result?,reason?}` on a DEALER, PUSH or REQ socket. Only the device addressed may answer: on a connection that
 * has a user, or an identity, that is who must answer.
 */
import { NotConnectedError } from '../../gateway/errors.ts'
import type { Command, Commander, CommandResult } from '../../gateway/plugin.ts'
import { answerOf } from '../answer.ts'
import { identityText } from './inlet.ts'
import type { Peer } from './peer.ts'
import { Subscriptions } from './subscriptions.ts'

const ACK = /^command\/([^/]+)\/(.+)\/ack$/

export interface CommandChannel {
  readonly commander: Commander
  readonly router: Channel
  readonly pub: Channel & {
    command(peer: Peer, body: Buffer): void
    message(peer: Peer, parts: readonly Buffer[]): boolean
  }
  /** Takes a message that may be an answer; false when it is none. */
  answered(peer: Peer, topic: string, payload: Buffer): boolean
}

interface Channel {
  ready(peer: Peer): void
  closed(peer: Peer): void
}

export interface CommandOptions {
  readonly deviceIs: 'identity' | 'user'
  /** Bytes that may wait for a peer; beyond it nothing more is sent. */
  readonly highWater: number
  count(event: string): void
}

interface Waiting {
  readonly device: string
  readonly command: string
  readonly toDealer: boolean
  settle(result: CommandResult): void
}

export function createCommands({ deviceIs, highWater, count }: CommandOptions): CommandChannel {
  const dealers = new Map<string, Peer>()
  const subscribers = new Map<Peer, Subscriptions>()
  const waiting = new Map<string, Waiting>()
  const listeners = new Set<(device: string) => void>()

  const deviceOf = (peer: Peer) => (deviceIs === 'user' ? peer.user : identityText(peer))
  const reachable = (device: string) => {
    for (const listener of listeners) listener(device)
  }

  /** With users, a peer subscribed to another's commands does not get them. */
  function mayHear(peer: Peer, device: string): boolean {
    return peer.user === undefined || deviceIs === 'identity' || peer.user === device
  }

  function listensAs(peer: Peer, prefixes: Subscriptions, device: string): boolean {
    if (!peer.ready || !mayHear(peer, device)) return false
    const own = `command/${device}/`
    for (const prefix of prefixes) if (prefix.startsWith(own) || prefix === own.slice(0, -1)) return true
    return false
  }

  function hasSubscriber(device: string): boolean {
    for (const [peer, prefixes] of subscribers) if (listensAs(peer, prefixes, device)) return true
    return false
  }

  /** Nobody knows who an anonymous PUSH is; it may answer for a device that subscribes, which is as anonymous. */
  function mayAnswer(peer: Peer, { device, toDealer }: Waiting): boolean {
    const known = deviceOf(peer) ?? peer.user
    return known === undefined ? !toDealer : known === device
  }

  /** To whom a command can go now. */
  function targets(device: string, topic: string): Peer[] {
    const dealer = dealers.get(device)
    if (dealer) return dealer.waiting <= highWater ? [dealer] : []
    // Somebody who listens along is no reason to call the command sent.
    const heard = [...subscribers].filter(([peer, prefixes]) => prefixes.matches(topic) && mayHear(peer, device))
    if (!heard.some(([peer, prefixes]) => listensAs(peer, prefixes, device))) return []
    return heard.map(([peer]) => peer).filter((peer) => peer.waiting <= highWater)
  }

  function execute(command: Command, signal: AbortSignal): Promise<CommandResult> {
    const { id, device, args } = command
    const topic = `command/${device}/${command.command}`
    const peers = targets(device, topic)
    if (peers.length === 0)
      return Promise.reject(new NotConnectedError('SLUICE_ZEROMQ_DEVICE', `device ${device} is not connected`))
    return new Promise((resolve) => {
      const aborted = () => waiting.delete(id)
      const settle = (result: CommandResult) => {
        waiting.delete(id)
        signal.removeEventListener('abort', aborted)
        resolve(result)
      }
      waiting.set(id, { device, command: command.command, toDealer: dealers.has(device), settle })
      signal.addEventListener('abort', aborted, { once: true })
      const frames = [Buffer.from(topic), Buffer.from(JSON.stringify({ id, args }))]
      for (const peer of peers) peer.send(frames)
    })
  }

  function answered(peer: Peer, topic: string, payload: Buffer): boolean {
    const [, device = '', name = ''] = ACK.exec(topic) ?? []
    if (device === '') return false
    const answer = answerOf(payload)
    const command = answer && waiting.get(answer.id)
    if (!answer) count('answers_malformed')
    else if (command?.device !== device || command.command !== name) count('answers_unasked')
    else if (!mayAnswer(peer, command)) count('answers_refused')
    else command.settle(answer.result)
    return true
  }

  return {
    commander: {
      reaches: (device) => dealers.has(device) || hasSubscriber(device),
      onReachable(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      describe: (device) => (dealers.has(device) || hasSubscriber(device) ? { state: 'online' } : undefined),
      execute,
    },
    router: {
      ready(peer) {
        const device = peer.socketType === 'DEALER' ? deviceOf(peer) : undefined
        if (device === undefined) return
        dealers.set(device, peer)
        reachable(device)
      },
      closed(peer) {
        for (const [device, one] of dealers) if (one === peer) dealers.delete(device)
      },
    },
    pub: {
      ready: (peer) => subscribers.set(peer, new Subscriptions()),
      closed: (peer) => subscribers.delete(peer),
      command(peer, body) {
        if (subscribers.get(peer)?.command(body)) tellOf(peer)
      },
      message(peer, parts) {
        subscribers.get(peer)?.message(parts)
        tellOf(peer)
        return true
      },
    },
    answered,
  }

  /** A device that subscribes may have commands waiting. */
  function tellOf(peer: Peer): void {
    const device = /^command\/([^/]+)(\/|$)/.exec(subscribers.get(peer)?.newest ?? '')?.[1]
    if (device !== undefined && mayHear(peer, device)) reachable(device)
  }
}
