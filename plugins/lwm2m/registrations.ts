/**
 * Clients that are registered (LwM2M Core 1.1 §6.2).
 *
 *   register ─▶ registered ─update─▶ registered ─lifetime without an update─▶ gone
 *                                          └─de-register, or register again─▶ gone
 *
 * A client in queue mode listens for `awake` after each message of its own; otherwise it counts as reachable always.
 * What must survive a restart is in the plugin's store, written before the answer; the time of the last update is
 * written once a quarter of the lifetime, and a registration read back is given that quarter more.
 */
import { randomBytes } from 'node:crypto'
import type { Clock, PluginStore } from '../../gateway/plugin.ts'
import type { Peer } from '../coap/transport.ts'
import { formatPath, type Path } from './path.ts'
import { type Announcement, Registered, type Registration, type Stored, type Update } from './registration.ts'

export interface Listener {
  /** It said something, other than of its registration. */
  spoke(registration: Registration): void
  removed(registration: Registration, why: 'expired' | 'left' | 'replaced'): void
}

export interface Registrations {
  readonly size: number
  get(id: string): Registration | undefined
  ofEndpoint(endpoint: string): Registration | undefined
  /** The client that speaks as this peer. */
  ofPeer(peer: Peer): Registration | undefined
  all(): Iterable<Registration>
  /** Resolves when it is on disk. */
  register(announcement: Announcement, peer: Peer): Promise<Registration>
  /**
   * Resolves when it is on disk, if anything had to be written, with whether it is elsewhere or announced other objects:
   * then what is observed is to be observed anew.
   */
  update(registration: Registration, update: Update, peer: Peer): Promise<boolean>
  /** It spoke, though not of its registration. */
  heard(registration: Registration): void
  /** It did not answer: in queue mode it sleeps. */
  unheard(registration: Registration): void
  isAwake(registration: Registration): boolean
  remove(registration: Registration): Promise<void>
  gone(peer: Peer): void
  /** Reads back what is in the store, and watches lifetimes. @param peerOf the peer of a key over plain UDP */
  start(peerOf: (key: string) => Peer | undefined): void
  stop(): void
}

const KEY = 'registration/'
const SWEEP_EVERY = 1000
const MAX_LISTS = 1000

export function createRegistrations(
  clock: Clock,
  store: PluginStore,
  awake: number,
  listener: Listener,
): Registrations {
  const byId = new Map<string, Registration>()
  const byEndpoint = new Map<string, Registration>()
  const byPeer = new Map<string, Registration>()
  const lists = new Map<string, readonly Path[]>()
  let stopSweeping = () => {}

  function made(announcement: Announcement, id: string, identity: string | undefined, since: number, left: number) {
    const objects = shared(announcement.objects)
    return new Registered({ ...announcement, objects }, id, identity, since, clock.monotonic(), left)
  }

  /** Devices of one kind announce the same objects: one list for all of them. */
  function shared(objects: readonly Path[]): readonly Path[] {
    const key = objects.map(formatPath).join()
    const known = lists.get(key)
    if (known) return known
    if (lists.size === MAX_LISTS) lists.clear()
    lists.set(key, objects)
    return objects
  }

  function add(registration: Registration): void {
    byId.set(registration.id, registration)
    byEndpoint.set(registration.endpoint, registration)
    if (registration.peer) byPeer.set(registration.peer.key, registration)
  }

  function forget(registration: Registration, why: Parameters<Listener['removed']>[1]): void {
    byId.delete(registration.id)
    if (byEndpoint.get(registration.endpoint) === registration) byEndpoint.delete(registration.endpoint)
    detach(registration)
    listener.removed(registration, why)
  }

  function detach(registration: Registration): void {
    const { peer } = registration
    if (peer && byPeer.get(peer.key) === registration) byPeer.delete(peer.key)
    registration.peer = undefined
  }

  /** True when it is elsewhere than before. */
  function attach(registration: Registration, peer: Peer): boolean {
    if (registration.peer?.key === peer.key) return false
    detach(registration)
    registration.peer = peer
    byPeer.set(peer.key, registration)
    return true
  }

  function write(registration: Registration): Promise<void> {
    registration.written = Math.floor(clock.monotonic())
    return store.set(KEY + registration.id, registration)
  }

  function touch(registration: Registration): void {
    registration.contact = clock.now()
    registration.awakeUntil = Math.floor(clock.monotonic() + awake)
  }

  function expire(): void {
    const now = clock.monotonic()
    for (const registration of byId.values()) {
      if (registration.expires > now) continue
      forget(registration, 'expired')
      store.delete(KEY + registration.id).catch(() => {})
    }
  }

  function restore(key: string, stored: Stored, peerOf: (key: string) => Peer | undefined): void {
    const id = key.slice(KEY.length)
    const lifetime = stored.lifetime * 1000
    // A clock that was set back must not make a registration last for ever.
    const age = Math.max(0, clock.now() - stored.contact)
    const left = Math.min(lifetime, lifetime * 1.25 - age)
    if (left <= 0) {
      store.delete(key).catch(() => {})
      return
    }
    const peer = stored.identity === undefined ? peerOf(stored.peerKey) : undefined
    const registration = made(stored, id, stored.identity, stored.since, left)
    registration.contact = stored.contact
    registration.peer = peer
    add(registration)
  }

  return {
    get size() {
      return byId.size
    },
    get: (id) => byId.get(id),
    ofEndpoint: (endpoint) => byEndpoint.get(endpoint),
    ofPeer(peer) {
      const known = byPeer.get(peer.key)
      if (known || peer.identity === undefined) return known
      // After a restart, or with a new session: an identity that is one client's alone.
      const own = [...byId.values()].filter(({ identity }) => identity === peer.identity)
      return own.length === 1 ? own[0] : undefined
    },
    all: () => byId.values(),
    async register(announcement, peer) {
      const before = byEndpoint.get(announcement.endpoint)
      const id = randomBytes(9).toString('base64url')
      const registration = made(announcement, id, peer.identity, clock.now(), announcement.lifetime * 1000)
      if (before) {
        forget(before, 'replaced')
        store.delete(KEY + before.id).catch(() => {})
      }
      attach(registration, peer)
      touch(registration)
      add(registration)
      await write(registration)
      return registration
    },
    async update(registration, update, peer) {
      const moved = attach(registration, peer)
      const changed = moved || Object.keys(update).length > 0
      Object.assign(registration, update.objects ? { ...update, objects: shared(update.objects) } : update)
      const now = clock.monotonic()
      registration.expires = Math.floor(now + registration.lifetime * 1000)
      touch(registration)
      if (changed || now - registration.written >= registration.lifetime * 250) await write(registration)
      return moved || update.objects !== undefined
    },
    heard(registration) {
      touch(registration)
      listener.spoke(registration)
    },
    unheard(registration) {
      registration.awakeUntil = 0
    },
    isAwake: (registration) => !registration.queue || registration.awakeUntil > clock.monotonic(),
    async remove(registration) {
      forget(registration, 'left')
      await store.delete(KEY + registration.id)
    },
    gone(peer) {
      const registration = byPeer.get(peer.key)
      if (registration) detach(registration)
    },
    start(peerOf) {
      for (const [key, value] of [...store.entries()])
        if (key.startsWith(KEY) && !byId.has(key.slice(KEY.length))) restore(key, value as Stored, peerOf)
      const sweeper = clock.every(SWEEP_EVERY, expire)
      stopSweeping = () => sweeper.cancel()
    },
    stop() {
      stopSweeping()
      byId.clear()
      byEndpoint.clear()
      byPeer.clear()
    },
  }
}
