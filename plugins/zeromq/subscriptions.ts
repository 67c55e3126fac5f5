/**
 * What a SUB peer wants of a PUB socket: topics that begin with a text. In ZMTP 3.1 it says so by the commands
 * SUBSCRIBE and CANCEL, in 3.0 by messages that begin with 1 and 0; both are understood from everybody.
 */
import { ZmtpError } from './errors.ts'
import type { Peer } from './peer.ts'
import { dataOf, encodeCommand, isCommand } from './wire-command.ts'

/** Of one peer; far more than a device needs. */
const MAX_SUBSCRIPTIONS = 1000
const MAX_BYTES = 256 * 1024

export class Subscriptions {
  /** What was asked for last. */
  newest = ''
  /** How often each was asked for: it takes as many cancellations. */
  readonly #prefixes = new Map<string, number>()
  #bytes = 0

  get size(): number {
    return this.#prefixes.size
  }

  /** Takes a command; false when it is not about subscriptions. @throws ZmtpError there are too many */
  command(body: Buffer): boolean {
    if (isCommand(body, 'SUBSCRIBE')) this.#add(dataOf(body))
    else if (isCommand(body, 'CANCEL')) this.#remove(dataOf(body))
    else return false
    return true
  }

  /** Takes a message; others than subscriptions mean nothing to a PUB. @throws ZmtpError */
  message(parts: readonly Buffer[]): void {
    const [first] = parts
    if (parts.length !== 1 || first === undefined) return
    if (first[0] === 1) this.#add(first.subarray(1))
    else if (first[0] === 0) this.#remove(first.subarray(1))
  }

  /** Whether somebody who sends under this topic is heard. */
  matches(topic: string): boolean {
    for (const prefix of this.#prefixes.keys()) if (topic.startsWith(prefix)) return true
    return false
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.#prefixes.keys()
  }

  #add(bytes: Buffer): void {
    const prefix = bytes.toString('utf8')
    const times = this.#prefixes.get(prefix)
    if (times === undefined) {
      this.#bytes += bytes.length
      if (this.#prefixes.size >= MAX_SUBSCRIPTIONS || this.#bytes > MAX_BYTES)
        throw new ZmtpError('flood', 'the peer has too many subscriptions')
    }
    this.#prefixes.set(prefix, (times ?? 0) + 1)
    this.newest = prefix
  }

  #remove(bytes: Buffer): void {
    const prefix = bytes.toString('utf8')
    const times = this.#prefixes.get(prefix)
    if (times === undefined) return
    if (times > 1) this.#prefixes.set(prefix, times - 1)
    else {
      this.#prefixes.delete(prefix)
      this.#bytes -= bytes.length
    }
  }
}

/** As the subscribing side. */
export function subscribe(peer: Peer, topics: readonly string[]): void {
  for (const topic of topics) {
    if (peer.modern) peer.sendCommand(encodeCommand('SUBSCRIBE', Buffer.from(topic)))
    else peer.send([Buffer.concat([Buffer.from([1]), Buffer.from(topic)])])
  }
}
