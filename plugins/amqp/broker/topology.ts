/** Declares what is not there yet; what is there is used as it is, however it was declared. */
import type { Channel, ChannelModel } from 'amqplib'
import type { BrokerConfig } from '../config.ts'

const NOT_FOUND = 404

export async function declareQueue(
  model: ChannelModel,
  channel: Channel,
  config: BrokerConfig,
  queue: string,
): Promise<void> {
  if (!config.declare) await channel.checkQueue(queue)
  else if (!(await exists(model, (asking) => asking.checkQueue(queue))))
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': config.queueType, ...config.arguments },
    })
  for (const { exchange, key, type } of config.bindings) {
    if (type !== undefined) await declareExchange(model, channel, exchange, type)
    await channel.bindQueue(queue, exchange, key)
  }
}

export async function declareExchange(
  model: ChannelModel,
  channel: Channel,
  exchange: string,
  type: string,
): Promise<void> {
  if (!(await exists(model, (asking) => asking.checkExchange(exchange))))
    await channel.assertExchange(exchange, type, { durable: true })
}

/** Asks on a channel of its own: the broker closes the channel on which something is not found. */
async function exists(model: ChannelModel, ask: (channel: Channel) => Promise<unknown>): Promise<boolean> {
  const asking = await model.createChannel()
  asking.on('error', () => {})
  try {
    await ask(asking)
  } catch (error) {
    if ((error as { code?: unknown }).code === NOT_FOUND) return false
    throw error
  }
  await asking.close()
  return true
}
