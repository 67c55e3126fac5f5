/** What is known of a client that is registered. */
import type { Peer } from '../coap/transport.ts'
import type { Path } from './path.ts'

/** What a client says when it registers. */
export interface Announcement {
  readonly endpoint: string
  /** s */
  readonly lifetime: number
  readonly version: string
  readonly binding: string
  readonly queue: boolean
  /** Path below which its objects are; empty for the root. */
  readonly root: string
  /** Objects and instances. */
  readonly objects: readonly Path[]
}

export interface Registration extends Announcement {
  readonly id: string
  /** Where it is; undefined after a restart or the end of its session, until it speaks. */
  peer: Peer | undefined
  readonly identity: string | undefined
  /** Wall clock, ms. */
  readonly since: number
  /** Wall clock of its last message, ms. */
  contact: number
  /** Monotonic, whole ms. */
  expires: number
  awakeUntil: number
  /** Of when `contact` was last written to disk; monotonic, whole ms. */
  written: number
}

export type Update = Partial<Pick<Announcement, 'lifetime' | 'binding' | 'queue' | 'objects' | 'root'>>

/** What must survive a restart; plain JSON. */
export interface Stored extends Announcement {
  readonly peerKey: string
  readonly identity?: string | undefined
  readonly since: number
  readonly contact: number
}

/** A client, which is also what the store keeps of it: one object, as there may be tens of thousands. */
export class Registered implements Registration, Stored {
  readonly endpoint: string
  readonly lifetime: number
  readonly version: string
  readonly binding: string
  readonly queue: boolean
  readonly root: string
  readonly objects: readonly Path[]
  readonly id: string
  readonly identity: string | undefined
  readonly since: number
  peer: Peer | undefined = undefined
  contact = 0
  expires: number
  awakeUntil = 0
  written: number

  /** @param now monotonic ms. @param left ms it lives without an update */
  constructor(
    { endpoint, lifetime, version, binding, queue, root, objects }: Announcement,
    id: string,
    identity: string | undefined,
    since: number,
    now: number,
    left: number,
  ) {
    this.endpoint = endpoint
    this.lifetime = lifetime
    this.version = version
    this.binding = binding
    this.queue = queue
    this.root = root
    this.objects = objects
    this.id = id
    this.identity = identity
    this.since = since
    this.written = Math.floor(now)
    this.expires = Math.floor(now + left)
  }

  get peerKey(): string {
    return this.peer?.key ?? ''
  }

  toJSON(): Stored {
    const { endpoint, lifetime, version, binding, queue, root, objects, identity, since, contact, peerKey } = this
    return { endpoint, lifetime, version, binding, queue, root, objects, identity, since, contact, peerKey }
  }
}
