/** The server's side of observing: makes notifications of responses and forgets observers that do not take them. */
import type { Option } from './codec.ts'
import { INTERNAL_SERVER_ERROR, isSuccess } from './codes.ts'
import type { Outcome } from './confirmable.ts'
import type { Endpoint } from './endpoint.ts'
import { createObservers, nextSequence, type Observation } from './observe.ts'
import { OBSERVE, uintOption } from './options.ts'
import type { Request } from './request.ts'
import { handlerOf, type Match, type Response } from './resource.ts'
import type { Peer } from './transport.ts'

/** Notifications waiting for one observer; more are refused as `timeout`. */
const MAX_WAITING = 64

export interface ServerObservation extends Observation {
  readonly sequence: number
}

export interface ServerObservations {
  /** Undefined when there are too many already: the response then says nothing of observing. */
  add(request: Request, match: Match, token: Buffer): ServerObservation | undefined
  cancel(peer: Peer, token: Buffer): void
  changed(path: string): void
  gone(peer: Peer): void
  clear(): void
  readonly size: number
}

interface Options {
  readonly endpoint: Endpoint
  readonly limit: number
  /** Makes a datagram's worth of a response. */
  shape(response: Response, extra: readonly Option[]): { code: number; options: readonly Option[]; payload: Uint8Array }
}

export function createServerObservations({ endpoint, limit, shape }: Options): ServerObservations {
  const observers = createObservers<Observer>()
  const all = new Set<Observer>()

  class Observer implements ServerObservation {
    readonly #request: Request
    readonly #match: Match
    readonly #token: Buffer
    readonly #listeners: (() => void)[] = []
    #waiting = 0
    #refreshing = false
    #stale = false
    sequence = 2
    ended = false

    constructor(request: Request, match: Match, token: Buffer) {
      this.#request = request
      this.#match = match
      // A copy: the datagram it is a view of need not stay in memory.
      this.#token = Buffer.from(token)
    }

    get peer(): Peer {
      return this.#request.peer
    }

    get path(): string {
      return this.#request.path.join('/')
    }

    get params(): Readonly<Record<string, string>> {
      return this.#match.params
    }

    notify(response: Response, done: (outcome: Outcome) => void): () => void {
      if (this.ended || this.#waiting >= MAX_WAITING) {
        done(this.ended ? 'gone' : 'timeout')
        return () => {}
      }
      this.sequence = nextSequence(this.sequence)
      const last = !isSuccess(response.code)
      const extra = last ? [] : [uintOption(OBSERVE, this.sequence)]
      const { code, options, payload } = shape(response, extra)
      this.#waiting++
      const cancel = endpoint.notify(this.peer, this.#token, code, options, payload, (outcome) => {
        this.#waiting--
        if (last || outcome !== 'acknowledged') this.end()
        done(outcome)
      })
      return () => {
        this.#waiting--
        cancel()
      }
    }

    /** Sends the present state, once the state before it has arrived. */
    refresh(): void {
      if (this.#refreshing) {
        this.#stale = true
        return
      }
      const handler = handlerOf(this.#match.resource, this.#request.code)
      this.#refreshing = true
      this.#stale = false
      const send = (response: Response) => {
        this.notify(response, () => {
          this.#refreshing = false
          if (this.#stale && !this.ended) this.refresh()
        })
      }
      if (handler) handler(this.#request, send)
      else send({ code: INTERNAL_SERVER_ERROR })
    }

    end(): void {
      if (this.ended) return
      this.ended = true
      all.delete(this)
      if (observers.find(this.peer, this.#token) === this) observers.remove(this.peer, this.#token)
      for (const listener of this.#listeners) listener()
    }

    onEnd(listener: () => void): void {
      if (this.ended) listener()
      else this.#listeners.push(listener)
    }
  }

  return {
    add(request, match, token) {
      observers.find(request.peer, token)?.end()
      if (observers.size >= limit) return undefined
      const observer = new Observer(request, match, token)
      observers.add(Buffer.from(token), observer)
      all.add(observer)
      return observer
    },
    cancel: (peer, token) => observers.find(peer, token)?.end(),
    changed(path) {
      for (const observer of observers.of(path)) observer.refresh()
    },
    gone(peer) {
      for (const observer of observers.removePeer(peer)) observer.end()
    },
    clear() {
      for (const observer of [...all]) observer.end()
    },
    get size() {
      return observers.size
    },
  }
}
