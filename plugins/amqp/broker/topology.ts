/** Declares, or only looks for, what a source consumes from. */
import type { Channel } from 'amqplib'
import type { BrokerConfig } from '../config.ts'

export async function declareQueue(channel: Channel, config: BrokerConfig, queue: string): Promise<void> {
  if (!config.declare) await channel.checkQueue(queue)
  else
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': config.queueType, ...config.arguments },
    })
  for (const { exchange, key, type } of config.bindings) {
    if (type !== undefined) await channel.assertExchange(exchange, type, { durable: true })
    await channel.bindQueue(queue, exchange, key)
  }
}
