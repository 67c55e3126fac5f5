/**
 * Publishes batches to an exchange with publisher confirms. A message that no queue takes is returned by the broker
 * before it is confirmed (`mandatory`), and one that a full queue refuses (`overflow: reject-publish`) is not
 * confirmed: both are sent again later.
 */
import type { ChannelModel, ConfirmChannel, Message } from 'amqplib'
import { NotConnectedError, RefusedError, reasonOf } from '../../../gateway/errors.ts'
import type { CommandListener, PluginContext, Sink } from '../../../gateway/plugin.ts'
import type { BrokerConfig } from '../config.ts'
import { createDeadline, type Deadline } from '../deadline.ts'
import { type Publish, publishBatch } from '../publish.ts'
import { fill } from '../routing.ts'
import { type CommandConsumer, consumeCommands } from './commands.ts'
import { brokerName, endWithin, lostConnection, openConnection } from './connection.ts'
import { declareExchange } from './topology.ts'

interface Link {
  readonly model: ChannelModel
  /** undefined after the broker closed it; a new one is opened for the next batch. */
  channel: ConfirmChannel | undefined
  /** Identifiers of messages that came back before they were confirmed. */
  readonly returned: Set<string>
  /** Why the broker closed the channel. */
  failure: Error | undefined
  blocked: boolean
  /** Called when the broker takes messages again. */
  unblocked: (() => void) | undefined
  /** Ends what is being written. */
  writing: Deadline | undefined
  commands: CommandConsumer | undefined
}

const COMMANDS = 'sluice.{gateway}.command'

/** AMQP 0-9-1 reply codes (1.2 of its reference). */
const CONTENT_TOO_LARGE = 311
const PRECONDITION_FAILED = 406

export function createBrokerSink(config: BrokerConfig, context: PluginContext): Sink {
  const listeners = new Set<(reason: Error) => void>()
  const name = brokerName(config)
  const queue =
    config.commandsFrom === false ? undefined : fill(config.commandsFrom ?? COMMANDS, { gateway: context.gateway })
  let link: Link | undefined
  let command: CommandListener | undefined

  const openChannel = async (to: Link): Promise<ConfirmChannel> => {
    const channel = await to.model.createConfirmChannel()
    channel.on('error', (error: Error) => {
      to.failure = channelFailure(error)
    })
    channel.on('close', () => {
      if (to.channel === channel) to.channel = undefined
      to.writing?.end(to.failure ?? lostConnection(config))
    })
    channel.on('return', ({ properties }: Message) => to.returned.add(String(properties.messageId)))
    if (config.exchange !== '')
      await (config.declare
        ? declareExchange(to.model, channel, config.exchange, 'topic')
        : channel.checkExchange(config.exchange))
    to.failure = undefined
    return channel
  }

  const channelFailure = (cause: Error): Error => {
    const { code } = cause as { code?: unknown }
    const text = `broker ${name} closed the channel: ${reasonOf(cause)}`
    if (code === CONTENT_TOO_LARGE || (code === PRECONDITION_FAILED && /size/i.test(cause.message)))
      return new RefusedError('SLUICE_AMQP_TOO_LARGE', text, { cause })
    return new NotConnectedError('SLUICE_AMQP_CHANNEL', text, { cause })
  }

  const failure = (to: Link, cause: unknown): Error =>
    to.failure ?? new NotConnectedError('SLUICE_AMQP_NOT_TAKEN', `broker ${name} does not take a message`, { cause })

  const unroutable = (key: string) =>
    new NotConnectedError('SLUICE_AMQP_UNROUTABLE', `no queue at ${name} takes messages with key ${key}`)

  const options = {
    persistent: true,
    mandatory: config.mandatory,
    contentType: 'application/json',
    ...(config.gzip ? { contentEncoding: 'gzip' } : {}),
    appId: `sluice/${context.gateway}`,
  }

  const publisher = (to: Link, channel: ConfirmChannel): Publish => {
    return (key, body, id) =>
      new Promise((resolve, reject) => {
        channel.publish(config.exchange, key, body, { ...options, messageId: id }, (error) => {
          if (to.returned.delete(id)) reject(unroutable(key))
          else if (error) reject(failure(to, error))
          else resolve()
        })
      })
  }

  /** A blocked broker reads nothing: sending to it would only fill the memory. */
  const unblocked = (to: Link): Promise<void> => {
    if (!to.blocked) return Promise.resolve()
    return new Promise((resolve) => {
      to.unblocked = resolve
    })
  }

  return {
    async connect(signal) {
      const model = await openConnection(config, context, 'sink', signal)
      const opened: Link = {
        model,
        channel: undefined,
        returned: new Set(),
        failure: undefined,
        blocked: false,
        unblocked: undefined,
        writing: undefined,
        commands: undefined,
      }
      model.on('blocked', (reason) => {
        opened.blocked = true
        context.log.warn({ reason }, `broker ${name} blocks us`)
      })
      model.on('unblocked', () => {
        opened.blocked = false
        opened.unblocked?.()
      })
      model.once('close', (cause) => {
        opened.commands?.end()
        opened.writing?.end(lostConnection(config, cause))
        if (link !== opened) return
        link = undefined
        for (const listener of listeners) listener(lostConnection(config, cause))
      })
      const deadline = createDeadline(context.clock, config.timeout, signal, () => timedOut(name))
      try {
        opened.channel = await Promise.race([openChannel(opened), deadline.over])
      } catch (cause) {
        endWithin(model, context, 500)
        throw cause instanceof NotConnectedError || signal.aborted
          ? cause
          : (opened.failure ?? lostConnection(config, cause))
      } finally {
        deadline.clear()
      }
      link = opened
      if (command && queue !== undefined)
        opened.commands = consumeCommands(opened.model, config, queue, context, command)
    },

    async write(batch, signal) {
      const to = link
      if (!to) throw lostConnection(config)
      signal.throwIfAborted()
      const deadline = createDeadline(context.clock, config.timeout, signal, () =>
        to.blocked ? new NotConnectedError('SLUICE_AMQP_BLOCKED', `broker ${name} blocks us`) : timedOut(name),
      )
      to.writing = deadline
      try {
        await Promise.race([unblocked(to), deadline.over])
        to.channel ??= await Promise.race([openChannel(to), deadline.over])
        await publishBatch(config, config.routingKey, batch, publisher(to, to.channel), deadline)
      } catch (error) {
        if (error instanceof Error && error.name === 'IllegalOperationError') throw failure(to, error)
        throw error
      } finally {
        to.writing = undefined
        deadline.clear()
      }
    },

    async close() {
      const ended = link
      link = undefined
      ended?.commands?.end()
      if (ended) await endWithin(ended.model, context, 500)
    },

    ...(queue === undefined
      ? {}
      : {
          onCommand(listener: CommandListener) {
            command = listener
          },
        }),

    onLost(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function timedOut(name: string): NotConnectedError {
  return new NotConnectedError('SLUICE_AMQP_TIMEOUT', `broker ${name} did not confirm in time`)
}
