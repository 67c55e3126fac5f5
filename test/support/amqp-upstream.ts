/** An exchange of a real RabbitMQ as upstream, with a consumer that takes batches. */
import { type ChannelModel, connect } from 'amqplib'
import { createInbox, type Inbox } from './batches.ts'

export interface AmqpUpstream {
  readonly inbox: Inbox
  /** Publishes to a queue, as whoever commands devices from there does. */
  command(queue: string, order: object): void
  close(): Promise<void>
}

/** @param gateway whose batches are expected at `exchange` */
export async function openAmqpUpstream(port: number, exchange: string, gateway: string): Promise<AmqpUpstream> {
  const model: ChannelModel = await connect(`amqp://127.0.0.1:${port}`)
  model.on('error', () => {})
  const channel = await model.createChannel()
  const inbox = createInbox(gateway)
  await channel.assertExchange(exchange, 'topic', { durable: true })
  const { queue } = await channel.assertQueue('', { exclusive: true })
  await channel.bindQueue(queue, exchange, '#')
  await channel.consume(queue, (message) => message && void inbox.take(message.content.toString()), { noAck: true })
  return {
    inbox,
    command: (to, order) => void channel.sendToQueue(to, Buffer.from(JSON.stringify(order))),
    close: () => model.close().catch(() => {}),
  }
}
