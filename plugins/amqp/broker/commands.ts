/**
 * Commands from upstream: a queue of the broker that the batches go to. A command is acknowledged when it is durable
 * here; what is no command is refused, and dead-lettered when the queue says where to. A broker that does not let us
 * consume is no reason to send it nothing: it is tried again now and then.
 */
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib'
import { RefusedError, reasonOf } from '../../../gateway/errors.ts'
import type { CommandListener, PluginContext, Timer } from '../../../gateway/plugin.ts'
import type { BrokerConfig } from '../config.ts'
import { brokerName } from './connection.ts'
import { declareQueue } from './topology.ts'

/** Commands under way at a time. */
const PREFETCH = 50
/** ms until a queue that could not be consumed, or a command that was not taken, has its next try. */
const AGAIN = 5000

export interface CommandConsumer {
  end(): void
}

export function consumeCommands(
  model: ChannelModel,
  config: BrokerConfig,
  queue: string,
  context: PluginContext,
  listener: CommandListener,
): CommandConsumer {
  const timers = new Set<Timer>()
  let ended = false
  let said: string | undefined

  const later = (action: () => void) => {
    const timer = context.clock.after(AGAIN, () => {
      timers.delete(timer)
      action()
    })
    timers.add(timer)
  }

  /** The same reason is told once. */
  const complain = (cause: unknown) => {
    const reason = reasonOf(cause)
    if (reason === said) return
    said = reason
    context.log.warn({ queue, reason }, `no commands from upstream: cannot consume ${queue} at ${brokerName(config)}`)
  }

  const take = (channel: Channel, isOpen: () => boolean, message: ConsumeMessage) => {
    const messageId: unknown = message.properties.messageId
    listener(message.content, typeof messageId === 'string' ? messageId : undefined).then(
      () => {
        if (isOpen()) channel.ack(message)
      },
      (error: unknown) => {
        const never = error instanceof RefusedError
        context.metrics.count(never ? 'commands_refused' : 'commands_not_taken')
        context.log.warn({ queue, reason: reasonOf(error) }, 'a command from upstream was not taken')
        const giveBack = () => {
          if (isOpen()) channel.nack(message, false, !never)
        }
        if (never) giveBack()
        else later(giveBack)
      },
    )
  }

  const consume = async (channel: Channel): Promise<void> => {
    let open = true
    channel.on('error', complain)
    channel.on('close', () => {
      open = false
      if (!ended) later(start)
    })
    await channel.prefetch(PREFETCH)
    await declareQueue(model, channel, config, queue)
    await channel.consume(queue, (message) => {
      if (message) take(channel, () => open && !ended, message)
      // The queue was deleted, or its node went down.
      else channel.close().catch(() => {})
    })
    said = undefined
  }

  const start = () => {
    if (ended) return
    model.createChannel().then(consume).catch(complain)
  }

  start()
  return {
    end() {
      ended = true
      for (const timer of timers) timer.cancel()
    },
  }
}
