/**
 * Messages of all links on their way to the journal. A link's credit is what the peer may still send: it comes back
 * when a message has become durable, so that nothing is under way beyond `credit`. When the journal has no room,
 * nothing is read from any socket.
 */
import type { Receiver } from 'rhea'
import type { Emit, Message, PluginContext } from '../../../gateway/plugin.ts'
import type { ListenConfig } from '../config.ts'
import { type Arrival, readMessage } from '../message.ts'
import { addressOf, limitMessages, terminus } from '../rhea.ts'
import type { CommandLinks } from './commands.ts'
import type { Take } from './lane.ts'
import { Line } from './line.ts'
import type { Outcomes } from './outcomes.ts'
import type { Identity, Users } from './users.ts'

export interface Intake {
  /** Serves a link on which the peer sends. */
  attach(receiver: Receiver, identity: Identity, outcomes: Outcomes): void
  /** Of attached links. */
  readonly take: Take
  /** Resolves when nothing is under way, at the latest after `ms`. */
  settled(ms: number): Promise<void>
  end(): void
}

export interface IntakeParts {
  readonly config: ListenConfig
  readonly context: PluginContext
  readonly emit: Emit
  readonly users: Users
  readonly commands: CommandLinks
  /** Stops and resumes reading all sockets. */
  pause(): void
  resume(): void
}

interface Link {
  readonly receiver: Receiver
  readonly identity: Identity
  readonly outcomes: Outcomes
  /** Topic of messages that name none. */
  readonly address: string | undefined
  /** Credit to be given back. */
  owed: number
}

/** One message, as long as its outcome is open. A peer that sent it settled wants to hear of none. */
interface Delivery {
  readonly link: Link
  readonly id: number
  readonly settled: boolean
}

interface Held {
  readonly delivery: Delivery
  readonly message: Message
}

const ACKNOWLEDGEMENT = /^command\/([^/]+)\/[^/]+\/ack$/

export function createIntake(parts: IntakeParts): Intake {
  const { config, context, emit, users, commands } = parts
  const refill = Math.max(1, config.credit >> 2)
  const links = new WeakMap<Receiver, Link>()
  const held: Held[] = []
  const underWay = new Line<Delivery>()
  let ended = false
  let idle: (() => void) | undefined

  const grant = (link: Link) => {
    link.owed++
    if (link.owed < refill) return
    link.receiver.add_credit(link.owed)
    link.owed = 0
  }

  const settle = ({ link, id, settled }: Delivery, tell: (outcomes: Outcomes, id: number) => void) => {
    if (!link.receiver.is_open()) return
    if (!settled) tell(link.outcomes, id)
    grant(link)
  }

  const accept = (delivery: Delivery) => settle(delivery, accepted)

  const release = (delivery: Delivery) => {
    context.metrics.count('released')
    settle(delivery, released)
  }

  const reject = (delivery: Delivery, condition: string, description: string) => {
    context.metrics.count('rejected')
    settle(delivery, (outcomes, id) => outcomes.reject(id, condition, description))
  }

  /** One for all: they become durable in the order in which they were offered. */
  const durable = (error: Error | null) => {
    const delivery = underWay.shift()
    if (error) release(delivery)
    else accept(delivery)
    if (underWay.size === 0) idle?.()
  }

  const offer = (delivery: Delivery, message: Message): boolean => {
    underWay.push(delivery)
    const taken = emit.offer(message, durable)
    if (!taken) underWay.pop()
    return taken
  }

  const drain = async () => {
    parts.pause()
    while (held.length > 0 && !ended) {
      await emit.room()
      let taken = 0
      for (const { delivery, message } of held) {
        if (ended || !offer(delivery, message)) break
        taken++
      }
      held.splice(0, taken)
    }
    parts.resume()
  }

  const telemetry = (delivery: Delivery, message: Message) => {
    if (held.length > 0) held.push({ delivery, message })
    else if (!offer(delivery, message)) {
      held.push({ delivery, message })
      drain()
    }
  }

  const answered = (delivery: Delivery, topic: string, { correlationId }: Arrival, body: Buffer) => {
    const { identity } = delivery.link
    const device = ACKNOWLEDGEMENT.exec(topic)?.[1]
    if (device === undefined) reject(delivery, 'amqp:not-found', `${topic} takes no messages`)
    else if (!users.mayBeCommanded(identity, device))
      reject(delivery, 'amqp:unauthorized-access', `${identity} may not answer for ${device}`)
    else if (!commands.answer(device, correlationId, body))
      reject(delivery, 'amqp:decode-error', 'an answer is {"id","ok","result"?}')
    else accept(delivery)
  }

  return {
    attach(receiver, identity, outcomes) {
      const address = addressOf(receiver.target)
      const source = addressOf(receiver.source)
      links.set(receiver, { receiver, identity, outcomes, address, owed: 0 })
      receiver.set_target(terminus(address))
      receiver.set_source(terminus(source))
      limitMessages(receiver, config.maxMessage)
      receiver.add_credit(config.credit)
    },

    take(receiver, id, settled, bytes, start, end) {
      const link = links.get(receiver)
      if (!link || ended) return
      const delivery = { link, id, settled }
      const read = readMessage(bytes, start, end)
      const { body, contentType } = read
      const topic = topicOf(read, link)
      if (topic === undefined) reject(delivery, 'amqp:invalid-field', 'neither target nor `to` is a topic')
      else if (body === undefined)
        reject(delivery, 'amqp:not-implemented', 'a body is data, or a value of binary or text')
      else if (topic.startsWith('command/')) answered(delivery, topic, read, body)
      else if (!users.mayPublish(link.identity, topic))
        reject(delivery, 'amqp:unauthorized-access', `${link.identity} may not send to ${topic}`)
      else
        telemetry(
          delivery,
          contentType === undefined ? { topic, payload: body } : { topic, payload: body, contentType },
        )
    },

    settled: (ms) =>
      new Promise((resolve) => {
        if (underWay.size === 0) return resolve()
        const timer = context.clock.after(ms, resolve)
        idle = () => {
          timer.cancel()
          resolve()
        }
      }),

    end() {
      ended = true
      held.length = 0
    },
  }
}

function accepted(outcomes: Outcomes, id: number): void {
  outcomes.accept(id)
}

function released(outcomes: Outcomes, id: number): void {
  outcomes.release(id)
}

/** `to` names a topic per message; the target names one for all. */
function topicOf({ to }: Arrival, { address }: Link): string | undefined {
  const topic = (to ?? address)?.replace(/^\//, '')
  return topic === undefined || topic === '' || topic.length > 1024 || /[+#\0]/.test(topic) ? undefined : topic
}
