/**
 * Messages of all links on their way to the journal. A link's credit is what the peer may still send: it comes back
 * when a message has become durable, so that nothing is under way beyond `credit`. When the journal has no room,
 * nothing is read from any socket.
 */
import type { Connection, Delivery, EventContext, Receiver } from 'rhea'
import type { Emit, Message, PluginContext } from '../../../gateway/plugin.ts'
import type { ListenConfig } from '../config.ts'
import { type Arrival, readMessage } from '../message.ts'
import { addressOf, arrivalOf, flush, limitMessages, terminus } from '../rhea.ts'
import type { CommandLinks } from './commands.ts'
import type { Identity, Users } from './users.ts'

export interface Intake {
  /** Serves a link on which the peer sends. */
  attach(receiver: Receiver, identity: Identity): void
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
  readonly connection: Connection
  readonly identity: Identity
  /** Topic of messages that name none. */
  readonly address: string | undefined
  /** Credit to be given back. */
  owed: number
}

interface Held {
  readonly link: Link
  readonly delivery: Delivery
  readonly message: Message
}

const ACKNOWLEDGEMENT = /^command\/([^/]+)\/[^/]+\/ack$/

export function createIntake(parts: IntakeParts): Intake {
  const { config, context, emit, users, commands } = parts
  const refill = Math.max(1, config.credit >> 2)
  const held: Held[] = []
  let underWay = 0
  let ended = false
  let idle: (() => void) | undefined

  const grant = (link: Link) => {
    link.owed++
    if (link.owed < refill) return
    link.receiver.add_credit(link.owed)
    link.owed = 0
  }

  const accept = (link: Link, delivery: Delivery) => {
    if (!link.receiver.is_open()) return
    delivery.accept()
    grant(link)
  }

  const refuse = (link: Link, delivery: Delivery, condition: string | undefined, description: string) => {
    context.metrics.count(condition === undefined ? 'released' : 'rejected')
    if (!link.receiver.is_open()) return
    flush(link.connection)
    if (condition === undefined) delivery.release()
    else delivery.reject({ condition, description })
    flush(link.connection)
    grant(link)
  }

  const offer = (link: Link, delivery: Delivery, message: Message): boolean => {
    underWay++
    const taken = emit.offer(message, (error) => {
      underWay--
      if (error) refuse(link, delivery, undefined, error.message)
      else accept(link, delivery)
      if (underWay === 0) idle?.()
    })
    if (!taken) underWay--
    return taken
  }

  const drain = async () => {
    parts.pause()
    while (held.length > 0 && !ended) {
      await emit.room()
      let taken = 0
      for (const { link, delivery, message } of held) {
        if (ended || !offer(link, delivery, message)) break
        taken++
      }
      held.splice(0, taken)
    }
    parts.resume()
  }

  const take = (link: Link, context: EventContext) => {
    const arrival = arrivalOf(context)
    if (!arrival) return
    const { delivery, bytes } = arrival
    const read = readMessage(bytes)
    const topic = topicOf(read, link)
    if (topic === undefined) refuse(link, delivery, 'amqp:invalid-field', 'neither target nor `to` is a topic')
    else if (read.body === undefined)
      refuse(link, delivery, 'amqp:not-implemented', 'a body is data, or a value of binary or text')
    else if (topic.startsWith('command/')) answered(link, delivery, topic, read, read.body)
    else if (!users.mayPublish(link.identity, topic))
      refuse(link, delivery, 'amqp:unauthorized-access', `${link.identity} may not send to ${topic}`)
    else telemetry(link, delivery, topic, read, read.body)
  }

  const telemetry = (link: Link, delivery: Delivery, topic: string, { contentType }: Arrival, payload: Buffer) => {
    const message = contentType === undefined ? { topic, payload } : { topic, payload, contentType }
    if (held.length > 0) held.push({ link, delivery, message })
    else if (!offer(link, delivery, message)) {
      held.push({ link, delivery, message })
      drain()
    }
  }

  const answered = (link: Link, delivery: Delivery, topic: string, { correlationId }: Arrival, body: Buffer) => {
    const device = ACKNOWLEDGEMENT.exec(topic)?.[1]
    if (device === undefined) refuse(link, delivery, 'amqp:not-found', `${topic} takes no messages`)
    else if (!users.mayBeCommanded(link.identity, device))
      refuse(link, delivery, 'amqp:unauthorized-access', `${link.identity} may not answer for ${device}`)
    else if (!commands.answer(device, correlationId, body))
      refuse(link, delivery, 'amqp:decode-error', 'an answer is {"id","ok","result"?}')
    else accept(link, delivery)
  }

  return {
    attach(receiver, identity) {
      const { connection } = receiver
      const address = addressOf(receiver.target)
      const source = addressOf(receiver.source)
      const link: Link = { receiver, connection, identity, address, owed: 0 }
      receiver.set_target(terminus(address))
      receiver.set_source(terminus(source))
      limitMessages(receiver, config.maxMessage)
      receiver.on('message', (event: EventContext) => take(link, event))
      receiver.add_credit(config.credit)
    },
    settled: (ms) =>
      new Promise((resolve) => {
        if (underWay === 0) return resolve()
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

/** `to` names a topic per message; the target names one for all. */
function topicOf({ to }: Arrival, { address }: Link): string | undefined {
  const topic = (to ?? address)?.replace(/^\//, '')
  return topic === undefined || topic === '' || topic.length > 1024 || /[+#\0]/.test(topic) ? undefined : topic
}
