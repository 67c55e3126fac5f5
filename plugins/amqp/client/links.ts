/** Sending links, one per address, and what the peer says of what was sent on them. */
import type { Delivery, EventContext, Sender } from 'rhea'
import { NotConnectedError, RefusedError, reasonOf } from '../../../gateway/errors.ts'
import type { BrokerConfig } from '../config.ts'
import type { Publish } from '../publish.ts'
import { rejectionOf } from '../rhea.ts'
import { type Opened, peerName } from './connection.ts'

/** Links that stay open. */
const MAX_LINKS = 64

export interface Links {
  readonly publish: Publish
  /** Nobody waits any more for what was sent. */
  forget(): void
}

interface Waiting {
  resolve(): void
  reject(error: Error): void
}

export function createLinks({ rhea, connection }: Opened, config: BrokerConfig): Links {
  const name = peerName(config)
  const senders = new Map<string, Sender>()
  const waiting = new Map<Delivery, Waiting>()

  const settle = ({ delivery }: EventContext, finish: (waiting: Waiting) => void) => {
    const found = delivery && waiting.get(delivery)
    if (!found) return
    waiting.delete(delivery)
    finish(found)
  }
  connection.on('accepted', (event: EventContext) => settle(event, ({ resolve }) => resolve()))
  connection.on('rejected', (event: EventContext) =>
    settle(event, ({ reject }) =>
      reject(
        new RefusedError(
          'SLUICE_AMQP_NOT_TAKEN',
          `${name} rejects a message: ${rejectionOf(event) ?? 'without a reason'}`,
        ),
      ),
    ),
  )
  connection.on('released', (event: EventContext) =>
    settle(event, ({ reject }) =>
      reject(new NotConnectedError('SLUICE_AMQP_UNROUTABLE', `${name} does not take a message now`)),
    ),
  )

  /** A link on which the peer lets us send. */
  const senderFor = (address: string): Promise<Sender> => {
    const known = senders.get(address)
    if (known) return ready(known)
    if (senders.size >= MAX_LINKS) {
      const [oldest, sender] = senders.entries().next().value as [string, Sender]
      senders.delete(oldest)
      sender.close()
    }
    const sender = connection.open_sender({ target: { address, durable: 2 }, autosettle: true })
    senders.set(address, sender)
    return ready(sender)
  }

  /** Anything sent before the link is attached, or without credit, would wait in the library. */
  const ready = (sender: Sender): Promise<Sender> => {
    if (sender.sendable()) return Promise.resolve(sender)
    return new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        sender.off('sendable', sendable)
        sender.off('sender_close', closed)
        finish()
      }
      const sendable = () => end(() => resolve(sender))
      const closed = () =>
        end(() => {
          const why = sender.error ? `: ${reasonOf((sender.error as { description?: string }).description)}` : ''
          reject(new NotConnectedError('SLUICE_AMQP_UNROUTABLE', `${name} closes a link${why}`))
        })
      sender.on('sendable', sendable)
      sender.on('sender_close', closed)
    })
  }

  return {
    async publish(address, body, id) {
      const sender = await senderFor(address).catch((error: unknown) => {
        senders.delete(address)
        throw error
      })
      const delivery = sender.send({
        message_id: id,
        durable: true,
        to: address,
        content_type: 'application/json',
        ...(config.gzip ? { content_encoding: 'gzip' } : {}),
        body: rhea.message.data_section(body),
      })
      await new Promise<void>((resolve, reject) => waiting.set(delivery, { resolve, reject }))
    },
    forget: () => waiting.clear(),
  }
}
