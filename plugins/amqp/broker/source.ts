/**
 * Consumes a queue. A message is acknowledged when the gateway has it on disk; many are acknowledged at once
 * (`multiple`), because they become durable in the order in which they came. When there is no room nothing is
 * acknowledged, and the broker stops at `prefetch`.
 */
import type { Channel, ChannelModel } from 'amqplib'
import { NotConnectedError, reasonOf } from '../../../gateway/errors.ts'
import type { Emit, PluginContext, Roles, Source } from '../../../gateway/plugin.ts'
import type { BrokerConfig } from '../config.ts'
import { createDeadline } from '../deadline.ts'
import { createBrokerCommander } from './commander.ts'
import { brokerName, endWithin, lostConnection, openConnection } from './connection.ts'
import { createDeliveries } from './deliveries.ts'
import { declareQueue } from './topology.ts'

/** How long acknowledgements under way are waited for when the source stops, ms. */
const LINGER = 400

export function createBrokerSource(config: BrokerConfig, context: PluginContext): Roles {
  const commands = config.commands && createBrokerCommander(config, config.commands, context)
  const source: Source = {
    async run(emit, signal) {
      let model: ChannelModel | undefined
      try {
        model = await openConnection(config, context, 'source', signal)
        await serve(model, emit, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        commands?.stop()
        if (model) await endWithin(model, context, 400)
      }
    },
  }

  const serve = async (model: ChannelModel, emit: Emit, signal: AbortSignal): Promise<void> => {
    const late = () =>
      new NotConnectedError('SLUICE_AMQP_TIMEOUT', `broker ${brokerName(config)} did not answer in time`)
    const setup = createDeadline(context.clock, config.timeout, signal, late)
    const broken = breakage(model, config)
    let consumption: Consumption | undefined
    try {
      const ready = (async () => {
        if (config.queue !== undefined)
          consumption = await consume(model, config, config.queue, context, emit, broken.fail)
        await commands?.start(model, broken.fail)
      })()
      await Promise.race([ready, setup.over, broken.failed])
      setup.clear()
      await Promise.race([aborted(signal), broken.failed])
      await consumption?.stop()
    } catch (cause) {
      throw cause instanceof NotConnectedError || signal.aborted ? cause : refusal(config, cause)
    } finally {
      setup.clear()
    }
  }
  return commands ? { source, commander: commands.commander } : { source }
}

interface Breakage {
  /** Rejects when the connection or a channel is lost. */
  readonly failed: Promise<never>
  fail(error: Error): void
}

function breakage(model: ChannelModel, config: BrokerConfig): Breakage {
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => {})
  model.once('close', (cause) => fail(lostConnection(config, cause)))
  return { failed, fail: (error) => fail(error) }
}

function refusal(config: BrokerConfig, cause: unknown): NotConnectedError {
  return new NotConnectedError('SLUICE_AMQP_CHANNEL', `broker ${brokerName(config)} refuses: ${reasonOf(cause)}`, {
    cause,
  })
}

interface Consumption {
  /** No further messages; waits a moment for what is under way. */
  stop(): Promise<void>
}

async function consume(
  model: ChannelModel,
  config: BrokerConfig,
  queue: string,
  context: PluginContext,
  emit: Emit,
  fail: (error: Error) => void,
): Promise<Consumption> {
  const channel: Channel = await model.createChannel()
  channel.on('error', (cause) => fail(refusal(config, cause)))
  await channel.prefetch(config.prefetch)
  await declareQueue(model, channel, config, queue)
  const deliveries = createDeliveries(channel, config, context, emit)
  channel.on('close', () => {
    deliveries.end()
    fail(lostConnection(config))
  })
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message) deliveries.take(message)
    // The queue was deleted, or its node went down.
    else fail(new NotConnectedError('SLUICE_AMQP_CANCELLED', `broker ${brokerName(config)} ended queue ${queue}`))
  })
  return {
    async stop() {
      await Promise.race([channel.cancel(consumerTag).catch(() => {}), context.clock.sleep(LINGER)])
      await deliveries.settled(LINGER)
      deliveries.end()
    },
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
