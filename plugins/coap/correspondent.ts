/** What the message layer knows of each peer, in a bounded table. */
import type { Clock } from '../../gateway/plugin.ts'
import type { Confirmable } from './confirmable.ts'
import type { Parameters } from './parameters.ts'
import type { Peer } from './transport.ts'

export interface Correspondent {
  readonly peer: Peer
  /** Its address is its own: see `endpoint.ts`. */
  verified: boolean
  /** Bytes from and to it while it is not verified. */
  received: number
  sent: number
  /** Monotonic ms of its last datagram. */
  seen: number
  nextId: number
  /** No other correspondent has it, nor had. Never 0. */
  readonly number: number
  /** Confirmable messages to it, under way by id, and waiting. */
  underWay: Map<number, Confirmable> | undefined
  waiting: Confirmable[] | undefined
}

export interface Correspondents {
  /** The peer's entry, made when there is none. */
  of(peer: Peer): Correspondent
  nextId(of: Correspondent): number
  unverify(peer: Peer): void
  remove(peer: Peer): Correspondent | undefined
  clear(each: (correspondent: Correspondent) => void): void
}

/** How many entries are looked at for one to give up when the table is full. */
const PROBES = 16

/** @param dropped is told of a peer given up although something was under way */
export function createCorrespondents(
  clock: Clock,
  parameters: Parameters,
  dropped: (correspondent: Correspondent) => void,
): Correspondents {
  const table = new Map<string, Correspondent>()
  let born = 0
  const nextNumber = () => {
    born = (born % 0xffff_ffff) + 1
    return born
  }
  const sweeper = clock.every(30_000, () => {
    const idleSince = clock.monotonic() - parameters.exchangeLifetime
    for (const [key, state] of table) if (state.seen < idleSince && isQuiet(state)) table.delete(key)
  })

  /** Gives up a peer with nothing under way, or else the one that came first. */
  function makeRoom(): void {
    let victim: string | undefined
    let probes = 0
    for (const [key, state] of table) {
      const quiet = isQuiet(state)
      if (quiet || victim === undefined) victim = key
      if (quiet || ++probes === PROBES) break
    }
    const state = victim === undefined ? undefined : table.get(victim)
    if (!state) return
    table.delete(state.peer.key)
    dropped(state)
  }

  return {
    of(peer) {
      const known = table.get(peer.key)
      if (known) return known
      if (table.size >= parameters.maxPeers) makeRoom()
      const state: Correspondent = {
        peer,
        verified: peer.secure,
        received: 0,
        sent: 0,
        seen: clock.monotonic(),
        nextId: Math.floor(Math.random() * 0x10000),
        number: nextNumber(),
        underWay: undefined,
        waiting: undefined,
      }
      table.set(peer.key, state)
      return state
    },
    nextId(of) {
      of.nextId = (of.nextId + 1) & 0xffff
      return of.nextId
    },
    unverify(peer) {
      const state = table.get(peer.key)
      if (!state) return
      state.verified = false
      state.received = 0
      state.sent = 0
    },
    remove(peer) {
      const state = table.get(peer.key)
      table.delete(peer.key)
      return state
    },
    clear(each) {
      sweeper.cancel()
      for (const state of table.values()) each(state)
      table.clear()
    },
  }
}

function isQuiet(state: Correspondent): boolean {
  return !state.underWay?.size && !state.waiting?.length
}
