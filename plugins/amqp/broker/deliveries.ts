/** Messages of one channel on their way to the journal. */
import type { Channel, ConsumeMessage } from 'amqplib'
import type { Emit, Message, PluginContext } from '../../../gateway/plugin.ts'
import type { BrokerConfig } from '../config.ts'

export interface Deliveries {
  take(message: ConsumeMessage): void
  /** Resolves when nothing is under way, at the latest after `ms`. */
  settled(ms: number): Promise<void>
  /** The channel is gone: nothing is acknowledged any more. */
  end(): void
}

export function createDeliveries(
  channel: Pick<Channel, 'ack' | 'nack'>,
  config: Pick<BrokerConfig, 'dotsToSlashes' | 'refused'>,
  context: PluginContext,
  emit: Emit,
): Deliveries {
  /** Came while there was no room; at most `prefetch`. */
  const held: ConsumeMessage[] = []
  let underWay = 0
  let ended = false
  let toAcknowledge: ConsumeMessage | undefined
  let idle: (() => void) | undefined

  /** The journal settles many in one go: they are acknowledged together when it is done. */
  const acknowledge = (message: ConsumeMessage) => {
    if (!toAcknowledge) queueMicrotask(flush)
    toAcknowledge = message
  }
  const flush = () => {
    const last = toAcknowledge
    toAcknowledge = undefined
    if (last && !ended) channel.ack(last, true)
  }

  const refuse = (message: ConsumeMessage) => {
    // What came before was settled, and `multiple` must not take in this one.
    flush()
    if (!ended) channel.nack(message, false, config.refused === 'requeue')
    context.metrics.count('refused')
  }

  const offer = (message: ConsumeMessage): boolean => {
    const offered = messageOf(message, config.dotsToSlashes)
    if (!offered) {
      // It would come back for ever. With a dead-letter exchange the broker keeps it.
      context.metrics.count('invalid_topic')
      context.log.warn({ key: message.fields.routingKey }, 'a routing key is no topic: the message is dead-lettered')
      if (!ended) channel.nack(message, false, false)
      return true
    }
    underWay++
    const taken = emit.offer(offered, (error) => {
      underWay--
      if (error) refuse(message)
      else acknowledge(message)
      if (underWay === 0) idle?.()
    })
    if (!taken) underWay--
    return taken
  }

  const drain = async () => {
    while (held.length > 0 && !ended) {
      await emit.room()
      while (held.length > 0 && !ended && offer(held[0] as ConsumeMessage)) held.shift()
    }
  }

  return {
    take(message) {
      if (held.length > 0) held.push(message)
      else if (!offer(message)) {
        held.push(message)
        drain()
      }
    },
    settled: (ms) =>
      new Promise((resolve) => {
        if (underWay === 0) {
          flush()
          return resolve()
        }
        const timer = context.clock.after(ms, resolve)
        idle = () => {
          timer.cancel()
          flush()
          resolve()
        }
      }),
    end() {
      ended = true
      held.length = 0
    },
  }
}

function messageOf(message: ConsumeMessage, dotsToSlashes: boolean): Message | undefined {
  const { routingKey } = message.fields
  const topic = dotsToSlashes ? routingKey.replaceAll('.', '/') : routingKey
  if (topic === '' || /[+#\0]/.test(topic)) return undefined
  const contentType: unknown = message.properties.contentType
  return {
    topic,
    payload: message.content,
    ...(typeof contentType === 'string' ? { contentType } : {}),
  }
}
