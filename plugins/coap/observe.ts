/**
 * Observing (RFC 7641). A server keeps who observes what and tells them of changes in confirmable notifications: an
 * observer that is gone, or refuses one, is forgotten after it. At most one notification is under way to an observer;
 * of the states that came meanwhile only the last is sent (§4.5.2), unless the resource queues them itself.
 *
 * A client orders notifications by a number of 24 bits (§3.4): newer is ahead by less than 2^23, or came more than 128
 * seconds later.
 */

import type { Outcome } from './confirmable.ts'
import type { Response } from './resource.ts'
import type { Peer } from './transport.ts'

const MODULUS = 1 << 24
const HALF = 1 << 23
const FRESH_FOR = 128_000

/** One peer observing one resource. */
export interface Observation {
  readonly peer: Peer
  /** The path it observes, without a leading slash. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  /**
   * Sends this as a notification of its own; several wait for each other. `done` says whether the observer has it.
   * Returns what takes it back: it is sent no more, and `done` is not called.
   */
  notify(response: Response, done: (outcome: Outcome) => void): () => void
  /** Ends it without a word. */
  end(): void
  /** Called once when it has ended, for whatever reason. */
  onEnd(listener: () => void): void
  readonly ended: boolean
}

/** The next number of a sequence; 24 bits. */
export function nextSequence(sequence: number): number {
  return (sequence + 1) % MODULUS
}

/** The notification of an observation that was heard last. */
export interface LastHeard {
  /** Its number, or NONE: the next one is news whatever its number. */
  last: number
  /** Monotonic ms. */
  at: number
}

export const NONE = -1

/** Whether a notification is news; then it is the last one that was heard. @param sequence value of Observe. @param now monotonic ms */
export function isNews(heard: LastHeard, sequence: number, now: number): boolean {
  const { last, at } = heard
  const newer =
    last === NONE ||
    (last < sequence && sequence - last < HALF) ||
    (last > sequence && last - sequence > HALF) ||
    now > at + FRESH_FOR
  if (newer) {
    heard.last = sequence
    heard.at = Math.floor(now)
  }
  return newer
}

/** All observations of a server, by observer and by path. */
export interface Observers<Entry extends Observation> {
  add(token: Buffer, entry: Entry): void
  /** The observation a peer made with that token. */
  find(peer: Peer, token: Buffer): Entry | undefined
  remove(peer: Peer, token: Buffer): Entry | undefined
  of(path: string): readonly Entry[]
  removePeer(peer: Peer): readonly Entry[]
  readonly size: number
}

export function createObservers<Entry extends Observation>(): Observers<Entry> {
  const byPeer = new Map<string, Map<string, Entry>>()
  const byPath = new Map<string, Set<Entry>>()
  let size = 0

  function remove(peer: Peer, key: string): Entry | undefined {
    const ofPeer = byPeer.get(peer.key)
    const entry = ofPeer?.get(key)
    if (!ofPeer || !entry) return undefined
    ofPeer.delete(key)
    if (ofPeer.size === 0) byPeer.delete(peer.key)
    const same = byPath.get(entry.path)
    same?.delete(entry)
    if (same?.size === 0) byPath.delete(entry.path)
    size--
    return entry
  }

  return {
    add(token, entry) {
      const ofPeer = byPeer.get(entry.peer.key) ?? new Map<string, Entry>()
      byPeer.set(entry.peer.key, ofPeer.set(token.toString('latin1'), entry))
      byPath.set(entry.path, (byPath.get(entry.path) ?? new Set<Entry>()).add(entry))
      size++
    },
    find: (peer, token) => byPeer.get(peer.key)?.get(token.toString('latin1')),
    remove: (peer, token) => remove(peer, token.toString('latin1')),
    of: (path) => [...(byPath.get(path) ?? [])],
    removePeer(peer) {
      return [...(byPeer.get(peer.key)?.keys() ?? [])].map((key) => remove(peer, key) as Entry)
    },
    get size() {
      return size
    },
  }
}
