/** Reads the log of sessions: what was known when the last record was written. */

import type { Outgoing } from '../outgoing.ts'
import { PacketReader } from '../packets/reader.ts'
import type { Publication } from '../publication.ts'
import { MqttError } from '../reasons.ts'
import {
  COMPLETE,
  decodeOpened,
  decodeQueued,
  decodeRetained,
  decodeSubscribed,
  ENDED,
  FORGOTTEN,
  OPENED,
  type OpenedRecord,
  QUEUED,
  RECEIVED,
  RELEASED,
  RETAINED,
  SETTLED,
  SNAPSHOT,
  SUBSCRIBED,
  type SubscribedRecord,
  UNSUBSCRIBED,
  VERSION,
} from './records.ts'

export interface RestoredSession {
  opened: OpenedRecord
  readonly subscriptions: Map<string, SubscribedRecord>
  readonly outgoing: Map<number, Outgoing>
  readonly received: Set<number>
}

export interface Restored {
  readonly sessions: Map<number, RestoredSession>
  readonly retained: Map<string, Publication>
}

export class Restoring {
  readonly #fromWall: (at: number) => number
  #state: Restored = nothing()
  /** What a snapshot that is not complete yet has told. */
  #next: Restored | null = null
  /** Records that make no sense. */
  skipped = 0

  /** @param fromWall wall clock to monotonic, ms */
  constructor(fromWall: (at: number) => number) {
    this.#fromWall = fromWall
  }

  get state(): Restored {
    return this.#state
  }

  record(body: Buffer, start: number, end: number): void {
    const kind = body[start]
    if (kind === SNAPSHOT) this.#next = body[start + 1] === VERSION ? nothing() : null
    else if (kind === COMPLETE) {
      if (this.#next) this.#state = this.#next
      this.#next = null
    } else {
      this.#tell(this.#state, body, start, end)
      if (this.#next) this.#tell(this.#next, body, start, end)
    }
  }

  #tell(state: Restored, body: Buffer, start: number, end: number): void {
    try {
      this.#apply(state, new PacketReader(body, start, end))
    } catch (error) {
      if (!(error instanceof MqttError)) throw error
      this.skipped++
    }
  }

  #apply(state: Restored, reader: PacketReader): void {
    const kind = reader.byte()
    if (kind === RETAINED) {
      const publication = decodeRetained(reader, this.#fromWall)
      if (publication.payload.length > 0) state.retained.set(publication.topic, publication)
      else state.retained.delete(publication.topic)
      return
    }
    if (kind === OPENED) {
      const opened = decodeOpened(reader)
      open(state, opened)
      return
    }
    const number = reader.four()
    const session = state.sessions.get(number)
    if (kind === ENDED) state.sessions.delete(number)
    else if (session) this.#change(session, kind, reader)
  }

  #change(session: RestoredSession, kind: number, reader: PacketReader): void {
    const { subscriptions, outgoing, received } = session
    switch (kind) {
      case SUBSCRIBED: {
        const subscription = decodeSubscribed(reader)
        subscriptions.set(subscription.filter, subscription)
        return
      }
      case UNSUBSCRIBED:
        subscriptions.delete(reader.text())
        return
      case QUEUED: {
        const queued = decodeQueued(reader, this.#fromWall)
        // While the client was connected it may have been sent.
        if (session.opened.since === 0) queued.sent = true
        outgoing.delete(queued.id)
        outgoing.set(queued.id, queued)
        return
      }
      case RELEASED: {
        const released = outgoing.get(reader.id())
        if (released) released.released = true
        return
      }
      case SETTLED:
        outgoing.delete(reader.id())
        return
      case RECEIVED:
        received.add(reader.id())
        return
      case FORGOTTEN:
        received.delete(reader.id())
        return
      default:
        this.skipped++
    }
  }
}

function open(state: Restored, opened: OpenedRecord): void {
  const known = opened.anew ? undefined : state.sessions.get(opened.number)
  if (!known) {
    state.sessions.set(opened.number, { opened, subscriptions: new Map(), outgoing: new Map(), received: new Set() })
    return
  }
  known.opened = opened
  // The client is there: what waits for it is sent.
  if (opened.since === 0) for (const outgoing of known.outgoing.values()) outgoing.sent = true
}

function nothing(): Restored {
  return { sessions: new Map(), retained: new Map() }
}
