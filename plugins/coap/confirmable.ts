/** Confirmable messages of ours: sent again with growing pauses until acknowledged (RFC 7252 §4.2), few at a time (§4.7). */
import type { Clock, Timer } from '../../gateway/plugin.ts'
import type { Correspondent } from './correspondent.ts'
import type { Parameters } from './parameters.ts'

/** `gone`: the peer's session ended first. */
export type Outcome = 'acknowledged' | 'reset' | 'timeout' | 'gone'

export interface Confirmable {
  readonly encode: (id: number) => Buffer
  readonly done: (outcome: Outcome) => void
  /** Of the request in it. */
  readonly token: Buffer | undefined
  id: number
  data: Buffer | undefined
  attempts: number
  timeout: number
  timer: Timer | undefined
}

export interface Confirmables {
  send(to: Correspondent, encode: (id: number) => Buffer, done: (outcome: Outcome) => void, token?: Buffer): Confirmable
  /** Sends it no more, whether it was sent or not; `done` is not called. */
  cancel(to: Correspondent, message: Confirmable): void
  /** Ends the message under way with that id. False when there is none. */
  settle(to: Correspondent, id: number, outcome: Outcome): boolean
  /** Ends the request with that token without an outcome: it was answered, or is not wanted any more. */
  settleToken(to: Correspondent, token: Buffer): void
  /** The peer is gone. */
  drop(to: Correspondent): void
}

export function createConfirmables(
  clock: Clock,
  parameters: Parameters,
  transmit: (to: Correspondent, data: Buffer) => boolean,
): Confirmables {
  function start(to: Correspondent, message: Confirmable): void {
    to.underWay ??= new Map()
    do to.nextId = (to.nextId + 1) & 0xffff
    while (to.underWay.has(to.nextId))
    message.id = to.nextId
    message.data = message.encode(message.id)
    message.timeout = parameters.ackTimeout * (1 + Math.random() * (parameters.ackRandomFactor - 1))
    to.underWay.set(message.id, message)
    attempt(to, message)
  }

  function attempt(to: Correspondent, message: Confirmable): void {
    transmit(to, message.data as Buffer)
    message.timer = clock.after(message.timeout, () => {
      if (message.attempts === parameters.maxRetransmit) {
        end(to, message, 'timeout')
        return
      }
      message.attempts++
      message.timeout *= 2
      attempt(to, message)
    })
  }

  function end(to: Correspondent, message: Confirmable, outcome: Outcome | undefined): void {
    message.timer?.cancel()
    to.underWay?.delete(message.id)
    const next = to.waiting?.shift()
    if (next) start(to, next)
    // Most peers are silent most of the time: what is empty takes no memory.
    if (to.underWay?.size === 0) to.underWay = undefined
    if (to.waiting?.length === 0) to.waiting = undefined
    if (outcome) message.done(outcome)
  }

  return {
    send(to, encode, done, token) {
      const message: Confirmable = {
        encode,
        done,
        token,
        id: 0,
        data: undefined,
        attempts: 0,
        timeout: 0,
        timer: undefined,
      }
      if ((to.underWay?.size ?? 0) < parameters.nstart) start(to, message)
      else {
        to.waiting ??= []
        to.waiting.push(message)
      }
      return message
    },
    cancel(to, message) {
      if (to.underWay?.get(message.id) === message) end(to, message, undefined)
      else to.waiting = to.waiting?.filter((m) => m !== message)
    },
    settle(to, id, outcome) {
      const message = to.underWay?.get(id)
      if (!message) return false
      end(to, message, outcome)
      return true
    },
    settleToken(to, token) {
      to.waiting = to.waiting?.filter((m) => !m.token?.equals(token))
      for (const message of to.underWay?.values() ?? [])
        if (message.token?.equals(token)) {
          end(to, message, undefined)
          return
        }
    },
    drop(to) {
      const all = [...(to.underWay?.values() ?? []), ...(to.waiting ?? [])]
      to.underWay = undefined
      to.waiting = undefined
      for (const message of all) {
        message.timer?.cancel()
        message.done('gone')
      }
    },
  }
}
