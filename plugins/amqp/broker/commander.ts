/**
 * Request and reply over a broker. A command is published with its id as correlation id and RabbitMQ's direct reply-to
 * as reply address; the device's reply is `{ok, result?, reason?}` with that correlation id. A command that no queue
 * takes was not sent: it comes back, and the device counts as unreachable for a moment.
 */
import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage, Message } from 'amqplib'
import { NotConnectedError, RefusedError } from '../../../gateway/errors.ts'
import type { Commander, CommandResult, PluginContext, Timer } from '../../../gateway/plugin.ts'
import { parseAnswer } from '../answer.ts'
import { type AmqpConfig, type BrokerConfig, covers } from '../config.ts'
import { fill } from '../routing.ts'
import { brokerName } from './connection.ts'

const REPLY_TO = 'amq.rabbitmq.reply-to'
/** A device whose queue was missing is tried again after this, ms. */
const ABSENCE = 5000

export interface BrokerCommander {
  readonly commander: Commander
  start(model: ChannelModel, fail: (error: Error) => void): Promise<void>
  stop(): void
}

interface Pending {
  resolve(result: CommandResult): void
  reject(error: Error): void
}

export function createBrokerCommander(
  config: BrokerConfig,
  options: NonNullable<AmqpConfig['commands']>,
  context: PluginContext,
): BrokerCommander {
  const pending = new Map<string, Pending>()
  const absent = new Map<string, Timer>()
  const listeners = new Set<(device: string) => void>()
  /** Devices that were asked for while they could not be reached. */
  const wanted = new Set<string>()
  let channel: ConfirmChannel | undefined

  const appear = (device: string) => {
    for (const listener of listeners) listener(device)
  }

  const miss = (device: string) => {
    absent.get(device)?.cancel()
    const timer = context.clock.after(ABSENCE, () => {
      absent.delete(device)
      if (channel) appear(device)
    })
    absent.set(device, timer)
  }

  const replied = (message: ConsumeMessage | null) => {
    const id = message?.properties.correlationId as unknown
    if (!message || typeof id !== 'string') return
    const answer = parseAnswer(message.content)
    if (answer) pending.get(id)?.resolve(answer.result)
    else context.log.warn({ id }, 'a reply to a command is not {"ok","result"?}')
  }

  const commander: Commander = {
    reaches(device) {
      if (!covers(options.devices, device) || !isWord(device)) return false
      const now = channel !== undefined && !absent.has(device)
      if (!now && wanted.size < 10_000) wanted.add(device)
      return now
    },
    onReachable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    execute({ id, device, command, args }, signal) {
      const over = channel
      const { exchange } = options
      const key = fill(options.key, { gateway: context.gateway, device, command })
      return new Promise((resolve, reject) => {
        const end = () => {
          pending.delete(id)
          signal.removeEventListener('abort', end)
        }
        const settle = <T>(finish: (value: T) => void) => {
          return (value: T) => {
            end()
            finish(value)
          }
        }
        if (signal.aborted) return
        if (!isWord(device) || !isWord(command)) {
          reject(new RefusedError('SLUICE_AMQP_NAME', `${device} ${command} does not fit into a routing key`))
          return
        }
        if (!over) {
          reject(new NotConnectedError('SLUICE_AMQP_LOST', `not connected to broker ${brokerName(config)}`))
          return
        }
        const returned = settle((error: Error) => {
          miss(device)
          reject(error)
        })
        pending.set(id, { resolve: settle(resolve), reject: returned })
        signal.addEventListener('abort', end, { once: true })
        const body = Buffer.from(JSON.stringify({ id, command, args }))
        over.publish(exchange, key, body, {
          correlationId: id,
          messageId: id,
          replyTo: REPLY_TO,
          mandatory: true,
          persistent: true,
          contentType: 'application/json',
        })
      })
    },
  }

  const start = async (model: ChannelModel, fail: (error: Error) => void) => {
    const opened = await model.createConfirmChannel()
    opened.on('error', (error) => fail(failureOf(config, error)))
    opened.on('close', () => fail(failureOf(config, undefined)))
    opened.on('return', ({ properties }: Message) => {
      const error = new NotConnectedError('SLUICE_AMQP_UNROUTABLE', 'no queue takes commands of the device')
      pending.get(String(properties.messageId))?.reject(error)
    })
    await (opened as Channel).consume(REPLY_TO, replied, { noAck: true })
    channel = opened
    for (const device of wanted) appear(device)
    wanted.clear()
  }

  return {
    commander,
    start,
    stop() {
      // Whether the devices did what was sent nobody knows; those commands stay open until their deadline.
      channel = undefined
      for (const timer of absent.values()) timer.cancel()
      absent.clear()
    },
  }
}

function failureOf(config: BrokerConfig, cause: unknown): NotConnectedError {
  return new NotConnectedError('SLUICE_AMQP_CHANNEL', `broker ${brokerName(config)} closed the command channel`, {
    cause,
  })
}

/** Two devices must not become one key. */
function isWord(name: string): boolean {
  return name !== '' && !/[./*#\0]/.test(name)
}
